package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/stokerd/stoker/context/secrets"
)

// Options say what an analysis looks for.
type Options struct {
	// Secrets says which files are looked into; "" is AppSecrets.
	Secrets Scope
	// Scanner finds them; nil makes one, which takes some milliseconds.
	Scanner *secrets.Scanner
	// Contents digests every file, which [Diff] needs.
	Contents bool
	// Base is an image that this one may be made from; nil if nobody named one. It is read only as far as its
	// configuration.
	Base *Image
	// Progress is told before a layer is read: its number from 1, and of how many; 0 where that is not known yet.
	Progress func(layer, of int)
}

// Analysis is what an image holds. Sizes are in bytes; layers are numbered from 1, the base's first.
type Analysis struct {
	Name      string        // as it was asked for
	From      string        // where it was found, in words
	Pinned    string        // its name in a registry and the digest that this led to; "" if it was found elsewhere
	Digest    digest.Digest // of its manifest; "" in an archive without one
	ID        digest.Digest // of its configuration
	Platform  string
	Platforms []string // all that its index has
	Created   time.Time

	Layers []Layer
	// Stored is the sum of the layers as they are kept and moved, most often compressed; Unpacked that of the sizes of
	// all their files; Visible and Files are what a container sees of them.
	Stored, Unpacked, Visible int64
	Files                     int
	// Hidden is what no container sees: Unpacked less Visible.
	Hidden    int64
	Losses    []Loss // what hides it, the largest first, at most 1000
	LossCount int    // of all

	// Efficiency (0 to 1), Wasted and UserWasted (wasted bytes by bytes above the first layer) are dive's.
	Efficiency float64
	Wasted     int64
	UserWasted float64

	Biggest   []FileInfo // of what a container sees, at most 100
	SetID     []FileInfo // files that run with the rights of their owner or group, by path
	Leftovers []Leftover // the largest first
	Secrets   []Secret   // by layer and path
	Config    Config
	Base      *Base  // nil if nothing tells
	System    string // the distribution, from its os-release file
	Notes     []string

	paths *paths
	stack *stack
}

// Layer is one layer.
type Layer struct {
	Number      int
	Digest      digest.Digest // of the blob; "" if the image does not say and it is not compressed
	DiffID      digest.Digest // of the content
	Compression string        // none, gzip, zstd, bzip2
	Stored      int64         // the blob
	Unpacked    int64         // sum of the sizes of its files
	Files       int           // all but folders and marks of deletion
	Hidden      int64         // of Unpacked, what a later entry replaces or deletes
	Hides       int64         // of the layers below and its own, what its entries replace or delete
	// Instruction made it, without the values of build args and environment variables; "" if the history does not tell.
	Instruction string
	Created     time.Time
	Base        bool // it is the base image's
}

// FileInfo is a file that a container sees.
type FileInfo struct {
	Path     string
	Size     int64
	Mode     uint16 // 07777
	UID, GID int
	Layer    int
}

// Loss is what one act of a layer hides.
type Loss struct {
	Path   string
	Bytes  int64
	Files  int
	How    string // overwritten, deleted, or covered by an opaque directory
	By     int    // the layer
	Layers []int  // where the bytes are
}

// Analyse reads an image to its end. Errors are [Error]s that name the image and the layer: what is damaged, cut off
// or no image; or the context's.
func Analyse(ctx context.Context, img *Image, o Options) (*Analysis, error) {
	a, err := analyse(ctx, img, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, img.wrap(err)
	}
	return a, nil
}

func analyse(ctx context.Context, img *Image, o Options) (*Analysis, error) {
	s := &scan{paths: newPaths(), contents: o.Contents}
	scanner := o.Scanner
	if scanner == nil {
		var err error
		if scanner, err = secrets.New(); err != nil {
			return nil, err
		}
	}
	if o.Secrets != NoSecrets {
		s.look = look{scanner: scanner, all: o.Secrets == AllSecrets}
	}
	r, layers, err := img.read(ctx, s, o.Progress)
	if err != nil {
		return nil, err
	}
	a := &Analysis{
		Name: img.name, From: img.from, Pinned: img.pinned, Digest: r.digest, ID: digest.FromBytes(r.configBytes),
		Platform: platformName(&r.config.Platform), Platforms: r.platforms, paths: s.paths, stack: newStack(s.paths, layers),
	}
	if r.config.Created != nil {
		a.Created = *r.config.Created
	}
	a.sum(r)
	a.score(layers)
	a.collect()
	a.Config = configOf(r.config)
	if err := a.secrets(ctx, scanner, r); err != nil {
		return nil, err
	}
	a.note(s, layers)
	return a, a.findBase(ctx, r, o.Base)
}

// read gives the layers of the image in their order.
func (i *Image) read(ctx context.Context, s *scan, progress func(int, int)) (*resolved, []*layerScan, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	if i.stream != nil {
		return i.readStream(ctx, s, progress)
	}
	r, err := i.resolve(ctx)
	if err != nil {
		return nil, nil, err
	}
	layers := make([]*layerScan, len(r.layers))
	known := map[string]*layerScan{}
	for n, ref := range r.layers {
		progress(n+1, len(r.layers))
		layers[n] = known[ref.key]
		if layers[n] == nil {
			if layers[n], err = i.readLayer(ctx, s, ref); err != nil {
				return nil, nil, ref.wrap(n, err)
			}
			known[ref.key] = layers[n]
		}
		if err := ref.verify(layers[n]); err != nil {
			return nil, nil, ref.wrap(n, err)
		}
	}
	return r, layers, nil
}

func (i *Image) readLayer(ctx context.Context, s *scan, ref layerRef) (*layerScan, error) {
	body, err := i.store.blob(ctx, ref.key)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	algorithm := digest.SHA256
	if ref.digest != "" {
		algorithm = ref.digest.Algorithm()
	}
	return s.layer(ctx, body, algorithm)
}

func (i *Image) readStream(ctx context.Context, s *scan, progress func(int, int)) (*resolved, []*layerScan, error) {
	progress(1, 0)
	st, err := s.readStream(ctx, i.stream)
	if err != nil {
		return nil, nil, fmt.Errorf("it is no archive of an image: %w", err)
	}
	r, err := resolve(ctx, st, i.want)
	if err != nil {
		return nil, nil, err
	}
	layers := make([]*layerScan, len(r.layers))
	for n, ref := range r.layers {
		if layers[n], err = st.scanned(ref.key); err == nil {
			err = ref.verify(layers[n])
		}
		if err != nil {
			return nil, nil, ref.wrap(n, err)
		}
	}
	return r, layers, nil
}

// wrap names a layer in an error.
func (l layerRef) wrap(n int, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("layer %d (%s): %w", n+1, l.key, err)
}

// verify compares what was read with what the image says.
func (l layerRef) verify(got *layerScan) error {
	if l.digest != "" && l.digest.Algorithm() == got.digest.Algorithm() && l.digest != got.digest {
		return fmt.Errorf("what it holds has the digest %s: it is damaged", got.digest)
	}
	if l.diffID != got.diffID {
		return fmt.Errorf("its content has the digest %s, and the configuration tells of %s: it is damaged", got.diffID, l.diffID)
	}
	return nil
}

// sum fills in the layers and their sums.
func (a *Analysis) sum(r *resolved) {
	made := history(r.config.History, len(r.layers))
	for n, l := range a.stack.layers {
		ref := r.layers[n]
		layer := Layer{
			Number: n + 1, Digest: ref.digest, DiffID: ref.diffID, Compression: l.compression, Stored: l.stored,
			Unpacked: l.unpacked, Hidden: a.stack.hidden[n], Instruction: made[n].instruction, Created: made[n].created,
		}
		for _, e := range l.entries {
			if e.kind != Dir && e.kind != whiteout && e.kind != opaque {
				layer.Files++
			}
		}
		a.Layers = append(a.Layers, layer)
		a.Stored += l.stored
		a.Unpacked += l.unpacked
		a.Hidden += layer.Hidden
	}
	a.Visible = a.Unpacked - a.Hidden
	a.lose()
}

// mostLosses is how many acts are listed: `chown -R` alone makes one for every file.
const mostLosses = 1000

// lose fills in what hides bytes.
func (a *Analysis) lose() {
	var acts []*loss
	for _, l := range a.stack.losses {
		if l.bytes > 0 {
			acts = append(acts, l)
			a.Layers[l.by].Hides += l.bytes
		}
	}
	slices.SortFunc(acts, func(x, y *loss) int {
		if x.bytes != y.bytes {
			return larger(x.bytes, y.bytes, "", "")
		}
		return cmp.Or(cmp.Compare(x.by, y.by), strings.Compare(a.paths.name(x.node), a.paths.name(y.node)), cmp.Compare(x.way, y.way))
	})
	a.LossCount = len(acts)
	for _, l := range acts[:min(len(acts), mostLosses)] {
		one := Loss{Path: a.paths.name(l.node), Bytes: l.bytes, Files: l.files, How: l.way.String(), By: int(l.by) + 1}
		for _, layer := range l.from {
			one.Layers = append(one.Layers, int(layer)+1)
		}
		slices.Sort(one.Layers)
		a.Losses = append(a.Losses, one)
	}
}

func (w way) String() string { return [...]string{"", "overwritten", "deleted", "covered"}[w] }

// score fills in what dive says.
func (a *Analysis) score(layers []*layerScan) {
	d := diveEfficiency(a.paths, layers)
	a.Efficiency, a.Wasted = d.efficiency, d.wasted
	switch {
	case d.user > 0:
		a.UserWasted = float64(d.wasted) / float64(d.user)
	case d.wasted > 0:
		a.UserWasted = 1 // dive divides by 0 here, and the rule fails
	}
}

// note says what the numbers do not.
func (a *Analysis) note(s *scan, layers []*layerScan) {
	partly := 0
	for _, l := range layers {
		partly += l.partly
	}
	if partly > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("secrets were looked for in the first %d MB of %d larger files only", maxLook>>20, partly))
	}
	if s.outside > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("%d entries have names that lead out of the root: engines refuse such an image, here they count as inside", s.outside))
	}
}
