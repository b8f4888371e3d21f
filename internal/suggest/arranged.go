package suggest

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// An arrangement is what lasting settings (see effects.Settings), made by RUNs of a stage and
// its base stages or brought by their COPYs, change for a program.
type arrangement struct {
	paths []string // words that name paths which the program may read or write
	cache bool     // its cache is moved or turned off
}

// arranged returns the arrangement for a program by instruction i, a RUN, and those above it. Files
// of settings for which apart reports true, given their image paths, are left out; apart may be nil.
func (v *stageView) arranged(i int, program string, apart func(image string) bool) (a arrangement) {
	settings := effects.SettingsOf(program)
	if len(settings) == 0 {
		return a
	}
	for at := v.stage.BaseStage; at >= 0; at = v.file.Stages[at].BaseStage {
		under := newStageView(v.file, v.file.Stages[at])
		under.context = v.context
		for k := range under.stage.Instructions {
			a.follow(under, k, v.shell[i], settings, apart)
		}
	}
	for k := range v.stage.Instructions[:i+1] {
		a.follow(v, k, v.shell[k], settings, apart)
	}
	for _, m := range v.stage.Instructions[i].Run.Mounts {
		if m.Type == "bind" && m.From == "" && v.context != nil {
			a.mounted(v.context, settings, strings.TrimPrefix(path.Clean("/"+m.Source), "/"), resolve(v.dirs[i], m.Target, v.vars(i)), apart)
		}
	}
	return a
}

// follow adds the settings that instruction k of a stage makes or brings.
func (a *arrangement) follow(v *stageView, k int, shell []string, settings []*effects.Settings, apart func(image string) bool) {
	in := v.stage.Instructions[k]
	if in.Copy != nil {
		a.copied(v, k, settings, apart)
	}
	if in.Run == nil {
		return
	}
	for _, s := range settings {
		if s.In(in.Run.Given) != "" {
			a.written(s, in.Run.Given)
		}
		if !slices.ContainsFunc(s.Run, func(run string) bool {
			return !slices.ContainsFunc(strings.Fields(run)[1:], func(word string) bool { return !strings.Contains(in.Text, word) })
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

// copied adds what the files of settings say that instruction k, a COPY or ADD, brings: those of the
// context, if that is known, and heredocs.
func (a *arrangement) copied(v *stageView, k int, settings []*effects.Settings, apart func(image string) bool) {
	in := v.stage.Instructions[k]
	if in.Copy.Heredocs > 0 {
		text := v.file.Source(in.Lines)
		for _, s := range settings {
			if s.In(text) != "" {
				a.written(s, text)
			}
		}
		return
	}
	if v.context == nil || !takesContext(in) {
		return
	}
	for _, s := range settings {
		for _, name := range s.Files {
			base := path.Base(name)
			if strings.HasSuffix(name, "/") { // a folder, with any files
				if base = "*"; !overlap(rooted(v.dest(k)), path.Clean("/"+name)) {
					continue
				}
			}
			for file, image := range v.puts(v.context, k, base) {
				if (apart == nil || !apart(image)) && v.context.Takes(in.Lines.From, file) {
					a.brought(v.context, []*effects.Settings{s}, file, image)
				}
			}
		}
	}
}

// mounted adds what the files of settings say that a mount of source, a path of the context, brings to
// an image path.
func (a *arrangement) mounted(c Context, settings []*effects.Settings, source, target string, apart func(image string) bool) {
	if c.IsFile(source) {
		a.brought(c, settings, source, target)
		return
	}
	for _, s := range settings {
		for _, name := range s.Files {
			files := slices.Values(c.FilesNamed(path.Base(name)))
			if strings.HasSuffix(name, "/") {
				if files = c.Files(); !overlap(rooted(target), path.Clean("/"+name)) {
					continue
				}
			}
			for file := range files {
				rel, ok := below(path.Join("/", source), "/"+file)
				if image := path.Join(target, rel); ok && (apart == nil || !apart(image)) {
					a.brought(c, []*effects.Settings{s}, file, image)
				}
			}
		}
	}
}

// brought adds what a file of the context says, if it becomes a file of settings at an image path.
func (a *arrangement) brought(c Context, settings []*effects.Settings, file, image string) {
	for _, s := range settings {
		if s.In(rooted(image)) == "" {
			continue
		}
		if text, err := c.Read(file); err == nil {
			a.written(s, decoded(text))
		}
	}
}

// set adds one setting.
func (a *arrangement) set(s *effects.Settings, key, value string) {
	value = strings.Trim(value, `"'`)
	if base, _, ok := strings.Cut(strings.TrimPrefix(key, "url."), ".insteadOf"); ok && base != key && !s.IsPlain(key) {
		value = base // where git looks instead
	}
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
	// What its own folder says is read with the manifests.
	a := v.arranged(i, program, func(image string) bool { _, own := below(in.dir, image); return own })
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
