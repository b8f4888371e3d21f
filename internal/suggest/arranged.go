package suggest

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// An arrangement is what lasting settings (see effects.Settings), made by RUNs of a stage and
// its base stages, change for a program.
type arrangement struct {
	paths []string // words that name paths which the program may read or write
	cache bool     // its cache is moved or turned off
}

// arranged returns the arrangement for a program by instruction i, a RUN, and those above it.
func (v *stageView) arranged(i int, program string) (a arrangement) {
	settings := effects.SettingsOf(program)
	if len(settings) == 0 {
		return a
	}
	for at := v.stage.BaseStage; at >= 0; at = v.file.Stages[at].BaseStage {
		for _, in := range v.file.Stages[at].Instructions {
			a.follow(in, v.shell[i], settings)
		}
	}
	for k, in := range v.stage.Instructions[:i+1] {
		a.follow(in, v.shell[k], settings)
	}
	return a
}

// follow adds the settings that an instruction makes.
func (a *arrangement) follow(in dockerfile.Instruction, shell []string, settings []*effects.Settings) {
	if in.Run == nil {
		return
	}
	for _, s := range settings {
		if s.In(in.Run.Given) != "" {
			a.written(s, in.Run.Given)
		}
		if !slices.ContainsFunc(s.Run, func(run string) bool {
			_, verb, _ := strings.Cut(run, " ")
			return strings.Contains(in.Text, verb)
		}) {
			continue
		}
		commands, _ := everyCommand(in.Run, shell)
		for _, c := range commands {
			if key, value, ok := s.Made(c.words); ok {
				a.set(s, key, value)
			}
		}
	}
}

// set adds one setting.
func (a *arrangement) set(s *effects.Settings, key, value string) {
	value = strings.Trim(value, `"'`)
	if value == "" || s.IsPlain(key) || strings.Contains(value, "://") && !strings.Contains(value, "file:") {
		return
	}
	moves := s.MovesCache(key)
	a.cache = a.cache || moves
	_, err := strconv.ParseFloat(value, 64)
	switch {
	case err == nil, value == "true", value == "false":
	case moves, leadsAway.MatchString(key), strings.Contains(value, "/"), strings.HasPrefix(value, "."), strings.HasPrefix(value, "$"):
		for word := range strings.FieldsFuncSeq(value, separates) {
			a.paths = append(a.paths, ofFile(word))
		}
	}
}

// written adds what a script that mentions a file of settings may write to it: any path in the
// script.
func (a *arrangement) written(s *effects.Settings, text string) {
	text = strings.ReplaceAll(text, `\n`, "\n")
	a.cache = a.cache || s.MovesCache(text)
	for _, m := range pathsIn.FindAllStringSubmatch(text, -1) {
		if name := ofFile(m[1]); !strings.HasPrefix(name, "//") && s.In(name) == "" && name != "/dev/null" {
			a.paths = append(a.paths, name)
		}
	}
	for _, m := range namesPlace.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "://") {
			a.paths = append(a.paths, m[1])
		}
	}
}

// leadsAway matches keys of settings whose values are files or folders, however they look.
var leadsAway = regexp.MustCompile(`(?i)(find-links|constraints?|cafile|certfile|keyfile|cert)$`)

// filled returns the paths that the program may write to: all but those with an extension,
// which are files that it reads.
func (a *arrangement) filled() []string {
	return slices.DeleteFunc(slices.Clone(a.paths), func(p string) bool { return path.Ext(p) != "" })
}

// ofFile returns the path in a file: address, and any other word as it is.
func ofFile(word string) string {
	if rest, ok := strings.CutPrefix(word, "file:"); ok && strings.HasPrefix(rest, "/") {
		return path.Clean("/" + strings.TrimLeft(rest, "/"))
	}
	return word
}

var (
	// pathsIn matches paths that begin at the root or the home folder.
	pathsIn = regexp.MustCompile("(?:^|[\\s\"'=,;:(\\[>])((?:file:/*|~)?/[^\\s\"'=,;:()\\[\\]<>|&`\\\\]+)")
	// namesPlace matches settings with a relative path as their value.
	namesPlace = regexp.MustCompile(`(?:\b(?:target|prefix|root|src|find-links|cache|store-dir|cache-dir|cache-folder|directory|path))\s*[=:]\s*([\w.][^\s"'$\\]*)`)
)

// lead adds the arrangement for the program of instruction i to what an install reads and
// writes. Files of the context that it leads to become manifests.
func (in *install) lead(v *stageView, i int, program string) {
	a := v.arranged(i, program)
	if len(a.paths) == 0 {
		return
	}
	in.reads, in.writes = slices.Concat(in.reads, a.paths), slices.Concat(in.writes, a.filled())
	t, ok := v.touches(i, in.dir, nil, a.paths, nil)
	own := in.widen
	in.widen = func(r reader) ([]string, string) {
		more, obstacle := own(r)
		if !ok && obstacle == "" {
			obstacle = "a RUN above says where " + in.tool + " finds or puts something, which is not known"
		}
		for _, image := range t.reads {
			if _, there := r.find(image); there {
				more = append(more, image)
			} else if obstacle == "" && image != r.dir && len(r.list(image, "**/*")) > 0 {
				obstacle = "a RUN above leads " + in.tool + " to a folder of the sources"
			}
		}
		return more, obstacle
	}
}
