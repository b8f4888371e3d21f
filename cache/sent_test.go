package cache_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/context/dockerfile"
)

// contents answers for the local contexts of a plan with what BuildKit's own
// client would send of them now. Directories go by the names of their contexts.
func contents(t testing.TB, plan *dockerfile.Plan, dirs map[string]string) cache.ContentFunc {
	t.Helper()
	manifests := make([]*content.Manifest, len(plan.Requests))
	for i, r := range plan.Requests {
		manifests[i] = sent(t, dirs[r.Local], r)
	}
	return func(request int, selected []dockerfile.Selector) (string, error) {
		list := make([]content.Selector, len(selected))
		for i, s := range selected {
			list[i] = content.Selector(s)
		}
		digest, err := manifests[request].Content(list)
		return digest.String(), err
	}
}

// sent returns the manifest of what a request brings.
func sent(t testing.TB, dir string, r dockerfile.Request) *content.Manifest {
	t.Helper()
	files, err := fsutil.NewFS(dir)
	if err == nil {
		files, err = fsutil.NewFilterFS(files, &fsutil.FilterOpt{ExcludePatterns: r.Excludes, FollowPaths: r.FollowPaths})
	}
	if err != nil {
		t.Fatal(err)
	}
	b := content.NewBuilder(nil)
	err = files.Walk(t.Context(), "", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		stat, ok := fi.Sys().(*types.Stat)
		if !ok {
			return errors.New("no stat")
		}
		h := content.Header{Mode: fs.FileMode(stat.Mode), Size: stat.Size, Link: stat.Linkname}
		var data []byte
		if h.Mode.IsRegular() {
			if data, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		b.Add(filepath.ToSlash(name), content.Entry{Mode: h.Mode, Size: h.Size, Link: h.Link, Digest: h.DigestOf(data)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Manifest()
}
