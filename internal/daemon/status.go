package daemon

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/prewarm"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/report"
)

// A board has a sequence number for the status, which grows with each change, and wakes those
// who wait for one. It is safe for concurrent use.
type board struct {
	mu   sync.Mutex    // guards the fields below
	seq  uint64        // from 1
	wait chan struct{} // closed, and replaced, at each change
}

func newBoard() *board { return &board{seq: 1, wait: make(chan struct{})} }

// changed notes that the status has changed.
func (b *board) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	close(b.wait)
	b.wait = make(chan struct{})
}

// after waits until the sequence number is greater than seq, and returns it. The error is that
// of ctx.
func (b *board) after(ctx context.Context, seq uint64) (uint64, error) {
	for {
		b.mu.Lock()
		now, wait := b.seq, b.wait
		b.mu.Unlock()
		if now > seq {
			return now, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// StatusJSON returns the status, an api.Status. It waits a moment for builds that have just
// ended to be recorded, unless the builder's older builds are still being read.
func (d *Daemon) StatusJSON(ctx context.Context) []byte {
	if node := d.builder.current(); node != nil {
		if known := d.account(node); known.caughtUp.isOpen() {
			known.builds.settle(ctx, settleTime/4)
		}
	}
	return d.statusJSON()
}

func (d *Daemon) statusJSON() []byte {
	data, err := json.Marshal(d.status())
	if err != nil {
		d.log.Error("encode status", "error", err)
	}
	return data
}

// StatusAfter waits until the sequence number of the status is greater than seq, and returns
// both. The error is that of ctx.
func (d *Daemon) StatusAfter(ctx context.Context, seq uint64) ([]byte, uint64, error) {
	next, err := d.board.after(ctx, seq)
	if err != nil {
		return nil, 0, err
	}
	return d.statusJSON(), next, nil
}

func (d *Daemon) status() api.Status {
	s := api.Status{
		Schema: api.StatusSchema,
		Daemon: &api.Daemon{
			Version: d.options.Version.Version, PID: d.options.Version.PID, Uptime: time.Since(d.started).Seconds(),
			Socket: d.options.Paths.Socket,
		},
		Builder:      d.builder.wire(),
		Repositories: []api.Repository{},
	}
	s.Daemon.Unstored = d.unstored()
	if node := d.builder.current(); node != nil {
		s.Builder.Unread = d.account(node).toRead()
	}
	for _, r := range d.all() {
		s.Repositories = append(s.Repositories, d.describe(r))
	}
	slices.SortFunc(s.Repositories, func(a, b api.Repository) int { return strings.Compare(a.Root, b.Root) })
	return s
}

// describe returns the status of one repository.
func (d *Daemon) describe(r *repository) api.Repository {
	out := api.Repository{Root: r.root, Definitions: []api.Definition{}, Findings: []api.Finding{}}
	s := r.state.Load()
	switch {
	case s == nil:
		out.Pending = true
	case s.picture == nil:
		out.Problem, out.Hint = s.problem.Text, s.problem.Hint
	default:
		out = s.wire
		out.Definitions = slices.Clone(out.Definitions)
		out.Suggestions = int(r.suggestions.Load())
		seen := r.builds.of(d, r.root)
		for i := range out.Definitions {
			def, seen := &out.Definitions[i], seen[out.Definitions[i].Name]
			def.Builds, def.HitRate, def.History, def.Last = seen.Builds, seen.HitRate, seen.History, seen.Last
		}
		if u := r.unseen.Load(); u != nil && u.picture == s.picture {
			out.Findings = slices.Concat(out.Findings, u.findings)
		}
		d.addWarmth(r, s, &out)
	}
	out.Since = time.Since(r.since).Seconds()
	out.Allowed = r.allowed()
	r.addWatch(&out)
	return out
}

// observed is how long what was read of builds is used while no build ends. It is read again
// after that, because it is about builds of the last days.
const observed = 10 * time.Minute

// builds summarizes the builds of each definition of a repository, so that a status is
// answered without reading records. It is safe for concurrent use.
type builds struct {
	mu     sync.Mutex // guards the fields below; held while records are read
	read   time.Time  // when records were read; zero if a build has ended since
	news   uint64     // counts calls of stale
	byName map[string]api.Definition
}

// stale notes that a build was recorded.
func (b *builds) stale() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read = time.Time{}
	b.news++
}

// latest returns a number that changes whenever a build is recorded.
func (b *builds) latest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.news
}

// of returns the summaries for the repository at root, by definition. They have the
// fields that report.AddBuilds fills.
func (b *builds) of(d *Daemon, root string) map[string]api.Definition {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.read) < observed {
		return b.byName
	}
	list := map[string][]cache.Record{}
	now := time.Now()
	for rec, err := range d.store.Records(store.Query{Since: now.Add(-report.Window), Repository: root}) {
		if err != nil {
			d.log.Error("read builds", "error", err)
			return b.byName // rather than what some of the records say
		}
		list[rec.Definition] = append(list[rec.Definition], rec)
	}
	b.read, b.byName = now, map[string]api.Definition{}
	for name, records := range list {
		var def api.Definition
		report.AddBuilds(&def, records)
		d.addSelfReport(&def, records)
		b.byName[name] = def
	}
	return b.byName
}

// addSelfReport adds to the last build of a definition in what it differs from what stoker
// had worked out: see repository.selfReport.
func (d *Daemon) addSelfReport(def *api.Definition, records []cache.Record) {
	for _, r := range records {
		if r.Ref != def.Last.Ref {
			continue
		}
		e, _, err := d.store.Evidence(r.Builder, r.Ref)
		if err != nil {
			d.log.Error("read what explains the last build", "error", err)
		}
		def.Last.SelfReport = e.Self
	}
}

// addWarmth fills in how warm each definition is kept.
func (d *Daemon) addWarmth(r *repository, s *state, out *api.Repository) {
	level, reason := r.level(s)
	known, err := d.store.Warmths(r.root)
	if err != nil {
		d.log.Error("read warmth", "error", err)
	}
	for i := range out.Definitions {
		def := &out.Definitions[i]
		def.Warm = api.Warmth{State: warmWaiting, Level: string(level), Reason: reason}
		if level.Rank() <= 0 {
			def.Warm = api.Warmth{State: "off"}
			continue
		}
		if b, ok := s.picture.Find(def.Name); ok {
			if why := r.unwarmed(b.Definition); why != "" {
				def.Warm = api.Warmth{State: "off", Reason: why}
				continue
			}
		}
		if at := slices.IndexFunc(known, func(w store.Warmth) bool { return w.Definition == def.Name }); at >= 0 {
			w := known[at]
			def.Warm = api.Warmth{State: w.State, Level: w.Level, Reason: w.Reason, At: w.At}
			if d.warmer.Due(prewarm.Job{Repository: r.root, Definition: def.Name}) {
				// The files have changed since it was warmed.
				def.Warm.State, def.Warm.Level, def.Warm.Reason = warmWaiting, string(level), reason
			}
		}
		if d.builder.current() == nil && def.Warm.State != warmFailed {
			def.Warm.State, def.Warm.Reason = warmWaiting, "no builder"
		}
	}
}

// addWatch fills in how the repository is watched.
func (r *repository) addWatch(out *api.Repository) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.shown {
		status := w.Status()
		out.Watch.Directories += status.Directories
		out.Watch.Polled += status.Polled
		out.Pending = out.Pending || status.Pending
		if status.Problem != "" {
			out.Watch.Problem = status.Problem
		}
	}
}
