package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	buildctx "github.com/stokerd/stoker/context"
)

const (
	learntFor = 14 * 24 * time.Hour // how long after its last build a learnt definition is kept
	maxLearnt = 20                  // how many are kept of one repository, the newest
)

// A Learnt is a definition that no file declares, and that was learnt from a build.
// Paths are relative to the repository and slash-separated.
type Learnt struct {
	Repository string   `json:"repository"`
	Context    string   `json:"context"`
	Dockerfile string   `json:"dockerfile"`
	Target     string   `json:"target,omitempty"`
	Platforms  []string `json:"platforms,omitempty"`
	// NamedContexts are those that are addresses. A build does not tell the path of a
	// directory.
	NamedContexts map[string]string `json:"namedContexts,omitempty"`
	// Args are the digests of the values ([Store.Digest]), by name.
	Args map[string]string `json:"args,omitempty"`
	Ref  string            `json:"ref"`  // of the newest build
	Seen time.Time         `json:"seen"` // when that ended
}

// identity returns what all builds of one definition have in common. The values of args
// are not part of it: if the id of a commit is among them, it differs in each build.
func (l Learnt) identity() string {
	names := slices.Sorted(maps.Keys(l.Args))
	text, err := json.Marshal([]any{l.Context, l.Dockerfile, l.Target, l.Platforms, l.NamedContexts, names})
	if err != nil {
		return "" // strings always marshal
	}
	return string(text)
}

// Definition returns the definition. values are the args whose values are known.
func (l Learnt) Definition(values map[string]string) buildctx.Definition {
	local := func(rel string) string { return filepath.Join(l.Repository, filepath.FromSlash(rel)) }
	d := buildctx.Definition{
		Origin: buildctx.Observed, Context: local(l.Context), Dockerfile: local(l.Dockerfile),
		Target: l.Target, Platforms: l.Platforms, NamedContexts: l.NamedContexts,
	}
	for _, name := range slices.Sorted(maps.Keys(l.Args)) {
		value, known := values[name]
		if !known {
			d.UnknownArgs = append(d.UnknownArgs, name)
			continue
		}
		if d.Args == nil {
			d.Args = map[string]string{}
		}
		d.Args[name] = value
	}
	return d
}

// PutLearnt stores a learnt definition, unless a newer build of it is stored. It deletes
// those of the same repository that are too old, or too many.
func (s *Store) PutLearnt(l Learnt) error {
	if l.Repository == "" {
		return fmt.Errorf("write %s to the store: it has no repository", learnt.name)
	}
	return s.update(learnt.name, func(tx *bbolt.Tx) error {
		have, ok, err := learnt.find(tx, learnt.key(l))
		if err != nil || ok && have.Seen.After(l.Seen) {
			return err
		}
		if err := learnt.write(tx, l); err != nil {
			return err
		}
		all, err := learnt.list(tx, join(l.Repository, ""))
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b Learnt) int { return b.Seen.Compare(a.Seen) })
		for i, old := range all {
			if i < maxLearnt && l.Seen.Sub(old.Seen) < learntFor {
				continue
			}
			if err := learnt.remove(tx, old); err != nil {
				return err
			}
		}
		return nil
	})
}

// Learnt returns the learnt definitions of a repository that are not too old, the newest
// first.
func (s *Store) Learnt(repository string, now time.Time) ([]Learnt, error) {
	all, err := learnt.all(s, join(repository, ""))
	all = slices.DeleteFunc(all, func(l Learnt) bool { return now.Sub(l.Seen) >= learntFor })
	slices.SortFunc(all, func(a, b Learnt) int {
		if newer := b.Seen.Compare(a.Seen); newer != 0 {
			return newer
		}
		return strings.Compare(a.identity(), b.identity())
	})
	return all, err
}
