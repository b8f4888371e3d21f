package suggest

import (
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// isFree reports whether a command is known to touch the same files in any working folder:
// those of the system, and settings of its program.
func isFree(c command) bool {
	if len(c.words) == 0 || len(c.inner) > 0 || len(c.writes) > 0 || c.steered() {
		return false
	}
	e, ok := effects.Of(c.words)
	if !ok || e.Install != nil {
		return false
	}
	return !slices.ContainsFunc(append(slices.Clone(e.Reads), e.Writes...), func(p string) bool {
		_, places := effects.PlacesOf(p)
		hidden := strings.HasPrefix(p, ".") && p != "." && !strings.HasPrefix(p, "./")
		return !places && p[0] != '~' && !path.IsAbs(p) && !hidden && !strings.HasPrefix(p, effects.Upward)
	})
}

// pipArgs returns the arguments of `pip install`, however pip is called; false for any other
// command. A pip with a relative path does not count, as it may be any program.
func pipArgs(c command) ([]string, bool) {
	w := c.words
	if len(w) > 2 && (w[0] == "python" || w[0] == "python3") && w[1] == "-m" && w[2] == "pip" {
		w = w[2:]
	}
	if len(w) == 0 {
		return nil, false
	}
	name := path.Base(w[0])
	if (name != "pip" && name != "pip3") || strings.Contains(w[0], "/") && !path.IsAbs(w[0]) {
		return nil, false
	}
	// Global flags may precede the subcommand: pip --no-cache-dir install.
	for i, word := range w[1:] {
		if word == "install" {
			return append(slices.Clone(w[1:1+i]), w[i+2:]...), true
		}
		if !strings.HasPrefix(word, "-") {
			break
		}
	}
	return nil, false
}

// deletes reports whether a command deletes files. In a layer of its own that would not make
// the image smaller.
func deletes(c command) bool {
	if slices.ContainsFunc(c.inner, deletes) {
		return true
	}
	if len(c.words) == 0 {
		return false
	}
	return c.words[0] == "rm" || slices.ContainsFunc(c.words[1:], func(w string) bool {
		return slices.Contains([]string{"prune", "clean", "autoclean", "uninstall", "clear", "clear-cache", "clearcache", "purge"}, w)
	})
}

// verb returns a function that reports whether a command is `tool VERB`, with flags between.
func verb(tool string, verbs ...string) func(command) bool {
	return func(c command) bool {
		if len(c.words) == 0 || c.words[0] != tool {
			return false
		}
		_, rest := c.args(1)
		return len(rest) > 0 && slices.Contains(verbs, rest[0])
	}
}
