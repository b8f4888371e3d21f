package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/image"
	"github.com/stokerd/stoker/internal/report"
	"github.com/stokerd/stoker/internal/scan"
)

const imagePlaces = `REF is spelt as skopeo spells it: docker://NAME for a registry, docker-daemon:NAME
for the Docker Engine, oci:DIR, oci-archive:FILE, docker-archive:FILE. Without
such a prefix, a path that exists is that file or folder, and a name is looked
for in the Docker Engine, then in its registry.`

// imageSource has the flags that the commands about images share.
type imageSource struct {
	platform string
	secrets  string
	json     bool
}

type imageOptions struct {
	*options
	imageSource
	base, diveFile, maxSize, efficiency, wasted, userWasted string
	signer                                                  scan.Signer
	layer, depth, top                                       int
	ci, all                                                 bool
}

func newImage(o *options) *cobra.Command {
	c := &imageOptions{options: o}
	cmd := &cobra.Command{
		Use:   "image REF",
		Short: "Show what an image holds, layer by layer, and what of it is waste",
		Long: `Show the layers of an image with the instructions that made them, the bytes that
later layers hide, the biggest files, leftovers of package managers, set-uid
files, secrets, and how its containers run.

` + imagePlaces + `

--ci judges the image by the limits in .dive-ci of the current folder, or dive's
defaults; the other limits hold with and without it. --signed-by has cosign look
for a signature by a key or, with --signed-issuer, by a person or a workflow.
Exit status 1: over a limit, or not signed.`,
		Example: "  stoker image shop:latest\n  stoker image oci:out --layer 3\n  stoker image image.tar --ci --max-size 200MB",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	c.register(cmd)
	f := cmd.Flags()
	f.StringVar(&c.secrets, "secrets", string(image.AppSecrets), "look for secrets in: app (not where packages lie), all (slow) or off")
	f.StringVar(&c.base, "base", "", "REF of the image that it is made from, to tell its layers apart")
	f.IntVar(&c.layer, "layer", 0, "show what is in layer N")
	f.IntVarP(&c.depth, "depth", "d", 0, "of a layer show folders down to this depth (default: all)")
	f.IntVar(&c.top, "top", 10, "how many files and losses to list")
	f.BoolVarP(&c.all, "all", "a", false, "show everything, however long")
	f.BoolVar(&c.ci, "ci", false, "fail where dive would, by .dive-ci or its defaults")
	f.StringVar(&c.diveFile, "ci-config", "", "file with dive's limits (default .dive-ci); implies --ci")
	f.StringVar(&c.maxSize, "max-size", "", "limit for the unpacked size, as in 200MB")
	f.StringVar(&c.efficiency, "min-efficiency", "", "lowest efficiency, from 0 to 1, as dive counts it")
	f.StringVar(&c.wasted, "max-wasted", "", "limit for wasted bytes, as dive counts them")
	f.StringVar(&c.userWasted, "max-user-wasted", "", "highest part, from 0 to 1, of wasted bytes in what is above the first layer")
	f.StringVar(&c.signer.By, "signed-by", "", "fail unless signed by this `key` of cosign's or, with --signed-issuer, identity")
	f.StringVar(&c.signer.Issuer, "signed-issuer", "", "URL of who vouches for the identity of --signed-by, as in https://accounts.google.com")
	cmd.AddCommand(newImageDiff(o))
	return cmd
}

func (s *imageSource) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.platform, "platform", "", "which image of several, as in linux/arm64 (default: this machine's)")
	f.BoolVar(&s.json, "json", false, "print JSON")
}

func (c *imageOptions) run(cmd *cobra.Command, ref string) error {
	ctx := cmd.Context()
	if err := c.check(); err != nil {
		return err
	}
	gates, file, err := c.gates()
	if err != nil {
		return err
	}
	o := image.Options{Secrets: image.Scope(c.secrets)}
	if c.base != "" {
		if o.Base, err = c.open(ctx, c.options, c.base); err != nil {
			return err
		}
		defer o.Base.Close()
	}
	a, err := c.analyse(ctx, c.options, ref, o)
	if err != nil {
		return err
	}
	var rules []image.Rule
	if gates != (image.Gates{}) {
		rules = gates.Check(a)
	}
	answer := report.Image(a, rules, file)
	if answer.Signature, err = c.signature(ctx, a.Pinned); err != nil {
		return err
	}
	if answer.Tree, err = c.tree(a); err != nil {
		return err
	}
	if c.json {
		err = c.out.json(answer)
	} else {
		c.print(shown(answer))
	}
	if err == nil && (answer.Gates != nil && !answer.Gates.OK || answer.Signature != nil && !answer.Signature.OK) {
		return verdict(api.Failed)
	}
	return err
}

// check returns an error if a flag makes no sense. It runs before an image is read.
func (c *imageOptions) check() error {
	if !slices.Contains([]image.Scope{image.AppSecrets, image.AllSecrets, image.NoSecrets}, image.Scope(c.secrets)) {
		return usage("one of app, all and off", "--secrets: there is no %q", c.secrets)
	}
	if c.depth < 0 || c.top < 0 || c.layer < 0 {
		return usage("", "--layer, --depth and --top cannot be negative")
	}
	return c.checkSigner()
}

// tree returns what is in the layer that --layer names, nil without the flag. On a
// terminal it has about as many entries as fit, unless --depth or --all is given.
func (c *imageOptions) tree(a *image.Analysis) (*api.ImageTree, error) {
	if c.layer == 0 {
		return nil, nil
	}
	limit := 0
	if c.out.height > 0 && !c.all && !c.json && c.depth == 0 {
		limit = max((c.out.height-8)*3/4, 10)
	}
	nodes, err := a.Tree(c.layer, c.depth, limit)
	if err != nil {
		return nil, err
	}
	return report.ImageTree(c.layer, nodes), nil
}

// checkSigner checks the flags about signatures, and makes the path of a key absolute.
func (c *imageOptions) checkSigner() error {
	switch {
	case c.signer.By == "" && c.signer.Issuer != "":
		return usage("", "--signed-issuer says who vouches for whom --signed-by names")
	case c.signer.By == "":
		return nil
	case c.signer.Issuer == "" && !strings.Contains(c.signer.By, "://"):
		c.signer.By = c.absolute(c.signer.By)
		if _, err := os.Stat(c.signer.By); err != nil {
			return usage("an identity takes --signed-issuer, too", "--signed-by: %v", err)
		}
	}
	if err := scan.CanSign(c.Environ); err != nil {
		return usage("", "--signed-by: %v", err)
	}
	return nil
}

// signature has cosign verify the image pinned, a reference with a digest, if --signed-by
// is given. That the image is not signed is in the result and no error.
func (c *imageOptions) signature(ctx context.Context, pinned string) (*api.ImageSignature, error) {
	if c.signer.By == "" {
		return nil, nil
	}
	if pinned == "" {
		return nil, usage("docker://NAME is the one in the registry", "--signed-by: signatures are kept beside an image in its registry, and this one is from elsewhere")
	}
	s := &api.ImageSignature{OK: true, By: c.signer.By, Issuer: c.signer.Issuer}
	if err := scan.Verify(ctx, c.Environ, pinned, c.signer); err != nil {
		s.OK, s.Problem = false, err.Error()
	}
	return s, ctx.Err()
}

// gates returns the limits of the flags and of dive's file, of which the flags count
// more. file is the path of the file that was read, "" for none.
func (c *imageOptions) gates() (g image.Gates, file string, err error) {
	if c.ci || c.diveFile != "" {
		name := c.diveFile
		if name == "" {
			name = image.DiveFile
		}
		var found bool
		if g, found, err = image.ReadDive(c.absolute(name), config.ParseSize); err != nil {
			return g, "", err
		}
		switch {
		case found:
			file = filepath.ToSlash(name)
		case c.diveFile != "":
			return g, "", usage("", "--ci-config: there is no file %s", name)
		}
	}
	for _, err := range []error{
		setSize(&g.MaxSize, "max-size", c.maxSize),
		setRatio(&g.LowestEfficiency, "min-efficiency", c.efficiency),
		setSize(&g.HighestWastedBytes, "max-wasted", c.wasted),
		setRatio(&g.HighestUserWastedPercent, "max-user-wasted", c.userWasted),
	} {
		if err != nil {
			return g, file, err
		}
	}
	return g, file, nil
}

// setSize sets limit to the size text that was given with a flag, to nil if that is
// "off". It leaves limit as it is if text is "".
func setSize(limit **int64, flag, text string) error {
	if text == "" {
		return nil
	}
	n, err := config.ParseSize(text)
	if err != nil {
		return usage("write it like 200MB or 1.5GiB", "--%s: %v", flag, err)
	}
	*limit = &n
	if text == "off" {
		*limit = nil
	}
	return nil
}

// setRatio sets limit to the number from 0 to 1 that was given with a flag. It leaves
// limit as it is if text is "".
func setRatio(limit **float64, flag, text string) error {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= 1) { // which also refuses NaN
		return usage("for example 0.95", "--%s: %q is not between 0 and 1", flag, text)
	}
	*limit = &n
	return nil
}

// open finds an image; the caller closes it.
func (s *imageSource) open(ctx context.Context, o *options, ref string) (*image.Image, error) {
	where := image.OpenOptions{Platform: s.platform, Dir: o.Dir}
	// NoEngine is reported only if ref needs an engine.
	where.Engine, where.NoEngine = o.surroundings().Engine()
	return image.Open(ctx, ref, where)
}

// analyse reads an image. If stderr is a terminal, it shows the progress there.
func (s *imageSource) analyse(ctx context.Context, o *options, ref string, opts image.Options) (*image.Analysis, error) {
	img, err := s.open(ctx, o, ref)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	if o.err.height > 0 {
		opts.Progress = func(layer, of int) {
			if of == 0 {
				o.err.printf("\r\x1b[K%s", o.err.dim("reading the image"))
				return
			}
			o.err.printf("\r\x1b[K%s", o.err.dim("reading layer "+strconv.Itoa(layer)+" of "+strconv.Itoa(of)))
		}
		defer o.err.printf("\r\x1b[K")
	}
	return image.Analyse(ctx, img, opts)
}

// imageError returns an error about an image as an API error, and whether err is one.
func imageError(err error) (*api.Error, bool) {
	var e *image.Error
	if !errors.As(err, &e) {
		return nil, false
	}
	code := api.BadInput
	if e.Unreachable {
		code = api.NoBuilder
	}
	return &api.Error{Code: code, Message: e.Message, Hint: e.Hint}, true
}
