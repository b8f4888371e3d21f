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
	// Secrets says in which files secrets are searched; "" means AppSecrets.
	Secrets Scope
	// Scanner searches them; if nil, one is made, which takes some milliseconds.
	Scanner *secrets.Scanner
	// Contents asks for a digest of every file, which [Diff] needs.
	Contents bool
	// Base is an image that this one may be made from, or nil. Its layers are not read unless it is a stream.
	Base *Image
	// Progress, if not nil, is called before a layer is read, with its number from 1 and the number of layers, which is
	// 0 as long as it is not known.
	Progress func(layer, of int)
}

// Analysis is what an image holds. Sizes are in bytes. Layers are numbered from 1, the lowest, which is the base's.
type Analysis struct {
	Name      string        // as given to Open
	From      string        // where it was found, in words: "the Docker Engine"
	Pinned    string        // its name in a registry, with the digest that this stood for; "" if it was found elsewhere
	Digest    digest.Digest // of its manifest; "" in an archive without one
	ID        digest.Digest // of its configuration
	Platform  string
	Platforms []string  // of all images in its index
	Created   time.Time // zero if the configuration does not say

	Layers []Layer
	// Stored is the size of all layers as they are stored and moved, usually compressed. Unpacked is the size of all
	// files in them. Visible is the size of the files that a container sees, and Files their number.
	Stored, Unpacked, Visible int64
	Files                     int
	// Hidden is the size of the files that no container sees: Unpacked less Visible.
	Hidden    int64
	Losses    []Loss // what hides them, the largest first, at most 1000
	LossCount int    // the number of all losses

	// Efficiency, Wasted and UserWasted are computed as dive does. Efficiency and UserWasted are from 0 to 1; UserWasted
	// is Wasted divided by the size of all layers but the first.
	Efficiency float64
	Wasted     int64
	UserWasted float64

	Biggest   []FileInfo // the largest files that a container sees, at most 100
	SetID     []FileInfo // executable files with setuid or setgid, by path
	Leftovers []Leftover // the largest first
	Secrets   []Secret   // by layer and path
	Config    Config
	Base      *Base  // nil if it is not known
	System    string // the distribution, from its os-release file; "" if there is none
	Notes     []string

	paths *paths
	stack *stack
}

// Layer is one layer of an image. Sizes are in bytes.
type Layer struct {
	Number      int           // from 1, the lowest
	Digest      digest.Digest // of the blob; "" if the image does not say
	DiffID      digest.Digest // of the uncompressed content
	Compression string        // none, gzip, zstd, bzip2
	Stored      int64         // size of the blob
	Unpacked    int64         // size of all files in it
	Files       int           // without directories and whiteouts
	Hidden      int64         // the part of Unpacked that a later entry replaces or deletes
	Hides       int64         // what its entries replace or delete, in lower layers and in itself
	// Instruction is the one that made it, without the values of build args and environment variables; "" if the
	// history does not say.
	Instruction string
	Created     time.Time // zero if the history does not say
	Base        bool      // it belongs to the base image
}

// FileInfo is a file that a container sees.
type FileInfo struct {
	Path     string
	Size     int64
	Mode     uint16 // the bits of 07777
	UID, GID int
	Layer    int // number of the layer that it is from
}

// Loss is what one entry of a layer hides by replacing or deleting it.
type Loss struct {
	Path   string // what was replaced or deleted
	Bytes  int64
	Files  int
	How    string // overwritten, deleted, or covered by an opaque directory
	By     int    // number of the layer with the entry
	Layers []int  // numbers of the layers with the bytes
}

// Analyse reads all layers of an image. Its error is an [*Error] that names the image, and the layer if one is damaged
// or cut off; or it is the cause of ctx's end.
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
	a.findSystem()
	a.note(s, layers)
	return a, a.findBase(ctx, r, o.Base)
}

// read reads the layers of the image, and returns them in their order. A layer that occurs several times is read once.
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

// readLayer reads one layer of an image that is not a stream.
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

// readStream reads an image that is a stream: its layers come before it is known which ones it has.
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

// wrap puts the layer, which has the index n, in front of an error.
func (l layerRef) wrap(n int, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("layer %d (%s): %w", n+1, l.key, err)
}

// verify compares the digests of a layer as it was read with those that the image has for it.
func (l layerRef) verify(got *layerScan) error {
	if l.digest != "" && l.digest.Algorithm() == got.digest.Algorithm() && l.digest != got.digest {
		return fmt.Errorf("what it holds has the digest %s: it is damaged", got.digest)
	}
	if l.diffID != got.diffID {
		return fmt.Errorf("its content has the digest %s, and the configuration tells of %s: it is damaged", got.diffID, l.diffID)
	}
	return nil
}

// sum sets the layers, their sizes and the losses.
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

// mostLosses is how many losses are listed: `chown -R` alone makes one for every file.
const mostLosses = 1000

// lose sets the losses, and what each layer hides.
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

// score sets the figures that dive has.
func (a *Analysis) score(layers []*layerScan) {
	d := diveEfficiency(a.paths, layers)
	a.Efficiency, a.Wasted = d.efficiency, d.wasted
	switch {
	case d.user > 0:
		a.UserWasted = float64(d.wasted) / float64(d.user)
	case d.wasted > 0:
		a.UserWasted = 1 // dive divides by 0 here, so that its rule fails
	}
}

// note adds notes about what was not looked at, or looked at differently than an engine would.
func (a *Analysis) note(s *scan, layers []*layerScan) {
	partly := 0
	for _, l := range layers {
		partly += l.truncated
	}
	if partly > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("secrets were looked for in the first %d MB of %d larger files only", maxLook>>20, partly))
	}
	if s.outside > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("%d entries have names that lead out of the root: engines refuse such an image, here they count as inside", s.outside))
	}
}
