package report

import (
	"fmt"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/image"
)

// Image reports an analysis. gates are the limits that were checked, nil for none. gateFile is the file of dive that they
// are from, or "".
func Image(a *image.Analysis, gates []image.Rule, gateFile string) api.Image {
	out := api.Image{
		Schema: api.ImageSchema, Name: a.Name, From: a.From, Digest: a.Digest.String(), ID: a.ID.String(), Platform: a.Platform,
		Platforms: filled(a.Platforms), Created: when(a.Created), System: a.System, Stored: a.Stored, Unpacked: a.Unpacked,
		Visible: a.Visible, Files: a.Files, Hidden: a.Hidden, Efficiency: a.Efficiency, WastedBytes: a.Wasted,
		UserWastedPercent: a.UserWasted, Config: imageConfig(a.Config), Layers: imageLayers(a.Layers), Losses: []api.ImageLoss{},
		LossCount: a.LossCount, Biggest: imageFiles(a.Biggest), SetID: imageFiles(a.SetID), Leftovers: imageLeftovers(a),
		Secrets: imageSecrets(a.Secrets), Notes: a.Notes,
	}
	if b := a.Base; b != nil {
		out.Base = &api.ImageBase{Name: b.Name, Digest: b.Digest, Layers: b.Layers, How: b.How, Different: b.Different}
	}
	for _, l := range a.Losses {
		out.Losses = append(out.Losses, api.ImageLoss{
			Path: readable(l.Path), PathBytes: rawName(l.Path), Bytes: l.Bytes, Files: l.Files, How: l.How, By: l.By, Layers: filled(l.Layers),
		})
	}
	if gates != nil {
		out.Gates = &api.ImageGates{OK: true, File: gateFile, Rules: []api.ImageRule{}}
		for _, r := range gates {
			out.Gates.OK = out.Gates.OK && r.OK
			out.Gates.Rules = append(out.Gates.Rules, api.ImageRule{Rule: r.Name, OK: r.OK, Limit: r.Limit, Actual: r.Actual, Bytes: r.Bytes})
		}
	}
	return out
}

// ImageTree reports the files of the layer with a number.
func ImageTree(layer int, nodes []image.TreeNode) *api.ImageTree {
	out := &api.ImageTree{Layer: layer, Entries: []api.ImageTreeNode{}}
	for _, n := range nodes {
		out.Entries = append(out.Entries, api.ImageTreeNode{
			Path: readable(n.Path), PathBytes: rawName(n.Path), Type: n.Kind, Depth: n.Depth, Size: n.Bytes, Files: n.Files,
			Hidden: n.Hidden, Left: n.Left,
		})
	}
	return out
}

// ImageDiff reports how b differs from a. limit bounds the number of files; 0 means no bound.
func ImageDiff(a, b *image.Analysis, d image.Difference, limit int) api.ImageDiff {
	out := api.ImageDiff{
		Schema: api.ImageDiffSchema, A: imageSide(a), B: imageSide(b), Shared: api.Size(d.Shared), Added: api.Size(d.Added),
		Removed: api.Size(d.Removed), Changed: api.Size(d.Changed), Files: []api.ImageFileChange{}, Config: []api.ImageConfigChange{},
	}
	for i, f := range d.Files {
		if limit > 0 && i == limit {
			out.Left = len(d.Files) - i
			break
		}
		out.Files = append(out.Files, api.ImageFileChange{
			Path: readable(f.Path), PathBytes: rawName(f.Path), Change: f.Change, What: f.What, Type: f.Kind, A: f.A, B: f.B,
		})
	}
	for _, c := range d.Config {
		out.Config = append(out.Config, api.ImageConfigChange(c))
	}
	return out
}

func imageSide(a *image.Analysis) api.ImageSide {
	return api.ImageSide{
		Name: a.Name, Digest: a.Digest.String(), ID: a.ID.String(), Platform: a.Platform, Stored: a.Stored, Unpacked: a.Unpacked,
		Visible: a.Visible, Files: a.Files, Layers: len(a.Layers),
	}
}

func imageConfig(c image.Config) api.ImageConfig {
	return api.ImageConfig{
		User: c.User, Root: c.IsRoot(), Entrypoint: c.Entrypoint, Cmd: c.Cmd, WorkingDir: c.WorkingDir, Exposed: c.Exposed,
		Volumes: c.Volumes, Env: c.Env, Labels: c.Labels, StopSignal: c.StopSignal, Healthcheck: c.Healthcheck, OnBuild: c.OnBuild,
	}
}

func imageLayers(list []image.Layer) []api.ImageLayer {
	out := []api.ImageLayer{}
	for _, l := range list {
		out = append(out, api.ImageLayer{
			Number: l.Number, Digest: l.Digest.String(), DiffID: l.DiffID.String(), Compression: l.Compression, Stored: l.Stored,
			Unpacked: l.Unpacked, Files: l.Files, Hidden: l.Hidden, Hides: l.Hides, Instruction: l.Instruction, Created: when(l.Created),
			Base: l.Base,
		})
	}
	return out
}

func imageFiles(list []image.FileInfo) []api.ImageFile {
	out := []api.ImageFile{}
	for _, f := range list {
		out = append(out, api.ImageFile{
			Path: readable(f.Path), PathBytes: rawName(f.Path), Size: f.Size, Mode: fmt.Sprintf("%04o", f.Mode), UID: f.UID, GID: f.GID,
			Layer: f.Layer,
		})
	}
	return out
}

func imageLeftovers(a *image.Analysis) []api.ImageLeftover {
	out := []api.ImageLeftover{}
	for _, l := range a.Leftovers {
		out = append(out, api.ImageLeftover{
			Kind: l.Kind, Path: readable(l.Path), PathBytes: rawName(l.Path), Bytes: l.Bytes, Files: l.Files, Layers: filled(l.Layers),
			Base: a.InBase(l.Layers), Advice: l.Advice,
		})
	}
	return out
}

func imageSecrets(list []image.Secret) []api.ImageSecret {
	out := []api.ImageSecret{}
	for _, s := range list {
		out = append(out, api.ImageSecret{
			Rule: s.Rule, Where: s.Where, Path: readable(s.Path), PathBytes: rawName(s.Path), Line: s.Line, Name: s.Name, Layer: s.Layer,
			GoneBy: s.GoneBy, Severity: string(s.Severity), Message: s.Message, Base: s.Base,
		})
	}
	return out
}

// filled returns an empty list for nil, which JSON would show as null.
func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// when returns nil for the zero time, so that JSON omits it.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
