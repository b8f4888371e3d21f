package buildkit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/docker/cli/cli/config"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/util/entitlements"
	"github.com/tonistiigi/fsutil"

	buildctx "github.com/stokerd/stoker/context"
)

// A Request describes a build. Its files are sent to the builder and its steps run
// there: whoever makes one must have the user's consent.
type Request struct {
	Definition buildctx.Definition
	// Dockerfile is the text to build, instead of that of the definition's file.
	// The cache key of a step does not depend on what follows it, so that a text
	// which ends after the installation of dependencies warms just that.
	Dockerfile []byte
	// IgnoreFile is the text of the ignore file beside the Dockerfile
	// (<name>.dockerignore), nil if there is none. The context's own
	// .dockerignore is read from the context.
	IgnoreFile []byte
	// Target, if it is not empty, is built instead of the definition's.
	Target string
	// NoCache runs every step, even if the builder has its result.
	NoCache bool
	// NoCacheStages are the stages for which NoCache is given, if not for all.
	NoCacheStages []string
	// Edits are the contents of files in local contexts, by absolute path, that are
	// sent instead of those on disk. A file that does not exist is added.
	Edits map[string][]byte
	// CacheFrom are the remote caches that the build imports from, CacheTo those that
	// it exports to. Only [Builder.Warm] uses them.
	CacheFrom, CacheTo []Cache
	// Offer has the secrets and ssh agents that steps may use.
	Offer Offer
	// Progress, if it is not nil, is called with what has been done so far, from one
	// goroutine. Only [Builder.Warm] and [Builder.Export] call it, as they do Done.
	Progress func(Progress)
	// Done, if it is not nil, is called at the end of the solve, also after a failure.
	Done func(Solved)
}

// A Solved tells what became of the operations of a [Request]: see [Solved.Part].
type Solved struct {
	seen    *replay
	imports bool // it imported from remote caches
	// Broken reports that the solve failed, and may not have come to all operations.
	Broken bool
}

// Progress counts the operations of a solve. It does not name them, because names hold
// values of args.
type Progress struct {
	Known, Started, Completed, Cached int
}

// Warm builds r without exporting an image, so that the builder's cache has the results
// of its steps. The build does not appear in the builder's history. A failure of it is a
// [SolveError].
func (b *Builder) Warm(ctx context.Context, r Request) error {
	opt, err := b.solveOpt(r)
	if err != nil {
		return err
	}
	opt.CacheImports, opt.CacheExports = cacheOptions(r.CacheFrom), cacheOptions(r.CacheTo)
	var seen *replay
	if len(r.CacheFrom) > 0 {
		seen, err = b.solveAndFetch(ctx, opt, r.Progress)
	} else {
		seen, err = b.solve(ctx, nil, opt, r.Progress)
	}
	if r.Done != nil {
		r.Done(Solved{seen: seen, imports: len(r.CacheFrom) > 0, Broken: err != nil})
	}
	return err
}

// PullBase has the builder pull the image ref for platform ("" for the builder's own)
// and unpack its layers. No program and no ONBUILD trigger of the image runs.
//
// A build of FROM alone would pull no layer, as nothing needs their files; making a
// directory on top of the image does.
func (b *Builder) PullBase(ctx context.Context, ref, platform string) error {
	var constraints []llb.ConstraintsOpt
	if platform != "" {
		p, err := platforms.Parse(platform)
		if err != nil {
			return fmt.Errorf("pull %s: platform %q: %w", ref, platform, err)
		}
		constraints = append(constraints, llb.Platform(p))
	}
	def, err := llb.Image(ref).File(llb.Mkdir("/.stoker", 0o755)).Marshal(ctx, constraints...)
	if err != nil {
		return fmt.Errorf("pull %s: %w", ref, err)
	}
	if _, err := b.solve(ctx, def, client.SolveOpt{Internal: true, Session: b.session()}, nil); err != nil {
		return fmt.Errorf("pull %s: %w", ref, err)
	}
	return nil
}

// solveOpt returns the options of BuildKit's client for r, without exports and without
// remote caches.
func (b *Builder) solveOpt(r Request) (client.SolveOpt, error) {
	mounts, err := r.mounts()
	if err != nil {
		return client.SolveOpt{}, err
	}
	offered, err := r.Offer.attachables()
	if err != nil {
		return client.SolveOpt{}, err
	}
	var granted []string
	if r.Definition.Options.Network == "host" {
		granted = []string{entitlements.EntitlementNetworkHost.String()}
	}
	return client.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: r.attrs(),
		LocalMounts:   mounts,
		SharedKey:     b.buildx.sharedKey(r.Definition.Context),
		Session:       append(b.session(), offered...),
		Internal:      true,
		// The builder still refuses what its own configuration does not allow.
		AllowedEntitlements: granted,
	}, nil
}

// filename returns the name under which the Dockerfile is sent.
func (r Request) filename() string {
	if r.Definition.Dockerfile == "" {
		return "Dockerfile"
	}
	return filepath.Base(r.Definition.Dockerfile)
}

// mounts returns the directories from which the builder may ask for files, by the names
// that attrs tells the frontend.
func (r Request) mounts() (map[string]fsutil.FS, error) {
	d := r.Definition
	files := map[string][]byte{r.filename(): r.Dockerfile}
	if r.IgnoreFile != nil {
		files[r.filename()+".dockerignore"] = r.IgnoreFile
	}
	mounts := map[string]fsutil.FS{"dockerfile": newTextFS(files)}
	if !d.Remote() {
		fs, err := openContext(d.Context, r.Edits)
		if err != nil {
			return nil, fmt.Errorf("open build context: %w", err)
		}
		mounts["context"] = fs
	}
	local := d.LocalContexts()
	for _, name := range slices.Sorted(maps.Keys(d.NamedContexts)) {
		if strings.HasPrefix(d.NamedContexts[name], buildctx.TargetPrefix) {
			return nil, fmt.Errorf("named context %q is the result of another target, and such builds cannot be made alone", name)
		}
		dir, ok := local[name]
		if !ok {
			continue // the builder fetches it
		}
		fs, err := openContext(dir, r.Edits)
		if err != nil {
			return nil, fmt.Errorf("open build context %q: %w", name, err)
		}
		mounts[name] = fs
	}
	return mounts, nil
}

// attrs returns the attributes that tell the Dockerfile frontend what to build.
func (r Request) attrs() map[string]string {
	d := r.Definition
	attrs := map[string]string{"filename": r.filename()}
	if d.Remote() {
		attrs["context"] = d.Context
	}
	for name, address := range d.NamedContexts {
		attrs["context:"+name] = address
	}
	for name := range d.LocalContexts() {
		attrs["context:"+name] = "local:" + name
	}
	for k, v := range d.Args {
		attrs["build-arg:"+k] = v
	}
	if target := cmp.Or(r.Target, d.Target); target != "" {
		attrs["target"] = target
	}
	if len(d.Platforms) > 0 {
		attrs["platform"] = strings.Join(d.Platforms, ",")
	}
	maps.Copy(attrs, d.Options.Attrs())
	if r.NoCache {
		attrs["no-cache"] = "" // an empty list of stages stands for all
	} else if len(r.NoCacheStages) > 0 {
		attrs["no-cache"] = strings.Join(r.NoCacheStages, ",")
	}
	return attrs
}

// session returns what every session offers to the builder: the user's logins at
// registries.
func (b *Builder) session() []session.Attachable {
	file, err := config.Load(b.auth)
	if err != nil {
		return nil // without a readable configuration there are no logins
	}
	return []session.Attachable{authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: authprovider.LoadAuthConfig(file),
	})}
}

// solve solves def or, if it is nil, what opt's frontend makes. report may be nil.
func (b *Builder) solve(ctx context.Context, def *llb.Definition, opt client.SolveOpt, report func(Progress)) (*replay, error) {
	seen, _, err := b.run(ctx, reportProgress(report), b.solving(ctx, def, opt))
	return seen, err
}

// reportProgress returns an onStatus of [Builder.run] that calls report, which may be
// nil, with the progress so far.
func reportProgress(report func(Progress)) func(*replay, *client.SolveStatus) {
	return func(seen *replay, s *client.SolveStatus) {
		if report != nil && len(s.Vertexes) > 0 {
			report(seen.progress())
		}
	}
}

// A solveCall is a call of BuildKit's client that solves. The client sends what happens
// to updates, and closes it at the end.
type solveCall func(updates chan *client.SolveStatus) (*client.SolveResponse, error)

// solving returns the call that solves def or, if it is nil, what opt's frontend makes.
func (b *Builder) solving(ctx context.Context, def *llb.Definition, opt client.SolveOpt) solveCall {
	return func(updates chan *client.SolveStatus) (*client.SolveResponse, error) {
		return b.client.Solve(ctx, def, opt, updates)
	}
}

// run makes the call and returns what was seen of it, also if it failed. After each
// status was added to that, onStatus is called with both.
func (b *Builder) run(ctx context.Context, onStatus func(*replay, *client.SolveStatus), call solveCall) (*replay, *client.SolveResponse, error) {
	updates, done := make(chan *client.SolveStatus), make(chan struct{})
	seen := newReplay()
	go func() {
		defer close(done)
		for s := range updates {
			seen.add(s)
			onStatus(seen, s)
		}
	}()
	resp, err := call(updates)
	<-done
	switch {
	case err == nil:
		return seen, resp, nil
	case ctx.Err() != nil:
		return seen, nil, context.Cause(ctx)
	}
	kind := seen.failure(err)
	if missingExporter(err) {
		kind = noLayouts
	}
	return seen, nil, &SolveError{Kind: kind, cause: err}
}

// A SolveError is the failure of a solve. Its message says where it failed and how. It
// does not have the builder's text, which may hold values of args.
type SolveError struct {
	Kind  string // "[build 3/7] RUN failed, exit code 1"
	cause error
}

func (e *SolveError) Error() string { return e.Kind }

// Unavailable reports whether the solve failed because the builder could not be reached.
func (e *SolveError) Unavailable() bool { return unavailable(e.cause) }
