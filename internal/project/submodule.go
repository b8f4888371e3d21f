package project

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// submodulePath matches where a submodule lies, in a .gitmodules.
var submodulePath = regexp.MustCompile(`(?m)^[ \t]*path[ \t]*=[ \t]*"?([^"\r\n]*?)"?[ \t]*$`)

// lacksCheckout returns the submodule that a path of the repository lies in, if git has
// not checked it out: nothing is there before it does. "" for none.
func (p *Picture) lacksCheckout(rel string) string {
	text, err := p.Text(filepath.Join(p.Root, ".gitmodules"))
	if err != nil {
		return ""
	}
	for _, m := range submodulePath.FindAllStringSubmatch(string(text), -1) {
		dir := path.Clean(m[1])
		if rel != dir && !strings.HasPrefix(rel, dir+"/") || !filepath.IsLocal(filepath.FromSlash(dir)) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(p.Root, filepath.FromSlash(dir), ".git")); err != nil {
			return dir
		}
	}
	return ""
}

func notCheckedOut(dir string) string {
	return "the submodule " + dir + " is not checked out: git submodule update --init"
}
