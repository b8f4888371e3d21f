package discover

import (
	"path/filepath"
	"slices"

	buildctx "github.com/stokerd/stoker/context"
)

// dockerfile makes a definition of a Dockerfile that no other definition uses.
func (f *finder) dockerfile(rel string) {
	name := filepath.Join(f.root, filepath.FromSlash(rel))
	if slices.ContainsFunc(f.definitions, func(d buildctx.Definition) bool { return d.Dockerfile == name }) {
		return
	}
	data, err := f.readFile(rel)
	if err != nil {
		f.problem(Problem{File: rel, Text: "cannot be read: " + reason(err), Hint: "mend or remove it"})
		return
	}
	d := buildctx.Definition{Name: dockerfileName(rel, filepath.Base(f.root)), Origin: rel, Dockerfile: name}
	built := slices.IndexFunc(f.options.Learnt, func(l buildctx.Definition) bool { return l.Dockerfile == name })
	if built >= 0 {
		d.Context = f.options.Learnt[built].Context
	} else {
		d.Context = f.inferContext(rel, string(data))
	}
	f.definitions = append(f.definitions, d)
}

// learnt adds the observed builds that no other definition stands for, while
// their Dockerfile is there.
func (f *finder) learnt() {
	for _, d := range f.options.Learnt {
		if slices.ContainsFunc(f.definitions, func(known buildctx.Definition) bool { return known.Describes(d) }) || regular(d.Dockerfile) != nil {
			continue
		}
		d.Name = dockerfileName(f.rel(d.Dockerfile), filepath.Base(f.root))
		if d.Target != "" {
			d.Name += "-" + d.Target
		}
		f.definitions = append(f.definitions, d)
	}
}
