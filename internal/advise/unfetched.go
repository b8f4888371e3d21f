package advise

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/checkout"
	"github.com/stokerd/stoker/internal/project"
)

// unfetched returns the files that builds take and that are pointers of Git LFS.
func unfetched(p *project.Picture, builds []*project.Build) []string {
	found, uses := map[string]bool{}, map[string]bool{}
	for root, tree := range p.Trees() {
		for f := range tree.All() {
			if !f.Mode.IsRegular() || f.Size > checkout.MaxPointer {
				continue
			}
			at := filepath.Join(root, filepath.FromSlash(f.Path))
			if name := p.Relative(at); usesLFS(p.Root, filepath.Dir(at), uses) && anyTakes(p, builds, name) {
				if text, err := os.ReadFile(at); err == nil && checkout.IsPointer(text) {
					found[name] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// usesLFS reports whether Git LFS may have files in a folder of the repository root. It keeps
// what it found in known.
func usesLFS(root, dir string, known map[string]bool) bool {
	if uses, ok := known[dir]; ok {
		return uses
	}
	uses := false
	if info, err := os.Lstat(filepath.Join(dir, ".gitattributes")); err == nil && info.Mode().IsRegular() {
		text, err := os.ReadFile(filepath.Join(dir, ".gitattributes"))
		uses = err == nil && bytes.Contains(text, []byte("filter=lfs"))
	}
	known[dir] = uses || strings.HasPrefix(dir, root+string(filepath.Separator)) && usesLFS(root, filepath.Dir(dir), known)
	return known[dir]
}
