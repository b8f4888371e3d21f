package suggest

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/stokerd/stoker/internal/effects"
)

// fed reads a statement on the right of a pipe; the command on its left is the last of inner.
// If that writes names of files, the statement becomes a command with these as arguments.
func (c *command) fed(stmt *syntax.Stmt) bool {
	from := len(c.inner)
	c.inner = flatten(c.inner, stmt)
	if from == 0 || len(c.inner) != from+1 {
		return true
	}
	source, sink := c.inner[from-1], &c.inner[from]
	lists, checks := sink.sums()
	switch {
	case !checks || len(lists) > 0:
	case source.starts("echo") || source.starts("printf"):
		sink.words = append(sink.words[:1:1], named(source.words)...)
	case source.starts("grep") && len(source.words) > 2:
		sink.words = append(slices.Clone(sink.words), source.words[len(source.words)-1])
	}
	switch {
	case sink.starts("xargs"):
		paths, ok := source.found()
		ok = ok && len(source.writes) == 0
		if run := handedOn(sink.words); ok && run != nil {
			sink.words = append(run, source.names(paths, run)...)
		}
	}
	return true
}

// sums reports whether a command checks files against checksums, and returns the lists that it
// reads these from: none if they come from a pipe.
func (c command) sums() (lists []string, ok bool) {
	if len(c.words) < 2 || len(c.reads)+len(c.inner) > 0 || !slices.Contains([]string{"md5sum", "sha1sum", "sha256sum", "sha512sum", "shasum"}, c.words[0]) {
		return nil, false
	}
	for i := 1; i < len(c.words); i++ {
		switch w := c.words[i]; {
		case w == "-a":
			i++ // of which algorithm
		case w == "--check", strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.Contains(w, "c"):
			ok = true
		case !strings.HasPrefix(w, "-"):
			lists = append(lists, w)
		}
	}
	return lists, ok
}

// named returns the names of files in lines of checksums that an echo or printf writes.
func named(words []string) (files []string) {
	for words = words[1:]; len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "%s")); {
		words = words[1:]
	}
	for line := range strings.Lines(strings.Join(words, " ")) {
		fields := strings.Fields(strings.ReplaceAll(line, `\n`, " "))
		if len(fields) > 1 {
			fields = fields[1:]
		}
		for _, f := range fields {
			files = append(files, strings.TrimPrefix(strings.TrimPrefix(f, "*"), effects.Quote("*")))
		}
	}
	return files
}

// found returns the folders in which a find searches; false if it is another command, or follows
// links.
func (c command) found() ([]string, bool) {
	if !c.starts("find") || slices.ContainsFunc(c.words, func(w string) bool { return slices.Contains([]string{"-L", "-H", "-P", "-follow"}, w) }) {
		return nil, false
	}
	var paths []string
	for _, w := range c.words[1:] {
		if strings.HasPrefix(w, "-") || w == "(" || w == "!" {
			break
		}
		paths = append(paths, w)
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return paths, true
}

// names returns what a find in these folders names to the command that run begins. That goes through
// links which it finds, if it finds any and the command does not remove them.
func (c command) names(paths, run []string) []string {
	all := slices.Clone(paths)
	if c.leavesLinks() || len(run) > 0 && slices.Contains([]string{"rm", "rmdir", "unlink"}, effects.Called(run)) {
		return all
	}
	for _, p := range paths {
		all = append(all, path.Join(p, anyBelow))
	}
	return all
}

// leavesLinks reports whether a find is known to name no symbolic links: it asks for files or for
// folders, in a condition that all has to meet, before it does anything else.
func (c command) leavesLinks() bool {
	asks, depth := false, 0
	for i, w := range c.words {
		switch {
		case w == "(":
			depth++
		case w == ")":
			depth--
		case depth > 0:
		case w == "-exec", w == "-delete":
			return asks
		case w == "-o", w == "-or", w == ",":
			return false
		case w == "-type" && i+1 < len(c.words) && c.words[i-1] != "!" && c.words[i-1] != "-not":
			asks = asks || c.words[i+1] == "f" || c.words[i+1] == "d"
		}
	}
	return asks
}

// handedOn returns the command that xargs runs, or nil if xargs has flags which change that.
func handedOn(words []string) []string {
	for i, w := range words[1:] {
		if !strings.HasPrefix(w, "-") {
			return slices.Clone(words[1+i:])
		}
		if !slices.Contains([]string{"-0", "-r", "-t", "--null", "--no-run-if-empty", "-0r", "-r0"}, w) {
			break
		}
	}
	return nil
}

// executing returns the commands that a find runs, with the folders that it searches for their
// arguments, and the find without them. Any other command is returned as it is.
func executing(c command) []command {
	paths, ok := c.found()
	if !ok || len(c.inner) > 0 || len(c.writes) > 0 && (slices.Contains(c.words, "-exec") || slices.Contains(c.words, "-delete")) {
		return []command{c}
	}
	rest, list := c, []command(nil)
	rest.words = nil
	for i := 0; i < len(c.words); i++ {
		switch w := c.words[i]; w {
		case "-delete":
			list = append(list, command{words: append([]string{"rm"}, paths...), from: c.from, to: c.to, assigns: c.assigns})
		case "-exec":
			run := command{from: c.from, to: c.to, assigns: c.assigns}
			for i++; i < len(c.words) && c.words[i] != ";" && c.words[i] != "+"; i++ {
				if effects.Unquote(c.words[i]) == "{}" {
					run.words = append(run.words, c.names(paths, run.words)...)
				} else {
					run.words = append(run.words, c.words[i])
				}
			}
			list = append(list, run)
		case "-xtype", "-readable", "-writable", "-executable": // of what a link leads to
			rest.words = append(append(rest.words, w), c.names(paths, nil)...)
		default:
			rest.words = append(rest.words, w)
		}
	}
	return append(list, rest)
}
