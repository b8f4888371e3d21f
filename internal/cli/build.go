package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
	"github.com/stokerd/stoker/internal/scan"
)

type buildOptions struct {
	*options
	adHoc
	offer
	gateFlags
	smokeFlags
	tags           []string
	load, push     bool
	noCache, pull  bool
	sbom           string
	sign           string
	progress       string
	scanners       []string
	offline        bool
	sarif, html    string
	json, markdown bool
}

func newBuild(o *options) *cobra.Command {
	c := &buildOptions{options: o}
	cmd := &cobra.Command{
		Use:   "build [NAME]",
		Short: "Build, then look at what came of it: layers, vulnerabilities, a run",
		Long: `Build an image on the builder and report in one place: which steps were reused
and why the others ran, what the layers hold and waste, what a vulnerability
scanner finds, whether the image runs (--smoke), and what would make it better.
First it is said what runs where. Typed by you, this is leave for this one run.

The image comes to this machine to be looked at, and goes again. --push and
--load hand it on, and only once it has passed the limits that were given:
--max-size, --min-efficiency, --fail-on and --smoke. Exit status 1: the build
failed, or a limit was not kept.

--smoke runs the image, in Docker where the builder is Docker's and else in a
container of the builder, without network, and looks whether it answers, as whom
it runs, and whether it stops when it is told to.`,
		Example: "  stoker build api --load --tag shop/api:dev\n  stoker build api --smoke --http /healthz --fail-on critical,high\n" +
			"  stoker build . --push -t registry.example/shop/api:1.4 --html report.html",
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	c.adHoc.register(cmd)
	c.registerSteps(cmd)
	c.offer.register(cmd)
	c.gateFlags.register(cmd)
	c.smokeFlags.register(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&c.tags, "tag", "t", nil, "name of the image, for --load and --push; can be given several times")
	f.BoolVar(&c.load, "load", false, "hand the image to Docker")
	f.BoolVar(&c.push, "push", false, "push the image to its registry")
	f.BoolVar(&c.noCache, "no-cache", false, "run every step, whatever the cache holds")
	f.BoolVar(&c.pull, "pull", false, "ask the registries for newer base images")
	f.StringVar(&c.sbom, "sbom", "", "with --push: attach a list of packages, made by the `image` given or BuildKit's default")
	f.Lookup("sbom").NoOptDefVal = buildkit.DefaultSBOM
	f.StringVar(&c.sign, "sign", "", "with --push: have cosign sign the image, keyless or with the `key` given")
	f.Lookup("sign").NoOptDefVal = keyless
	f.StringVar(&c.progress, "progress", "auto", "how the build is shown: auto, plain or quiet")
	f.StringSliceVar(&c.scanners, "scanner", scan.Default(), "scanners to try, in this order: trivy, grype, scout (sends package names to Docker), or off")
	f.BoolVar(&c.offline, "offline", false, "scanners use the database that they have")
	f.StringVar(&c.sarif, "sarif", "", "write the vulnerabilities to this file, as SARIF")
	f.StringVar(&c.html, "html", "", "write the report to this file, as one page of HTML")
	f.BoolVar(&c.markdown, "markdown", false, "print the report as Markdown")
	f.BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

// keyless is what --sign stands for without a key.
const keyless = "keyless"

// check returns an error if flags do not go together, or name what does not exist. It
// runs before anything is built.
func (c *buildOptions) check() error {
	switch {
	case c.json && c.markdown:
		return usage("", "--json and --markdown exclude each other")
	case (c.push || c.load) && len(c.tags) == 0:
		return usage("for example --tag shop/api:dev", "--push and --load need a --tag")
	case (c.sbom != "" || c.sign != "") && !c.push:
		return usage("", "--sbom and --sign go with --push: they are kept beside the image in its registry")
	case c.progress != "auto" && c.progress != "plain" && c.progress != "quiet":
		return usage("one of auto, plain and quiet", "--progress: there is no %q", c.progress)
	}
	for _, name := range c.scanners {
		switch name {
		case scan.Trivy, scan.Grype, scan.Scout:
		case "off":
			if len(c.scanners) > 1 {
				return usage("", "--scanner: off excludes others")
			}
		default:
			return usage("trivy, grype, scout or off", "--scanner: there is no %q", name)
		}
	}
	if c.sign != "" {
		if err := scan.CanSign(c.Environ); err != nil {
			return usage("", "--sign: %v", err)
		}
	}
	return errors.Join(c.gateFlags.check(c.scanners), c.smokeFlags.check(c.options))
}

func (c *buildOptions) run(ctx context.Context, args []string) error {
	if err := c.check(); err != nil {
		return err
	}
	query, err := c.one(c.options, "build", args)
	if err != nil {
		return err
	}
	build, where, err := c.find(ctx, query)
	if err != nil {
		return err
	}
	request, err := c.request(build)
	if err != nil {
		return err
	}
	c.unusedArgs(request)
	node, done, err := c.connect(ctx, where.Builder)
	if err != nil {
		return err
	}
	defer done()
	w := buildWork{buildOptions: c, query: query, build: build, node: node, request: request}
	if c.load && w.node.Info().Kind != "docker" {
		if err := c.engine(ctx); err != nil {
			return err
		}
	}
	return w.do(ctx)
}

// engine returns an error if there is no Docker Engine for --load. It is called before
// anything is built.
func (c *buildOptions) engine(ctx context.Context) error {
	dial, err := c.surroundings().Engine()
	if err == nil {
		var conn net.Conn
		if conn, err = dial(ctx); err == nil {
			return conn.Close()
		}
	}
	return &api.Error{Code: api.NoBuilder, Message: "--load: the Docker Engine does not answer: " + err.Error(), Hint: "start Docker, or --push the image"}
}

// find returns the one build that query names, and the configuration of its repository.
func (c *buildOptions) find(ctx context.Context, query api.Query) (*project.Build, config.Config, error) {
	l := &local{options: c.options, bare: true}
	p, err := l.picture(ctx, query)
	if err != nil {
		return nil, config.Config{}, err
	}
	build, err := report.One(p, strings.Join(query.Names, ""))
	if err != nil {
		return nil, config.Config{}, err
	}
	if build.Problem != nil {
		return nil, config.Config{}, &api.Error{Code: api.BadInput, Message: build.Problem.Text, Hint: build.Problem.Hint}
	}
	return build, p.Config, nil
}

// unusedArgs prints a hint for each build arg that the Dockerfile does not declare. The
// builder ignores those without a message.
func (c *buildOptions) unusedArgs(r buildkit.Request) {
	f, err := dockerfile.Parse(r.Definition.Dockerfile, r.Dockerfile)
	if err != nil || len(c.args) == 0 {
		return
	}
	known := f.Args()
	for _, name := range r.Definition.ArgNames() {
		if slices.Contains(known, name) || dockerfile.Predefined(name) {
			continue
		}
		has := "it has none"
		if len(known) > 0 {
			has = "it has " + strings.Join(known, ", ")
		}
		c.hint("--build-arg %s has no effect: no ARG of the Dockerfile has that name; %s", name, has)
	}
}

// request returns what the builder needs to build, with the secrets that flags offer.
func (c *buildOptions) request(build *project.Build) (buildkit.Request, error) {
	text, err := build.Definition.DockerfileText()
	if err != nil {
		return buildkit.Request{}, err
	}
	ignore, err := build.Definition.OwnIgnoreText()
	if err != nil {
		return buildkit.Request{}, err
	}
	secrets, ssh, err := c.offer.read(c.options)
	if err != nil {
		return buildkit.Request{}, err
	}
	return buildkit.Request{
		Definition: build.Definition, Dockerfile: text, IgnoreFile: ignore, NoCache: c.noCache || build.Definition.NoCache, NoCacheStages: build.Definition.NoCacheStages,
		Offer: buildkit.Offer{Secrets: secrets, SSH: ssh},
	}, nil
}

// display returns where and how the build is shown while it runs.
func (c *buildOptions) display(build *project.Build) buildkit.Display {
	d := buildkit.Display{Steps: build.Selection.Plan.Steps}
	switch c.progress {
	case "auto":
		d.W = c.Stderr
	case "plain":
		d.W = struct{ io.Writer }{c.Stderr} // hides that it is a terminal
	}
	return d
}

// write prints the report as the flags say, and writes it to --html.
func (c *buildOptions) write(answer api.BuildReport) error {
	if c.html != "" {
		if err := writeFile(c.absolute(c.html), func(w io.Writer) error { return buildHTML(w, answer, time.Now()) }); err != nil {
			return err
		}
	}
	switch {
	case c.json:
		return c.out.json(answer)
	case c.markdown:
		buildMarkdown(c.out.w, answer)
	default:
		c.print(shown(answer))
	}
	return nil
}

// writeFile has write write to the file name. If it fails, a file that was there stays
// as it was.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".stoker-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer os.Remove(f.Name())
	if err = errors.Join(write(f), f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
