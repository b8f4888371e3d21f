package project

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// submodulePath matches the lines of a .gitmodules file with the path of a submodule.
var submodulePath = regexp.MustCompile(`(?m)^[ \t]*path[ \t]*=[ \t]*"?([^"\r\n]*?)"?[ \t]*$`)

// lacksCheckout returns the submodule that a path of the repository is in, if it is not
// checked out, which is why nothing is there; else "".
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

// notCheckedOut returns the hint for a submodule that is not checked out.
func notCheckedOut(dir string) string {
	return "the submodule " + dir + " is not checked out: git submodule update --init"
}
