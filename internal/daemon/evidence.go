package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/store"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// keep stores the record of a build of def in repo and the evidence that explains it, as far
// as that is known, and returns the evidence if what broke the cache can be told from it. If
// the evidence is stored already, or there can be none, it stores the record alone.
func (d *Daemon) keep(ctx context.Context, ev buildkit.Event, seen buildkit.Observed, presumed presumption, files seenFiles, repo *repository, def buildctx.Definition) (*cache.Evidence, error) {
	succeeded := seen.Record.Status == cache.Completed
	known := succeeded && len(seen.Parts) == 0
	if files.past != nil && !known {
		// The builder updated the record of a build that the daemon saw. What it saw is
		// better evidence than what can be found now.
		_, have, err := d.store.Evidence(seen.Record.Builder, seen.Record.Ref)
		known = have
		if err != nil {
			return nil, err
		}
	}
	if known {
		_, err := d.store.Put(seen.Record)
		return nil, err
	}
	g := gatherer{daemon: d, files: files}
	e := cache.Evidence{Args: repo.digests(ev), NoCache: uncached(seen.Join)}
	parts, text := seen.Parts, seen.Join.Dockerfile
	if !succeeded {
		parts, e.Bare = presumed.parts, presumed.gap
		e.Presumed = len(parts) > 0
		if e.Presumed {
			text = parts[0].Plan.Text
		} else {
			e.Operations = seen.Skeleton()
		}
	}
	e.Dockerfile = d.outline(def, text)
	for _, part := range parts {
		e = g.gather(ctx, e, part)
	}
	if files.past == nil {
		e.Self = repo.selfReport(ev, seen, files.pictures, def)
	}
	if _, err := d.store.PutExplained(seen.Record, e, g.taken...); err != nil || len(files.pictures) == 0 {
		return nil, err
	}
	return &e, nil
}

// blame stores, for statistics, what broke the cache in a build. It does nothing if no step
// was executed.
func (d *Daemon) blame(b cache.Build) error {
	if !slices.ContainsFunc(b.Steps, func(s cache.Step) bool { return s.Outcome == cache.Executed }) {
		return nil
	}
	explanations, err := d.explain(b, nil)
	if err != nil {
		return err
	}
	blames, err := cache.Blames(b, explanations, func(c cache.Cause) ([]string, error) {
		differences, err := d.differences(c.TakenBefore, c.TakenAfter)
		return report.Telling(differences), err
	})
	if err != nil || len(blames) == 0 {
		return err
	}
	return d.store.PutBlames(store.BuildID{Builder: b.Builder, Ref: b.Ref}, blames)
}

// outline returns the outline of text, the Dockerfile of def; nil if it cannot be parsed.
func (d *Daemon) outline(def buildctx.Definition, text []byte) []cache.Line {
	lines, err := dockerfile.Outline(text)
	if err != nil {
		return nil
	}
	if def.Shown != "" { // the text has values of environment variables
		for i := range lines {
			lines[i].Text, lines[i].Base = lines[i].Keyword, ""
		}
	}
	return cache.OutlineOf(lines, d.store.Digest)
}

// uncached returns the stages that a build was told to build without the cache.
func uncached(j buildkit.Join) []string {
	if j.NoCache && len(j.Uncached) == 0 {
		return []string{cache.AllStages}
	}
	return j.Uncached
}

// A gatherer makes evidence of what a builder recorded.
type gatherer struct {
	daemon *Daemon
	files  seenFiles
	taken  []*content.Manifest // files that steps took; the evidence has their digests
}

// gather returns e with what is known of a part of the build, and adds to g.taken.
func (g *gatherer) gather(ctx context.Context, e cache.Evidence, part buildkit.Part) cache.Evidence {
	sent := g.files.sent(ctx, part)
	built := sent.Built(part.Plan, g.files.site)
	return e.Gather(cache.Gathering{
		Plan: part.Plan, Keys: cache.Keys(part.Plan.Ops, built), Fates: part.Fates, Traits: part.Traits, Lines: part.Lines,
		Take: func(request int, selected []dockerfile.Selector) cache.Taken {
			if _, err := built(request, selected); err != nil {
				return cache.Taken{Unknown: g.files.gapOf(err)}
			}
			digest, m, err := sent.Taken(request, selected)
			if err != nil {
				return cache.Taken{Unknown: g.files.gapOf(err)}
			}
			g.taken = append(g.taken, m)
			return cache.Taken{Content: digest, Manifest: m.Digest().String()}
		},
	}, g.daemon.store.Digest)
}

// differences compares two manifests by their digests: before is in the store, and after one
// that g took. It returns none if g took no such manifest.
func (g *gatherer) differences(before, after string) (list []content.Difference, err error) {
	i := slices.IndexFunc(g.taken, func(m *content.Manifest) bool { return m.Digest().String() == after })
	if i < 0 {
		return nil, nil
	}
	err = g.daemon.store.CompareWith(before, g.taken[i], func(diff content.Difference) bool {
		list = append(list, diff)
		return true
	})
	return list, err
}

// selfReport compares the files that the builder asked the client for with those that stoker
// had worked out, if both go by the same Dockerfile, args and images. A difference is a bug
// in stoker, and the lines that it returns ask the user to report it.
func (r *repository) selfReport(ev buildkit.Event, seen buildkit.Observed, pictures []*project.Picture, def buildctx.Definition) []string {
	own, images, ok := expectedRequests(pictures, def)
	if !ok || !r.builtAsDefined(ev, seen, def) {
		return nil
	}
	var report []string
	whose := ": please report this"
	if seen.Join.LocalContext == "" { // of which folder it was is concluded from the Dockerfile
		whose = ": if it was of this folder, please report that"
	}
	for _, part := range seen.Parts {
		if !subset(imagesOf(part.Plan), images) {
			return nil // a tag has moved since it was looked up, and triggers may have
		}
		for _, asked := range part.Plan.Requests {
			if !slices.ContainsFunc(own, func(r dockerfile.Request) bool { return sameRequest(r, asked) }) {
				// Which ones is not told: paths may hold values of args.
				report = append(report, fmt.Sprintf("the builder asked for other files than stoker had worked out (paths: %d, ignore patterns: %d)",
					len(asked.FollowPaths), len(asked.Excludes))+whose)
			}
		}
	}
	if report != nil {
		r.log.Warn("what was sent is not what stoker works out: please report this", "definition", def.Name, "ref", ev.Ref)
	}
	return report
}

// expectedRequests returns what a build of def asks for and the images that it starts
// from, as all the pictures have it. It is false where they differ, where there is none,
// and where something had to be guessed.
func expectedRequests(pictures []*project.Picture, def buildctx.Definition) (own []dockerfile.Request, images []string, ok bool) {
	for i, p := range pictures {
		b, found := p.Find(def.Name)
		if !found || b.Selection == nil {
			return nil, nil, false
		}
		plan := b.Selection.Plan
		if plan.Syntax != "" || len(plan.Assumed)+len(plan.Remembered) > 0 {
			return nil, nil, false
		}
		if i > 0 && !slices.EqualFunc(own, plan.Requests, sameRequest) {
			return nil, nil, false
		}
		own, images = plan.Requests, imagesOf(plan)
	}
	return own, images, len(pictures) > 0
}

// builtAsDefined reports whether a build was given the Dockerfile and the args that def
// has now, and no named contexts, whose contents would decide as well.
func (r *repository) builtAsDefined(ev buildkit.Event, seen buildkit.Observed, def buildctx.Definition) bool {
	text, err := def.DockerfileText()
	if err != nil {
		return false
	}
	sum := sha256.Sum256(text)
	if hex.EncodeToString(sum[:]) != seen.Join.DockerfileDigest {
		return false
	}
	if len(def.UnknownArgs) > 0 || len(ev.NamedContexts())+len(def.NamedContexts) > 0 {
		return false
	}
	given := map[string]string{}
	for name, value := range def.Args {
		given[name] = r.daemon.store.Digest(value)
	}
	return maps.Equal(given, r.digests(ev))
}

// imagesOf returns the digests of those operations of a plan that pull images.
func imagesOf(plan *dockerfile.Plan) []string {
	var list []string
	for _, op := range plan.Ops {
		if op.Source != nil && op.Source.Kind == dockerfile.ImageSource {
			list = append(list, op.Digest)
		}
	}
	return list
}

// subset reports whether all of list are in of.
func subset(list, of []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(of, s) })
}

// sameRequest reports whether a and b ask for the same files, in whatever order.
func sameRequest(a, b dockerfile.Request) bool {
	paths := func(r dockerfile.Request) []string { return slices.Sorted(slices.Values(r.FollowPaths)) }
	return a.Local == b.Local && (a.FollowPaths == nil) == (b.FollowPaths == nil) && slices.Equal(paths(a), paths(b)) && slices.Equal(a.Excludes, b.Excludes)
}
