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

// A Request says what to warm. Its steps run on the builder and its files are
// sent there: asking for consent is the caller's part.
type Request struct {
	Definition buildctx.Definition
	// Dockerfile is the text to build, in place of what the definition's file
	// holds: keys of steps do not depend on the text around them, so a
	// Dockerfile that ends after the last dependency step warms just these.
	Dockerfile []byte
	// IgnoreFile is the text of the ignore file beside the Dockerfile
	// (<name>.dockerignore), nil if there is none. The context's own
	// .dockerignore is read from the context.
	IgnoreFile []byte
	// Target replaces the definition's target if it is not empty.
	Target string
	// NoCache has every step run, whatever the cache holds.
	NoCache bool
	// NoCacheStages are stages of which every step runs.
	NoCacheStages []string
	// Edits are texts that files of local contexts are to be sent with, by
	// absolute path; a file that is not there is added.
	Edits map[string][]byte
	// CacheFrom are caches elsewhere that the build looks into, CacheTo those that it
	// writes. Warm only.
	CacheFrom, CacheTo []Cache
	// Offer is what steps may use; a prewarm offers nothing.
	Offer Offer
	// Progress is told what has been done so far; it may be nil. It is called
	// from one goroutine.
	Progress func(Progress)
	// Done is told what became of the operations of the build, whether it succeeded
	// or not; it may be nil.
	Done func(Solved)
}

// A Solved is what a solve of ours did.
type Solved struct {
	seen    *replay
	imports bool // it looked into caches elsewhere
	// Broken reports that it did not succeed: it came to some of its steps only.
	Broken bool
}

// Progress counts the operations of a solve. Names are left out on purpose:
// they hold values of args.
type Progress struct {
	Known, Started, Completed, Cached int
}

// Warm builds r without exporting anything, so that the builder's cache holds
// its steps. The build is not recorded in the builder's history. Its error
// names the step that failed, and never the text that a client would be shown.
func (b *Builder) Warm(ctx context.Context, r Request) error {
	opt, err := b.solveOpt(r)
	if err != nil {
		return err
	}
	opt.CacheImports, opt.CacheExports = cacheOptions(r.CacheFrom), cacheOptions(r.CacheTo)
	var seen *replay
	if len(r.CacheFrom) > 0 {
		seen, err = b.fetch(ctx, opt, r.Progress)
	} else {
		seen, err = b.solve(ctx, nil, opt, r.Progress)
	}
	if r.Done != nil {
		r.Done(Solved{seen: seen, imports: len(r.CacheFrom) > 0, Broken: err != nil})
	}
	return err
}

// PullBase makes the builder hold the image ref, with its layers unpacked, for
// platform ("" for the builder's own). A build that only says FROM leaves
// layers lazy and pulls nothing, hence the directory made on top. Nothing of
// the image runs, triggers included.
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
		// What the definition asks for; the builder refuses it where it is not allowed.
		AllowedEntitlements: granted,
	}, nil
}

// filename is the name under which the Dockerfile is sent.
func (r Request) filename() string {
	if r.Definition.Dockerfile == "" {
		return "Dockerfile"
	}
	return filepath.Base(r.Definition.Dockerfile)
}

// mounts returns the folders that the builder may ask for files of, by the names that
// the attributes give them.
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

// attrs returns what the frontend is told.
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
		attrs["no-cache"] = "" // no stage is named: all of them
	} else if len(r.NoCacheStages) > 0 {
		attrs["no-cache"] = strings.Join(r.NoCacheStages, ",")
	}
	return attrs
}

// session offers the user's registry logins, as any client does, and neither
// secrets nor ssh.
func (b *Builder) session() []session.Attachable {
	file, err := config.Load(b.auth)
	if err != nil {
		return nil // no readable configuration is no login
	}
	return []session.Attachable{authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: authprovider.LoadAuthConfig(file),
	})}
}

func (b *Builder) solve(ctx context.Context, def *llb.Definition, opt client.SolveOpt, report func(Progress)) (*replay, error) {
	seen, _, err := b.run(ctx, func(seen *replay, s *client.SolveStatus) {
		if report != nil && len(s.Vertexes) > 0 {
			report(seen.progress())
		}
	}, func(updates chan *client.SolveStatus) (*client.SolveResponse, error) {
		return b.client.Solve(ctx, def, opt, updates)
	})
	return seen, err
}

// run has call talk to the builder. each is given every status that comes, once it was
// added to what was seen.
func (b *Builder) run(ctx context.Context, each func(*replay, *client.SolveStatus), call func(chan *client.SolveStatus) (*client.SolveResponse, error)) (*replay, *client.SolveResponse, error) {
	updates, done := make(chan *client.SolveStatus), make(chan struct{})
	seen := newReplay()
	go func() {
		defer close(done)
		for s := range updates { // the client closes it
			seen.add(s)
			each(seen, s)
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

// A SolveError says which kind of failure ended a solve. The builder's own
// text is not part of it, because that holds values of args.
type SolveError struct {
	Kind  string // "[build 3/7] RUN failed, exit code 1"
	cause error
}

func (e *SolveError) Error() string { return e.Kind }

// Unavailable reports whether the builder went away rather than the build
// failed.
func (e *SolveError) Unavailable() bool { return unavailable(e.cause) }
