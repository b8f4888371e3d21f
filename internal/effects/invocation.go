package effects

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// An invocation is a command as a form of the table reads it: see match.
type invocation struct {
	form    *form
	words   []string
	sub     []string // words of the subcommand that are still to come
	flags   []string // names of flags, without values
	names   []string // words that are neither flags nor values of flags
	args    []string // all words after the subcommand
	scripts []string // values of flags, for a form whose words are a script
	into    string   // folder for downloads; "" for the working folder
	called  bool     // a flag says what the output is called
	moved   bool     // a flag says where the output goes, instead of the form's writes
	effect  Effect
}

// match reports whether a command has the form, and returns what it does then. run is
// the program and its subcommand, as in the table.
func (f *form) match(run, words []string) (Effect, bool) {
	if words[0] != run[0] {
		return Effect{}, false
	}
	c := invocation{form: f, words: words, sub: run[1:]}
	c.effect = Effect{Reads: slices.Clone(f.Reads), Writes: slices.Clone(f.Writes)}
	if !c.parse() || c.has(f.Refuse) || len(f.Needs) > 0 && !c.has(f.Needs) || c.called && c.into != "" || !c.operands() {
		return Effect{}, false
	}
	if f.Webless && !slices.ContainsFunc(c.names, func(n string) bool { return !webless(n) }) {
		c.effect.Reads, c.effect.Writes = exchanged(c.effect.Reads, System, Packages), exchanged(c.effect.Writes, System, Packages)
	}
	if f.Install != "" {
		for i := range c.args {
			c.args[i] = Unquote(c.args[i])
		}
		c.effect.Install = &Install{
			Tool: f.Install, Manifests: f.Manifests, Also: f.Also, Makes: f.Makes, Wipes: f.Wipes, Flags: c.flags, Args: c.args,
			Keeps: slices.Contains(f.Keeps, "*") || c.has(f.Keeps),
		}
	}
	return c.effect, true
}

// webless reports whether a package, perhaps with a version behind, is one of those that bring no
// pages of a web server.
func webless(name string) bool {
	name = Unquote(name)
	if i := strings.IndexAny(name, "=<>~"); i > 0 {
		name = name[:i]
	}
	return slices.Contains(read().Webless.Names, name)
}

// Widely returns paths with System in the place of Packages.
func Widely(paths []string) []string { return exchanged(paths, Packages, System) }

// exchanged returns paths with another one in the place of one.
func exchanged(paths []string, one, another string) []string {
	list := slices.Clone(paths)
	for i, p := range list {
		if p == one {
			list[i] = another
		}
	}
	return list
}

// has reports whether the command has one of the flags.
func (c *invocation) has(flags []string) bool {
	return slices.ContainsFunc(c.flags, func(name string) bool { return slices.Contains(flags, name) })
}

// parse divides the words into subcommand, flags and names. It reports false if the
// subcommand is another one, or the value of a flag is missing.
func (c *invocation) parse() bool {
	for i := 1; i < len(c.words); i++ {
		w := c.words[i]
		if len(c.sub) > 0 && w == c.sub[0] { // it may look like a flag: python -m venv
			c.sub = c.sub[1:]
			continue
		}
		if len(c.sub) == 0 {
			c.args = append(c.args, w)
		}
		if !c.form.isFlag(w) {
			if len(c.sub) > 0 {
				return false
			}
			c.names = append(c.names, w)
			continue
		}
		cluster := c.form.split(w)
		for n, flag := range cluster {
			took, ok := c.flag(flag, c.words[i+1:], n == len(cluster)-1)
			if !ok {
				return false
			}
			if took {
				i++
			}
		}
	}
	return len(c.sub) == 0
}

// flag reads a flag, the last of its word or one before others. next are the words that
// follow; took says that the first of them is its value. ok is false if it lacks one.
func (c *invocation) flag(flag string, next []string, last bool) (took, ok bool) {
	f := c.form
	name, value, joined := strings.Cut(flag, "=")
	if value != "false" { // which turns it off
		c.flags = append(c.flags, name)
	}
	in, out := slices.Contains(f.In, name), slices.Contains(f.Out, name)
	folder, other := slices.Contains(f.Into, name), slices.Contains(f.Values, name)
	if !in && !out && !folder && !other {
		if file := value[strings.LastIndex(value, "=")+1:]; joined && file != "" {
			c.effect.Reads = append(append(c.effect.Reads, file), pathsIn(value)...)
		} else if last && len(next) > 0 {
			c.effect.Reads = append(c.effect.Reads, f.besides(name, next[0])...)
		}
		return false, true
	}
	if !joined {
		if len(next) == 0 {
			return false, false
		}
		value = next[0]
		if len(c.sub) == 0 {
			c.args = append(c.args, value)
		}
	}
	c.called = c.called || out
	switch {
	case value == "-" || value == "":
	case folder:
		c.into = value
	case other && f.Words == "script":
		c.scripts = append(c.scripts, value)
	case other && strings.HasPrefix(value, "@"): // as curl names a file
		c.effect.Reads = append(c.effect.Reads, value[1:])
	case other:
		c.effect.Reads = append(c.effect.Reads, pathsIn(value)...)
	case in:
		c.effect.Reads = append(c.effect.Reads, value)
	case out:
		if f.Instead && !c.moved {
			c.effect.Writes = nil
		}
		c.moved = true
		c.effect.Writes = append(c.effect.Writes, value)
	}
	return !joined, true
}

// pathsIn returns the words in a value that are the names of files by how they begin, as in
// Dir::Etc::sourcelist=/x, file:///x or %output{/x}.
func pathsIn(value string) (list []string) {
	const between = " \t=,;{}\"'"
	for _, word := range strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(between+Quote(between), c) }) {
		if rest, ok := strings.CutPrefix(word, "file:"); ok {
			word = "/" + strings.TrimLeft(rest, "/")
		}
		if namesFile.MatchString(Unquote(word)) {
			list = append(list, word)
		}
	}
	return list
}

// namesFile matches words that begin as the names of files do, and those of no addresses.
var namesFile = regexp.MustCompile(`^(/[^/]|\.\.?/|~/)`)

// operands adds what the names stand for, and reports whether they fit the form.
func (c *invocation) operands() bool {
	switch c.form.Words {
	case "fetch":
		return c.fetch()
	case "script":
		return c.script()
	}
	return c.form.words(c.names, c.flags, &c.effect)
}

// fetch adds the files that a download of the names makes, where these are called like
// their addresses.
func (c *invocation) fetch() bool {
	if slices.ContainsFunc(c.names, func(n string) bool { return strings.HasPrefix(strings.ToLower(n), "file:") }) {
		return false
	}
	if c.has(c.form.Remote) || !c.called && slices.Contains(c.form.Remote, "*") {
		for _, n := range c.names {
			c.effect.Writes = append(c.effect.Writes, cmp.Or(c.into, ".")+"/"+fileOf(n))
		}
	}
	return true
}

// script adds the files that sed reads, and with -i writes. The script is the first name
// unless a flag gives it. It reports false if a script may do more than edit lines, or if
// sed keeps the old text in another file.
func (c *invocation) script() bool {
	if len(c.scripts) == 0 && len(c.names) > 0 {
		c.scripts, c.names = c.names[:1], c.names[1:]
	}
	known := len(c.scripts) > 0 && !slices.ContainsFunc(c.scripts, func(s string) bool { return !edits(Unquote(s)) })
	if !known || !c.form.words(c.names, c.flags, &c.effect) || slices.ContainsFunc(c.words, keepsBackup) {
		return false
	}
	if c.has([]string{"-i", "--in-place"}) {
		c.effect.Writes = append(c.effect.Writes, c.names...)
	}
	return true
}

// keepsBackup reports whether a word is sed's -i with a suffix, for the file that keeps
// the old text.
func keepsBackup(w string) bool {
	at := strings.IndexByte(w, 'i')
	return strings.HasPrefix(w, "--in-place=") || len(w) > 1 && w[0] == '-' && w[1] != '-' && at > 0 && at < len(w)-1
}

// minusMode matches a mode of chmod that takes permissions away, which looks like a flag.
var minusMode = regexp.MustCompile(`^-[rwxXst]+$`)

// isFlag reports whether a word is a flag.
func (f *form) isFlag(w string) bool {
	return len(w) >= 2 && w[0] == '-' && !(f.Modes && minusMode.MatchString(w))
}

// joinedFile matches a flag of one letter with the name of a file right behind it.
var joinedFile = regexp.MustCompile(`^-[A-Za-z](/[^/]|\.\.?/|~/)`)

// split returns the flags of a word: several if it is a cluster of one-letter flags, and
// the form has such. A value that is joined on to one follows a "=".
func (f *form) split(word string) []string {
	if !f.Clusters && joinedFile.MatchString(word) {
		return []string{word[:2] + "=" + word[2:]}
	}
	if !f.Clusters || strings.HasPrefix(word, "--") || len(word) < 3 || strings.Contains(word, "=") {
		return []string{word}
	}
	var list []string
	for i, letter := range word[1:] {
		flag := "-" + string(letter)
		if rest := word[1+i+1:]; rest != "" && (slices.Contains(f.Out, flag) || slices.Contains(f.In, flag) || slices.Contains(f.Values, flag)) {
			return append(list, flag+"="+rest) // -O-
		}
		list = append(list, flag)
	}
	return list
}
