// Package effects knows what well-known commands read and write.
//
// The knowledge is data, table.toml, which says in its head what its fields
// mean. [Of] looks a command up in it; a command that is not known there may do
// anything. What a project's own files add to it (life cycle scripts,
// workspaces, paths) is for the caller to look for.
//
// The table is read once; all values are immutable.
package effects

import (
	"cmp"
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

//go:embed table.toml
var text []byte

// The names that stand for the places of whole systems in [Effect].
const (
	System = "system" // what the distribution's packages own
	Tools  = "tools"  // that, and /usr/local
)

// Upward, before a path, says that it is looked for in the working folder and in all
// above it.
const Upward = "^"

// An Effect is what a command reads and writes. Paths are as the command or the
// table has them: absolute, relative to the working folder, below "~", the home
// of the user, or behind [Upward]; or System or Tools.
type Effect struct {
	Reads, Writes []string
	Install       *Install // nil for a command that is none
}

// An Install is a command that installs what manifests name.
type Install struct {
	Tool string
	// Manifests are those it cannot do without one of, Also what it reads beside
	// them if it is there.
	Manifests, Also []string
	Makes           string // the folder that it fills, in the working folder; "" for elsewhere
	Wipes           bool   // it empties that folder first
	Keeps           bool   // it writes to no file that it reads
	Launcher        string // the script in the working folder that starts it: mvnw, gradlew
	Flags           []string
	Args            []string // all words after the subcommand
}

// Places are folders of the system, without those that are the application's by
// custom.
type Places struct {
	Roots  []string `toml:"roots"`
	Except []string `toml:"except"`
}

// A form is one entry of the table.
type form struct {
	Run       []string `toml:"run"`
	Needs     []string `toml:"needs"`
	Refuse    []string `toml:"refuse"`
	Values    []string `toml:"values"`
	In        []string `toml:"in"`
	Out       []string `toml:"out"`
	Remote    []string `toml:"remote"`
	Into      []string `toml:"into"`
	Clusters  bool     `toml:"clusters"`
	Modes     bool     `toml:"modes"`
	Words     string   `toml:"words"`
	Skip      int      `toml:"skip"`
	Reads     []string `toml:"reads"`
	Writes    []string `toml:"writes"`
	Install   string   `toml:"install"`
	Manifests []string `toml:"manifests"`
	Also      []string `toml:"also"`
	Makes     string   `toml:"makes"`
	Wipes     bool     `toml:"wipes"`
	Keeps     []string `toml:"keeps"`
	Instead   bool     `toml:"instead"`
}

type table struct {
	System Places `toml:"system"`
	Tools  Places `toml:"tools"`
	Others struct {
		Names []string `toml:"names"`
	} `toml:"programs"`
	Forms    []form     `toml:"form"`
	Caches   []Cache    `toml:"cache"`
	Settings []Settings `toml:"settings"`

	byProgram map[string][]*form
}

var read = sync.OnceValue(func() *table {
	t, err := parse(text)
	if err != nil {
		return &table{} // it is part of the program, and a test reads it
	}
	return t
})

func parse(text []byte) (*table, error) {
	t := &table{byProgram: map[string][]*form{}}
	d := toml.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(t); err != nil {
		return nil, fmt.Errorf("read the table of commands: %w", err)
	}
	for i := range t.Caches {
		if err := t.Caches[i].check(); err != nil {
			return nil, err
		}
	}
	for i := range t.Settings {
		if err := t.Settings[i].compile(); err != nil {
			return nil, err
		}
	}
	for i := range t.Forms {
		f := &t.Forms[i]
		if !slices.Contains([]string{"none", "names", "packages", "versions", "text", "look", "test", "read", "write", "change", "copy", "move", "link", "search", "script", "fetch", "clone", "any"}, f.Words) {
			return nil, fmt.Errorf("read the table of commands: %v has words = %q", f.Run, f.Words)
		}
		for _, run := range f.Run {
			program, _, _ := strings.Cut(run, " ")
			if list := t.byProgram[program]; len(list) == 0 || list[len(list)-1] != f {
				t.byProgram[program] = append(list, f)
			}
		}
	}
	return t, nil
}

// PlacesOf returns the places that System or Tools stands for.
func PlacesOf(name string) (Places, bool) {
	switch name {
	case System:
		return read().System, true
	case Tools:
		return read().Tools, true
	}
	return Places{}, false
}

// Program reports whether a program of this name is one that a known command is, or may
// run.
func Program(name string) bool {
	t := read()
	return len(t.byProgram[name]) > 0 || slices.ContainsFunc(t.Others.Names, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok || err != nil
	})
}

// Manifest reports whether a file of this name says what some known command
// installs.
func Manifest(name string) bool {
	for i := range read().Forms {
		f := &read().Forms[i]
		for _, known := range slices.Concat(f.Manifests, f.Also) {
			if ok, err := path.Match(known, name); err == nil && ok {
				return true
			}
		}
	}
	return false
}

// Of returns what a command does, by its words with quotes removed as [Quote] has it; a
// variable stands as "$NAME", or as "${NAME}" where it is quoted. It reports false for a command that is not known, or not in
// this form.
func Of(words []string) (Effect, bool) {
	archive, _ := composer(words)
	words = program(words)
	if len(words) == 0 {
		return Effect{}, false
	}
	launcher := ""
	for script, name := range map[string]string{"mvnw": "mvn", "gradlew": "gradle"} {
		if words[0] == "./"+script {
			launcher = script
			words = append([]string{name}, words[1:]...)
			break
		}
	}
	for _, f := range read().byProgram[words[0]] {
		for _, run := range f.Run {
			e, ok := f.match(strings.Fields(run), words)
			if !ok || launcher != "" && e.Install == nil {
				continue
			}
			if launcher != "" {
				e.Install.Launcher = launcher
			}
			if archive != "" {
				e.Reads = append(e.Reads, archive)
				if e.Install != nil && !path.IsAbs(archive) {
					e.Install.Also = append(slices.Clone(e.Install.Also), path.Clean(archive))
				}
			}
			return e, true
		}
	}
	return Effect{}, false
}

// composer returns the file that holds composer, where PHP is told to run it, and the words
// behind it: "php composer.phar install"; "" for anything else.
func composer(words []string) (archive string, rest []string) {
	if len(words) == 0 || path.Base(words[0]) != "php" {
		return "", nil
	}
	for words = words[1:]; len(words) > 1 && strings.HasPrefix(words[0], "-d"); words = words[1:] {
		if words[0] == "-d" {
			words = words[1:] // a setting of PHP's
		}
	}
	if len(words) > 0 && slices.Contains([]string{"composer", "composer.phar"}, path.Base(words[0])) {
		return words[0], words[1:]
	}
	return "", nil
}

// program strips what only says how a command is run: sudo, a path that every
// shell would find, python -m pip.
func program(words []string) []string {
	for len(words) > 1 && slices.Contains([]string{"sudo", "command", "exec"}, words[0]) && !strings.HasPrefix(words[1], "-") {
		words = words[1:]
	}
	if len(words) == 0 {
		return nil
	}
	if archive, rest := composer(words); archive != "" {
		return append([]string{"composer"}, rest...)
	}
	name := words[0]
	if path.IsAbs(name) {
		name = path.Base(name)
	}
	rest := words[1:]
	if (name == "python" || name == "python3") && len(rest) > 1 && rest[0] == "-m" && rest[1] == "pip" {
		return append([]string{"pip"}, rest[2:]...)
	}
	if name == "pip3" {
		name = "pip"
	}
	if name == "npx" {
		rest = slices.Clone(rest)
		if i := slices.IndexFunc(rest, func(w string) bool { return !strings.HasPrefix(w, "-") }); i >= 0 {
			if at := strings.LastIndexByte(rest[i], '@'); at > 0 {
				rest[i] = rest[i][:at] // the version that is wanted of it
			}
		}
	}
	if name == "tar" && len(rest) > 0 && rest[0] != "" && rest[0][0] != '-' {
		rest = append([]string{"-" + rest[0]}, rest[1:]...) // the dash may be left out
	}
	return append([]string{name}, rest...)
}

// minusMode matches a mode of chmod's that takes rights away.
var minusMode = regexp.MustCompile(`^-[rwxXst]+$`)

// match reports whether a command has the form, and what it does then. run is
// the program and its subcommand.
func (f *form) match(run, words []string) (Effect, bool) {
	if words[0] != run[0] {
		return Effect{}, false
	}
	e := Effect{Reads: slices.Clone(f.Reads), Writes: slices.Clone(f.Writes)}
	sub := run[1:]
	var flags, names, args, told []string
	elsewhere, called, into := false, false, ""
	for i := 1; i < len(words); i++ {
		w := words[i]
		if len(sub) > 0 && w == sub[0] { // a subcommand may itself look like a flag: python -m venv
			sub = sub[1:]
			continue
		}
		if len(sub) == 0 {
			args = append(args, w)
		}
		if len(w) < 2 || w[0] != '-' || f.Modes && minusMode.MatchString(w) {
			if len(sub) > 0 {
				return Effect{}, false
			}
			names = append(names, w)
			continue
		}
		together := f.split(w)
		for n, flag := range together {
			name, value, joined := strings.Cut(flag, "=")
			if value != "false" { // else it is as if it were not there
				flags = append(flags, name)
			}
			in, out, known := slices.Contains(f.In, name), slices.Contains(f.Out, name), slices.Contains(f.Values, name)
			folder := slices.Contains(f.Into, name)
			if !in && !out && !known && !folder {
				if file := value[strings.LastIndex(value, "=")+1:]; joined && file != "" {
					e.Reads = append(e.Reads, file)
				} else if n == len(together)-1 && i+1 < len(words) && f.takesFile(words[i+1]) {
					e.Reads = append(e.Reads, words[i+1])
				}
				continue
			}
			if !joined {
				if i++; i == len(words) {
					return Effect{}, false
				}
				value = words[i]
				if len(sub) == 0 {
					args = append(args, value)
				}
			}
			called = called || out
			switch {
			case value == "-" || value == "":
			case folder:
				into = value
			case known && f.Words == "script":
				told = append(told, value)
			case known && strings.HasPrefix(value, "@"): // as curl names a file
				e.Reads = append(e.Reads, value[1:])
			case in:
				e.Reads = append(e.Reads, value)
			case out:
				if f.Instead && !elsewhere {
					e.Writes = nil
				}
				elsewhere = true
				e.Writes = append(e.Writes, value)
			}
		}
	}
	has := func(list []string) bool {
		return slices.ContainsFunc(flags, func(name string) bool { return slices.Contains(list, name) })
	}
	if len(sub) > 0 || has(f.Refuse) || len(f.Needs) > 0 && !has(f.Needs) || called && into != "" {
		return Effect{}, false
	}
	switch f.Words {
	case "fetch":
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "file:") }) {
			return Effect{}, false
		}
		if has(f.Remote) || !called && slices.Contains(f.Remote, "*") {
			for _, n := range names {
				e.Writes = append(e.Writes, cmp.Or(into, ".")+"/"+fileOf(n))
			}
		}
	case "script":
		if len(told) == 0 && len(names) > 0 {
			told, names = names[:1], names[1:]
		}
		suffixed := func(w string) bool { // what follows -i in its word, a file's name gets in what is kept
			at := strings.IndexByte(w, 'i')
			return strings.HasPrefix(w, "--in-place=") || len(w) > 1 && w[0] == '-' && w[1] != '-' && at > 0 && at < len(w)-1
		}
		if len(told) == 0 || !f.words(names, flags, &e) || slices.ContainsFunc(words, suffixed) || slices.ContainsFunc(told, func(s string) bool { return !edits(Unquote(s)) }) {
			return Effect{}, false
		}
		if has([]string{"-i", "--in-place"}) {
			e.Writes = append(e.Writes, names...)
		}
	default:
		if !f.words(names, flags, &e) {
			return Effect{}, false
		}
	}
	if f.Install != "" {
		for i := range args {
			args[i] = Unquote(args[i])
		}
		e.Install = &Install{
			Tool: f.Install, Manifests: f.Manifests, Also: f.Also, Makes: f.Makes, Wipes: f.Wipes, Flags: flags, Args: args,
			Keeps: slices.Contains(f.Keeps, "*") || has(f.Keeps),
		}
	}
	return e, true
}

// split takes a cluster of one-letter flags apart.
func (f *form) split(word string) []string {
	if !f.Clusters || strings.HasPrefix(word, "--") || len(word) < 3 || strings.Contains(word, "=") {
		return []string{word}
	}
	var list []string
	for i, letter := range word[1:] {
		flag := "-" + string(letter)
		if rest := word[1+i+1:]; rest != "" && (slices.Contains(f.Out, flag) || slices.Contains(f.In, flag) || slices.Contains(f.Values, flag)) {
			return append(list, flag+"="+rest) // its value is joined on: -O-
		}
		list = append(list, flag)
	}
	return list
}
