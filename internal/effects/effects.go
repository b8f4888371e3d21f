// Package effects knows what well-known commands read and write, where they keep their
// caches, and which settings lead them elsewhere.
//
// The knowledge is a table, table.toml, whose head documents its fields. [Of] looks up a
// command: one that is not in the table may do anything. Files of a project can make a
// command read more (lifecycle scripts, workspaces, local dependencies); it is for the
// caller to look for these.
//
// Words of commands are given with their quotes removed: see [Quote].
//
// The table is parsed once. All values are shared and must not be changed; the functions
// are safe for concurrent use.
package effects

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

//go:embed table.toml
var text []byte

// Names that stand for many folders in an [Effect]: see [PlacesOf].
const (
	System   = "system"   // the folders of the distribution's packages
	Packages = "packages" // these without the pages of web servers, which few packages bring
	Tools    = "tools"    // the first and /usr/local
)

// Upward is the prefix of a path that is looked for in the working folder and in all
// folders above it.
const Upward = "^"

// An Effect is what a command reads and writes. A path is absolute, relative to the
// working folder, below "~" (the home of the user) or prefixed with [Upward]. It may also
// be [System], [Packages] or [Tools].
type Effect struct {
	Reads, Writes []string
	Install       *Install // nil if the command installs nothing that manifests name
}

// An Install is a command that installs what manifests name.
type Install struct {
	Tool string // the package manager
	// Manifests are files of which it needs at least one; it reads those of Also if
	// they are there.
	Manifests, Also []string
	Makes           string   // the folder that it fills, in the working folder; "" for none there
	Wipes           bool     // it empties that folder first
	Keeps           bool     // it writes to no file that it reads
	Launcher        string   // script in the working folder that starts it, mvnw or gradlew; "" for none
	Flags           []string // names of its flags
	Args            []string // all words after the subcommand
}

// Places are the folders Roots with all below, without the folders Except: these belong to
// the application by custom.
type Places struct {
	Roots  []string `toml:"roots"`
	Except []string `toml:"except"`
}

// A form is an entry of the table: a way to call some programs. The head of the table
// says what its fields mean.
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
	Webless   bool     `toml:"webless"`
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

// A table is the content of table.toml.
type table struct {
	System   Places `toml:"system"`
	Packages Places `toml:"packages"`
	Tools    Places `toml:"tools"`
	Webless  struct {
		Names []string `toml:"names"`
	} `toml:"webless"`
	Others struct {
		Names []string `toml:"names"`
	} `toml:"programs"`
	Modules struct {
		Names []string `toml:"names"`
	} `toml:"modules"`
	Forms    []form     `toml:"form"`
	Caches   []Cache    `toml:"cache"`
	Settings []Settings `toml:"settings"`

	byProgram map[string][]*form // in the order of the table
}

// read returns the embedded table.
var read = sync.OnceValue(func() *table {
	t, err := parse(text)
	if err != nil {
		return &table{} // cannot be: a test parses it
	}
	return t
})

// parse reads and checks a table.
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
		if !slices.Contains([]string{"none", "names", "found", "packages", "versions", "text", "look", "test", "read", "write", "change", "copy", "move", "link", "search", "script", "fetch", "clone", "any"}, f.Words) {
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

// PlacesOf returns the folders that [System], [Packages] or [Tools] stands for; false for any
// other name.
func PlacesOf(name string) (Places, bool) {
	switch name {
	case System:
		return read().System, true
	case Packages:
		return read().Packages, true
	case Tools:
		return read().Tools, true
	}
	return Places{}, false
}

// Program reports whether name is that of a program in the table, or of one that those may
// run.
func Program(name string) bool {
	t := read()
	return len(t.byProgram[name]) > 0 || slices.ContainsFunc(t.Others.Names, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok || err != nil
	})
}

// Module reports whether a file of this name, in the working folder, takes the place of a module that
// a program started by "python -m" may load.
func Module(name string) bool {
	module, ok := strings.CutSuffix(name, ".py")
	return ok && slices.Contains(read().Modules.Names, module)
}

// Manifest reports whether name is that of a file which tells a command of the table what
// to install.
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

// Of returns what a command does, given its words, quoted as by [Quote]. A variable is
// written "$NAME", or "${NAME}" where it stands in quotes. Of reports false if the program
// is not in the table, or not with such flags and arguments.
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

// composer recognises composer that is run by PHP, as in "php composer.phar install". It
// returns the file and the words after it, or "" for any other command.
func composer(words []string) (archive string, rest []string) {
	if len(words) == 0 || path.Base(words[0]) != "php" {
		return "", nil
	}
	for words = words[1:]; len(words) > 1 && strings.HasPrefix(words[0], "-d"); words = words[1:] {
		if words[0] == "-d" {
			words = words[1:] // the setting, NAME=VALUE
		}
	}
	if len(words) > 0 && slices.Contains([]string{"composer", "composer.phar"}, path.Base(words[0])) {
		return words[0], words[1:]
	}
	return "", nil
}

// program returns the words with the program under the name that the table has: without
// sudo or an absolute path before it, and "pip" for "python -m pip".
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
			if at := strings.LastIndexByte(rest[i], '@'); at > 0 && !strings.Contains(rest[i][at:], "/") {
				rest[i] = rest[i][:at] // without the version
			}
		}
	}
	if name == "tar" && len(rest) > 0 && rest[0] != "" && rest[0][0] != '-' {
		rest = append([]string{"-" + rest[0]}, rest[1:]...) // tar xf is tar -xf
	}
	return append([]string{name}, rest...)
}
