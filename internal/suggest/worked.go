package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// imageVariables are variables of base images, with the folders that caches lie in.
var imageVariables = map[string]string{
	"GOPATH": "/go", "CARGO_HOME": "/usr/local/cargo", "COMPOSER_HOME": "/tmp", "GEM_HOME": "/usr/local/bundle", "BUNDLE_APP_CONFIG": "/usr/local/bundle",
}

// throughout are programs that work on all of a folder which they are given, or tell what is in it, and
// here those of them that take the working folder if none is.
var (
	throughout = []string{"cp", "tar", "mv", "find", "du", "zip", "rsync", "ls", "grep"}
	here       = []string{"find", "du", "ls"}
)

// redirected matches a file that a script writes to.
var redirected = regexp.MustCompile(`>\s*([^\s&|;<>()]+)`)

// worksOn reports whether one of the commands of instruction i, a RUN, works on the cache as on other
// files, or asks where it is. With a mount there it would see what other builds left.
func (p *mountPlan) worksOn(v *stageView, i int, commands []command) bool {
	dir := v.dirs[i]
	entered := []string{dir}
	for _, c := range commands {
		switch {
		case len(c.words) == 0, c.starts("rm"), c.starts("mkdir"):
			continue
		case c.starts("cd") && len(c.words) < 3:
			to := "~"
			if len(c.words) == 2 {
				to = c.words[1]
			}
			if image, ok := p.locate(v, i, dir, to); ok {
				dir, entered = image, append(entered, image)
			}
			continue
		case path.Base(c.words[0]) == p.tool.Program() && slices.ContainsFunc(c.words, asksForCache) && !slices.ContainsFunc(c.words, cleansCache):
			return true
		}
		deep := slices.Contains(throughout, c.words[0])
		if slices.ContainsFunc(c.words[1:], func(word string) bool { return p.reaches(v, i, dir, word, deep) || p.lists(v, i, dir, word) }) {
			return true
		}
		if _, rest := c.args(1); len(rest) == 0 && slices.Contains(here, c.words[0]) && p.reaches(v, i, dir, ".", true) {
			return true
		}
	}
	for _, m := range redirected.FindAllStringSubmatch(v.stage.Instructions[i].Run.Given, -1) {
		if slices.ContainsFunc(entered, func(dir string) bool { return p.reaches(v, i, dir, strings.Trim(m[1], `"'`), false) }) {
			return true
		}
	}
	return false
}

// reaches reports whether a word of instruction i, a RUN, that runs in an image folder, names one of
// the folders of the cache, something in one or, if deep is set, a folder that contains one.
func (p *mountPlan) reaches(v *stageView, i int, dir, word string, deep bool) bool {
	image, ok := p.locate(v, i, dir, word)
	return ok && slices.ContainsFunc(p.dirs, func(d string) bool {
		_, inside := below(d, image)
		_, above := below(image, d)
		return inside || deep && above && image != "/"
	})
}

// lists reports whether a word of instruction i, a RUN, that runs in an image folder, is a pattern that
// may match one of the folders of the cache, or one above it.
func (p *mountPlan) lists(v *stageView, i int, dir, word string) bool {
	image, ok := p.locate(v, i, dir, word+"/x") // which keeps a star at its end
	pattern := path.Dir(image)
	if !ok || !strings.ContainsAny(pattern, "*?[") {
		return false
	}
	hidden := strings.HasPrefix(path.Base(pattern), ".") // no other pattern matches a name with a dot in front
	return slices.ContainsFunc(p.dirs, func(d string) bool {
		for ; d != "/"; d = path.Dir(d) {
			if match, err := path.Match(pattern, d); err == nil && match && (hidden || !strings.HasPrefix(path.Base(d), ".")) {
				return true
			}
		}
		return false
	})
}

// locate returns the image path that a word of instruction i, a RUN, stands for in an image folder.
// It reports false if the word is none, or if that is not known.
func (p *mountPlan) locate(v *stageView, i int, dir, word string) (string, bool) {
	word = effects.Unquote(word)
	if rest, ok := strings.CutPrefix(word, "~"); ok {
		word = p.home + rest
	}
	word = expand(expand(expand(word, map[string]string{"HOME": p.home}), v.env[i]), imageVariables)
	if word == "" || strings.HasPrefix(word, "-") || strings.Contains(word, "$") || strings.Contains(word, "://") {
		return "", false
	}
	return path.Clean(resolve(dir, strings.TrimRight(word, "*"), 0)), true
}

// asksForCache and cleansCache match words of commands that are about the cache.
func asksForCache(word string) bool {
	return slices.Contains([]string{"cache", "store", "cache-dir", "cache-files-dir", "GOMODCACHE", "GOCACHE"}, word)
}

func cleansCache(word string) bool {
	return slices.Contains([]string{"clean", "clear", "purge", "prune", "verify", "rm"}, word)
}
