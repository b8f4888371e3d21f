package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// A touch is what commands read and write: image paths, or effects.System and
// effects.Tools.
type touch struct {
	reads, writes []string
	enters        []string // folders that have to be there
}

func (t *touch) add(o touch) {
	t.reads, t.writes = append(t.reads, o.reads...), append(t.writes, o.writes...)
	t.enters = append(t.enters, o.enters...)
}

// homes are where "~" may be: the user of a stage is not always known.
func (v *stageView) homes(i int) []string {
	list := []string{"/root", "/home"}
	if home, ok := v.written(i)["HOME"]; ok {
		list = append(list, path.Clean("/"+expand(home, v.env[i])))
	}
	for _, in := range v.stage.Instructions[:i] {
		if in.Run == nil {
			continue
		}
		for _, m := range homeOf.FindAllStringSubmatch(in.Run.Given, -1) {
			list = append(list, path.Clean(expand(m[1], v.env[i])))
		}
	}
	return list
}

// homeOf matches the home that a user is given who is made.
var homeOf = regexp.MustCompile(`\b(?:useradd|adduser|usermod)\b[^&;|]*?\s-(?:\w*d|h|-home|-home-dir)[ =](\S+)`)

// touches makes an effect's paths those of the image, for a command that runs in
// dir as part of instruction i. It reports false where one cannot be told.
func (v *stageView) touches(i int, dir string, vars map[string]string, reads, writes []string) (touch, bool) {
	var t touch
	for _, set := range []struct {
		from []string
		to   *[]string
	}{{reads, &t.reads}, {writes, &t.writes}} {
		for _, name := range set.from {
			if _, ok := effects.PlacesOf(name); ok {
				*set.to = append(*set.to, name)
				continue
			}
			for _, name := range fields(name, vars, v.env[i]) {
				if !v.place(i, dir, name, set.to) {
					return t, false
				}
			}
		}
	}
	return t, true
}

// place adds the image paths that a word stands for, which holds no variable that is known.
func (v *stageView) place(i int, dir, name string, to *[]string) bool {
	name, ok := within(anyOf(name))
	if !ok {
		return false
	}
	name = literal(name)
	if rest, ok := strings.CutPrefix(name, "~"); ok {
		for _, home := range v.homes(i) {
			*to = append(*to, path.Join(home, effects.Unquote(rest)))
		}
		return rest == "" || rest[0] == '/' // or else it is the home of somebody whom it names
	}
	up := strings.HasPrefix(name, effects.Upward)
	name = effects.Unquote(strings.TrimPrefix(name, effects.Upward))
	for at := dir; ; at = path.Dir(at) {
		*to = append(*to, resolve(at, name, 0))
		if !up || at == path.Dir(at) || at == baseDir {
			return true
		}
	}
}

// anyOf widens a word to the patterns that image paths are compared by: a quoted character
// that would be one of a pattern is any other as well, and a set of characters is any text,
// as one that matches nothing stands for itself.
func anyOf(name string) string {
	for _, c := range []string{"*", "?", "[", "{"} {
		name = strings.ReplaceAll(name, effects.Quote(c), "?")
	}
	return charSet.ReplaceAllString(strings.ReplaceAll(name, `\`, "?"), "*")
}

var charSet = regexp.MustCompile(`\[[^/]*\]`)

// within puts a wildcard in for each variable whose value is not known: behind the name
// of a folder it is something in there. It reports false where one begins the path.
func within(name string) (string, bool) {
	name = ofPlatform.ReplaceAllString(name, "*")
	if strings.HasPrefix(name, "$") {
		return name, false
	}
	var out strings.Builder
	for i := 0; i < len(name); {
		switch {
		case strings.HasPrefix(name[i:], computed):
			out.WriteByte('*')
			i += len(computed)
		case name[i] == '$':
			out.WriteByte('*')
			_, i = variable(name, i+1)
		default:
			out.WriteByte(name[i])
			i++
		}
	}
	return out.String(), true
}

// literal cuts a path at its first wildcard, of which it stands for the folder above,
// unless it is in the name of a file alone.
func literal(name string) string {
	at := strings.IndexAny(name, "*?[{")
	if at < 0 {
		return name
	}
	if !strings.ContainsAny(name[at:], "/{") && strings.Contains(name, "/") {
		return name
	}
	if !strings.ContainsAny(name[at:], "/{") {
		return "./" + name
	}
	if slash := strings.LastIndexByte(name[:at], '/'); slash >= 0 {
		return name[:slash+1]
	}
	return "."
}

// folderOf returns the folder that a path with a wildcard in its last name is in, and
// other paths as they are.
func folderOf(name string) string {
	if dir, file := path.Split(name); dir != "" && strings.ContainsAny(file, "*?[") {
		return path.Clean(dir)
	}
	return name
}

// rooted returns an image path with the folder that the image starts in taken
// for the root, which is where most do.
func rooted(name string) string {
	if rest, ok := strings.CutPrefix(name, baseDir); ok && (rest == "" || rest[0] == '/') {
		name = path.Clean("/" + rest)
	}
	for link, folder := range systemLinks {
		if rest, ok := below(link, name); ok {
			return path.Join(folder, rest)
		}
	}
	return name
}

// systemLinks are folders that are links in most images, with what they name.
var systemLinks = map[string]string{"/bin": "/usr/bin", "/sbin": "/usr/sbin", "/lib": "/usr/lib", "/lib64": "/usr/lib64", "/var/run": "/run", "/var/lock": "/run/lock"}

// clash returns what of paths instruction i, a COPY or ADD, would write to, "" if
// nothing.
func (v *stageView) clash(b Build, i int, paths []string) string {
	dest := rooted(v.dest(i))
	for _, p := range paths {
		places, ok := effects.PlacesOf(p)
		if !ok {
			if v.lands(b, i, rooted(p)) {
				return p
			}
			continue
		}
		if slices.ContainsFunc(places.Except, func(e string) bool { _, in := below(e, dest); return in }) {
			continue
		}
		for _, root := range places.Roots {
			if v.lands(b, i, root) {
				return root
			}
		}
	}
	return ""
}

// lands reports whether instruction i, a COPY or ADD, may put a file at an image
// path, below it, or in its place.
func (v *stageView) lands(b Build, i int, name string) bool {
	in := v.stage.Instructions[i]
	dest := rooted(v.dest(i))
	if strings.HasPrefix(dest, baseDir) || strings.HasPrefix(name, baseDir) {
		return true // neither can be told
	}
	if rel, ok := below(folderOf(name), dest); ok && rel != "." {
		first, _, _ := strings.Cut(rel, "/")
		match, err := path.Match(path.Base(name), first)
		return folderOf(name) == name || match || err != nil
	}
	rel, ok := below(dest, name)
	if !ok {
		return false
	}
	if !takesContext(in) || rel == "." {
		return true
	}
	first, _, _ := strings.Cut(rel, "/")
	if strings.ContainsAny(first, "*?[") {
		return v.landsLike(b, i, first)
	}
	return slices.ContainsFunc(in.Copy.Sources, func(s string) bool {
		src := strings.TrimPrefix(path.Clean("/"+s), "/")
		if strings.ContainsAny(s, "*?[") {
			// Of folders that match, what they hold lands there.
			match, err := path.Match(path.Base(src), first)
			return err != nil || match || len(glob(b.Context, src+"/"+first)) > 0
		}
		// A folder on the way counts: without the COPY it would not be there, or be
		// made by somebody else. What is not there today, and is made before the build,
		// may hold anything.
		return path.Base(src) == first && b.Context.Exists(src) || b.Context.Exists(path.Join(src, first)) || src != "" && !b.Context.Exists(src)
	})
}

// landsLike reports whether instruction i, a COPY or ADD of the context, puts something
// into its destination whose name may match a pattern.
func (v *stageView) landsLike(b Build, i int, pattern string) bool {
	for _, s := range v.stage.Instructions[i].Copy.Sources {
		src := strings.TrimPrefix(path.Clean("/"+s), "/")
		if strings.ContainsAny(s, "*?[") || src != "" && !b.Context.Exists(src) {
			return true
		}
		if match, err := path.Match(pattern, path.Base(src)); match || err != nil {
			return true
		}
		for f := range b.Context.Files() {
			rel, ok := below(path.Join("/", src), "/"+f)
			first, _, _ := strings.Cut(rel, "/")
			if match, err := path.Match(pattern, first); ok && (match || err != nil) {
				return true
			}
		}
	}
	return false
}

// brings reports whether instruction i copies what the context has for an image path,
// should it have something there: what a build makes, developers make as well.
func (v *stageView) brings(b Build, i int, name string) bool {
	in := v.stage.Instructions[i]
	return takesContext(in) && slices.ContainsFunc(v.sources(b.Context, i, name), func(p string) bool {
		return b.Context.Takes(in.Lines.From, p) || b.Context.Takes(in.Lines.From, p+"/x")
	})
}

// mayReplace reports whether instruction i copies another file than instruction j does
// to an image path, should the context have one for it: a developer's own settings, where
// the default is copied under another name.
func (v *stageView) mayReplace(b Build, i, j int, name string) bool {
	in := v.stage.Instructions[i]
	if !takesContext(in) {
		return false
	}
	var same []string
	if takesContext(v.stage.Instructions[j]) {
		same = v.sources(b.Context, j, name)
	}
	return slices.ContainsFunc(v.sources(b.Context, i, name), func(p string) bool {
		return !slices.Contains(same, p) && (b.Context.Takes(in.Lines.From, p) || b.Context.Takes(in.Lines.From, p+"/x"))
	})
}

// expand puts the values of variables that are known in for them.
func expand(text string, vars map[string]string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		if text[i] != '$' {
			out.WriteByte(text[i])
			i++
			continue
		}
		name, next := variable(text, i+1)
		if value, ok := vars[name]; ok && name != "" {
			out.WriteString(value)
		} else {
			out.WriteString(text[i:next])
		}
		i = next
	}
	return out.String()
}

// variable reads a plain "NAME" or "{NAME}" at a place of text, and returns where
// it ends; "" for anything else.
func variable(text string, at int) (name string, end int) {
	braced := at < len(text) && text[at] == '{'
	from := at
	if braced {
		from++
	}
	end = from
	for end < len(text) && (text[end] == '_' || text[end] >= '0' && text[end] <= '9' || text[end]|0x20 >= 'a' && text[end]|0x20 <= 'z') {
		end++
	}
	switch {
	case braced && end < len(text) && text[end] == '}':
		return text[from:end], end + 1
	case braced:
		return "", from
	}
	return text[from:end], end
}

// values adds the variables whose value an ENV gives in so many words, and drops
// those that it makes unknown.
func values(env map[string]string, in dockerfile.Instruction) map[string]string {
	if in.Keyword != "ENV" && in.Keyword != "ARG" {
		return env
	}
	next := map[string]string{}
	for name, value := range env {
		next[name] = value
	}
	for _, a := range in.Vars {
		value := strings.Trim(a.Value, `"'`)
		switch {
		case in.Keyword == "ARG": // a build may give it another value, which ENV beats
		case strings.ContainsAny(value, "$\\\"'"):
			delete(next, a.Name)
		default:
			next[a.Name] = value
		}
	}
	return next
}

// usual reports a folder that nearly every image has.
func usual(dir string) bool {
	return slices.Contains([]string{
		"/", "/bin", "/etc", "/home", "/lib", "/opt", "/root", "/srv", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/local",
		"/usr/local/bin", "/usr/local/lib", "/usr/share", "/var", "/var/cache", "/var/lib", "/var/log",
	}, dir)
}

// foldersAgree reports whether it makes no difference who makes the folders
// above both instruction i's destination, a COPY's, and the paths: they are there
// before instruction at. A COPY makes them for root, or for the owner that it
// names, a RUN for its user.
func (v *stageView) foldersAgree(i, at int, paths []string) bool {
	dest := rooted(v.dest(i))
	for _, p := range paths {
		if _, ok := effects.PlacesOf(p); ok {
			continue
		}
		if !v.isMade(inCommon(dest, rooted(p)), at) {
			return false
		}
	}
	return true
}

// inCommon returns the deepest folder that two image paths are in, or are.
func inCommon(a, b string) string {
	for ; a != "/" && a != "."; a = path.Dir(a) {
		if _, ok := below(a, b); ok {
			break
		}
	}
	return a
}

// isMade reports whether a folder is there before instruction at: in nearly every image,
// or because a WORKDIR makes it.
func (v *stageView) isMade(folder string, at int) bool {
	return usual(folder) || slices.ContainsFunc(v.dirs[:at+1], func(dir string) bool { _, ok := below(folder, dir); return ok })
}
