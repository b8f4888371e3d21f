package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/internal/api"
)

// A backlog has what is known of one builder and could not be stored, as on a full disk. The
// builds in it are read again from the builder's history: see storeBacklog. It is safe for
// concurrent use.
type backlog struct {
	grew poked // something could not be stored

	mu      sync.Mutex      // guards the fields below
	builds  map[string]bool // by ref
	account bool            // the account itself is not stored
	since   time.Time       // when the first of it could not be stored; zero while there is nothing
	err     error           // why the latest of it could not
}

func newBacklog() *backlog { return &backlog{grew: newPoked(), builds: map[string]bool{}} }

// build notes that a build was stored, or cannot be read any more, or, if err is not nil, that
// it could not be stored. It reports whether this changed what the backlog says.
func (b *backlog) build(ref string, err error) bool {
	return b.note(err, func() bool {
		was := b.builds[ref]
		if err == nil {
			delete(b.builds, ref)
		} else {
			b.builds[ref] = true
		}
		return was != b.builds[ref]
	})
}

// saved notes that the account was stored, or, if err is not nil, that it could not be. It
// reports whether this changed what the backlog says.
func (b *backlog) saved(err error) bool {
	return b.note(err, func() bool {
		was := b.account
		b.account = err != nil
		return was != b.account
	})
}

// note calls change, which changes builds or account because of err, and returns its result.
func (b *backlog) note(err error, change func() bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed := change()
	switch {
	case len(b.builds) == 0 && !b.account:
		b.since, b.err = time.Time{}, nil
	case err != nil:
		b.err = err
		if b.since.IsZero() {
			b.since = time.Now()
		}
		b.grew.poke()
	}
	return changed
}

// has reports whether the build is in the backlog.
func (b *backlog) has(ref string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.builds[ref]
}

// refs returns the builds in the backlog, in any order.
func (b *backlog) refs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	refs := make([]string, 0, len(b.builds))
	for ref := range b.builds {
		refs = append(refs, ref)
	}
	return refs
}

// unsaved reports whether the account is in the backlog.
func (b *backlog) unsaved() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.account
}

// empty reports whether all is stored.
func (b *backlog) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.builds) == 0 && !b.account
}

// drain calls try until the backlog is empty, whenever something comes into it, after the waits
// of a backoff. It returns the error of ctx once that ends.
func (b *backlog) drain(ctx context.Context, try func()) error {
	for {
		for wait := (backoff{}); !b.empty(); {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait.next()):
			}
			try()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.grew:
		}
	}
}

// storeBacklog stores what could not be stored of node, in the order in which the builds ended,
// until that fails again. It reads the builder's history as on connect. A build that the history
// does not have any more is lost, which is logged.
func (d *Daemon) storeBacklog(ctx context.Context, node *buildkit.Builder) {
	known := d.account(node)
	if !known.caughtUp.wait(ctx) {
		return // not before the builds of the connection itself
	}
	if known.backlog.unsaved() {
		if d.save(known); known.backlog.unsaved() {
			return
		}
	}
	waiting := known.backlog.refs()
	history, err := node.History(ctx)
	if err != nil {
		d.log.Debug("read the builder's history again", "error", err)
		return
	}
	stored := 0
	for _, ev := range history {
		if !slices.Contains(waiting, ev.Ref) {
			continue
		}
		waiting = slices.DeleteFunc(waiting, func(ref string) bool { return ref == ev.Ref })
		if ev.Type != buildkit.Complete {
			continue
		}
		done := make(chan struct{})
		known.builds.add(func() { // one build is entered at a time
			defer close(done)
			d.record(ctx, node, ev, nil)
		})
		select {
		case <-ctx.Done():
			return
		case <-done:
		}
		if known.backlog.has(ev.Ref) {
			return
		}
		stored++
	}
	for _, ref := range waiting {
		d.log.Warn("a build that could not be stored is not in the builder's history any more", "ref", ref)
		d.noted(known.backlog.build(ref, nil))
	}
	if stored > 0 {
		d.log.Info("builds that could not be stored are stored now", "builds", stored)
	}
}

// noted tells of a backlog that has changed, if it has.
func (d *Daemon) noted(changed bool) {
	if !changed {
		return
	}
	builds := 0
	if u := d.unstored(); u != nil {
		builds = u.Builds
	}
	d.metrics.Unstored(builds)
	d.board.changed()
}

// dropBacklogs forgets the backlogs of all builders but those of nodes. When such a builder is
// connected again, its history is read anyway.
func (d *Daemon) dropBacklogs(nodes []*buildkit.Builder) {
	kept := map[string]bool{}
	for _, node := range nodes {
		kept[d.account(node).name] = true
	}
	for _, a := range d.allAccounts() {
		if kept[a.name] {
			continue
		}
		changed := a.backlog.saved(nil)
		for _, ref := range a.backlog.refs() {
			changed = a.backlog.build(ref, nil) || changed
		}
		d.noted(changed)
	}
}

// allAccounts returns the accounts of all builders that were connected, in any order.
func (d *Daemon) allAccounts() []account {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]account, 0, len(d.accounts))
	for _, a := range d.accounts {
		list = append(list, a)
	}
	return list
}

// unstored describes the backlogs for users; nil if all is stored.
func (d *Daemon) unstored() *api.Unstored {
	var (
		u   api.Unstored
		why error
	)
	for _, a := range d.allAccounts() {
		a.backlog.mu.Lock()
		u.Builds += len(a.backlog.builds)
		if since := a.backlog.since; !since.IsZero() && (u.Since.IsZero() || since.Before(u.Since)) {
			u.Since, why = since, a.backlog.err
		}
		a.backlog.mu.Unlock()
	}
	switch {
	case why == nil:
		return nil
	case errors.Is(why, store.ErrFull):
		u.Problem = "no space left on the disk of " + d.options.Paths.Store
		u.Hint = "make room there: within a minute the daemon tries again, and reads builds that it lacks from the builder's history"
	default:
		u.Problem = why.Error()
		u.Hint = "the daemon tries again every minute; `stoker down --all` and `stoker up` open the store anew"
	}
	return &u
}

// blameAgain stores what broke the cache in a build whose record and evidence are stored.
func (d *Daemon) blameAgain(builder, ref string) error {
	r, ok, err := d.store.Record(builder, ref)
	if err != nil || !ok {
		return err
	}
	e, ok, err := d.store.Evidence(builder, ref)
	if err != nil || !ok {
		return err
	}
	return d.blame(cache.Build{Record: r, Evidence: &e})
}
