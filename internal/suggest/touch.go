package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// A touch is the image paths that commands read and write. A path may be effects.System or
// effects.Tools, and may have a wildcard in its last element, or anyBelow for that.
type touch struct {
	reads, writes []string
	enters        []string // folders that have to exist
	// fresh are symbolic links that are made, and that nothing after names: what does would go
	// through them.
	fresh []string
}

// add adds what another touch has.
func (t *touch) add(o touch) {
	t.reads, t.writes = append(t.reads, o.reads...), append(t.writes, o.writes...)
	t.enters = append(t.enters, o.enters...)
}

// clipped returns the same touch with slices that append has to copy.
func (t touch) clipped() touch {
	return touch{reads: slices.Clip(t.reads), writes: slices.Clip(t.writes), enters: slices.Clip(t.enters), fresh: slices.Clip(t.fresh)}
}

// follows takes note that something comes after, and touches what o has.
func (t *touch) follows(o touch) {
	t.fresh = slices.DeleteFunc(t.fresh, func(link string) bool {
		return slices.ContainsFunc(slices.Concat(o.reads, o.writes, o.enters), func(p string) bool { return notPlace(p) && way{path: link}.leads(p, false) })
	})
}

// homes returns the folders that "~" may stand for in instruction i: it is not always known
// which user runs it.
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
		if strings.Contains(in.Run.Given, "/etc/passwd") {
			for _, m := range pathsIn.FindAllStringSubmatch(in.Run.Given, -1) {
				list = append(list, path.Clean(m[1]))
			}
		}
	}
	return list
}

// homeOf matches a command that creates or changes a user, and the home that it sets.
var homeOf = regexp.MustCompile(`\b(?:useradd|adduser|usermod)\b[^&;|]*?\s-(?:\w*d|h|-home|-home-dir)[ =](\S+)`)

// settingsOfUsers matches what may change where new users get their homes.
var settingsOfUsers = regexp.MustCompile(`\buseradd\s+(-D|--defaults)|/etc/default/useradd|/etc/adduser\.conf|/etc/login\.defs`)

// homesElsewhere reports whether a RUN up to instruction i, or one of a base stage, may have new
// users get homes outside of /home.
func (v *stageView) homesElsewhere(i int) bool {
	above := append(instructionsOf(v.file, v.stage.BaseStage), v.stage.Instructions[:i+1]...)
	return slices.ContainsFunc(above, func(in dockerfile.Instruction) bool {
		return in.Run != nil && settingsOfUsers.MatchString(in.Run.Given) || in.Copy != nil && settingsOfUsers.MatchString(in.Text)
	})
}

// touches returns the image paths for the paths of an effects.Effect, of a command that runs
// in dir as part of instruction i. vars are variables of the script. It reports false if one
// of the paths cannot be determined.
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

// place adds to *to the image paths that a word stands for, in which known variables are
// already expanded.
func (v *stageView) place(i int, dir, name string, to *[]string) bool {
	name, ok := within(anyOf(name))
	if !ok {
		return false
	}
	name = cutTo(name)
	if rest, ok := strings.CutPrefix(name, "~"); ok {
		for _, home := range v.homes(i) {
			*to = append(*to, path.Join(home, effects.Unquote(rest)))
		}
		return rest == "" || rest[0] == '/' // not ~user
	}
	up := strings.HasPrefix(name, effects.Upward)
	name = effects.Unquote(strings.TrimPrefix(name, effects.Upward))
	if throughProc.MatchString(resolve(dir, name, 0)) {
		return false // it leads to anywhere
	}
	for at := dir; ; at = path.Dir(at) {
		*to = append(*to, resolve(at, name, 0))
		if !up || at == path.Dir(at) || at == baseDir {
			return true
		}
	}
}

// throughProc matches paths through the folders of a process: its root, where it works, what it has open.
var throughProc = regexp.MustCompile(`^/(proc/[^/]+/(root|cwd|fd)|dev/fd)/`)

// anyOf widens a word to a pattern with no wildcards but "*", "?" and braces, which matches
// at least what the word does: quoted wildcards and backslashes become "?". A set of
// characters becomes "*", since the shell leaves one that matches no file as it is.
func anyOf(name string) string {
	for _, c := range []string{"*", "?", "[", "{"} {
		name = strings.ReplaceAll(name, effects.Quote(c), "?")
	}
	return charSet.ReplaceAllString(strings.ReplaceAll(name, `\`, "?"), "*")
}

var charSet = regexp.MustCompile(`\[[^/]*\]`)

// within replaces each variable that is not known by a wildcard. It reports false if the
// path begins with one: it could then be anywhere.
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

// literal returns a path without wildcards except in its last element: it is cut to the
// folder above the first one elsewhere.
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

// anyBelow is the last element of a path that stands for all below a folder, at any depth. Like the
// shell with a pattern, what has it names the files, and so goes through links among them.
const anyBelow = "**"

// cutTo returns a path as literal does, and anything below the folder for one that is cut.
func cutTo(name string) string {
	cut := literal(name)
	if strings.ContainsAny(name, "*?[{") && !strings.ContainsAny(cut, "*?[{") {
		return strings.TrimSuffix(cut, "/") + "/" + anyBelow
	}
	return cut
}

// folderOf returns the folder of a path with a wildcard in its last element, and any other
// path as it is.
func folderOf(name string) string {
	if dir, file := path.Split(name); dir != "" && strings.ContainsAny(file, "*?[") {
		return path.Clean(dir)
	}
	return name
}

// rooted returns an image path as if the WORKDIR of the base image were "/", as for most
// images it is, and with the usual links of the root folder resolved.
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

// systemLinks are folders that are symbolic links in most images, with their targets.
var systemLinks = map[string]string{"/bin": "/usr/bin", "/sbin": "/usr/sbin", "/lib": "/usr/lib", "/lib64": "/usr/lib64", "/var/run": "/run", "/var/lock": "/run/lock"}

// clash returns the first of the paths that instruction i, a COPY or ADD, may write to, or
// "".
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
	dest := rooted(v.dest(i))
	return v.landsAt(b, i, dest, name) || dest == "/" && slices.ContainsFunc(spellings(name), func(other string) bool { return v.landsAt(b, i, dest, other) })
}

// spellings returns the paths that lead to an image path by a link of the root folder: what is copied
// to the root may have the one name or the other.
func spellings(name string) (list []string) {
	for link, folder := range systemLinks {
		if rest, ok := below(folder, name); ok {
			list = append(list, path.Join(link, rest))
		}
	}
	return list
}

// landsAt is lands for a path in one spelling, of an instruction with that destination.
func (v *stageView) landsAt(b Build, i int, dest, name string) bool {
	in := v.stage.Instructions[i]
	if strings.HasPrefix(dest, baseDir) || strings.HasPrefix(name, baseDir) {
		return true // it is not known
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
	if !takesContext(in) || rel == "." || unpacks(b, in) {
		return true
	}
	first, _, _ := strings.Cut(rel, "/")
	if strings.ContainsAny(first, "*?[") {
		return v.landsLike(b, i, first)
	}
	return slices.ContainsFunc(in.Copy.Sources, func(s string) bool {
		src := strings.TrimPrefix(path.Clean("/"+s), "/")
		if strings.ContainsAny(s, "*?[") {
			// The content of folders that match lands there.
			match, err := path.Match(path.Base(src), first)
			return err != nil || match || len(glob(b.Context, src+"/"+first)) > 0
		}
		// A folder above the path counts too: without the COPY it would be missing, or
		// made by another instruction. A source that does not exist today is generated
		// before a build, and may hold anything.
		return path.Base(src) == first && b.Context.Exists(src) || b.Context.Exists(path.Join(src, first)) || src != "" && !b.Context.Exists(src)
	})
}

// landsLike reports whether instruction i, which copies from the context, may put something
// whose name matches the pattern directly into its destination.
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

// brings reports whether instruction i would copy a file to an image path if the context had
// one there. Even if it has none today it may tomorrow: developers build too.
func (v *stageView) brings(b Build, i int, name string) bool {
	in := v.stage.Instructions[i]
	return takesContext(in) && slices.ContainsFunc(v.sources(b.Context, i, name), func(p string) bool {
		return b.Context.Takes(in.Lines.From, p) || b.Context.Takes(in.Lines.From, p+"/x")
	})
}

// mayReplace reports whether instruction i would copy to an image path another file than
// instruction j does, if the context had one: such as a developer's own settings, where j
// copies the defaults under that name.
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

// expand replaces variables in a text by their values, if these are known.
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

// variable reads "NAME" or "{NAME}" at offset at of a text, behind a "$". It returns the name
// and the offset behind it; the name is "" for anything else.
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

// values returns env after an instruction: an ENV sets variables to a literal value, or makes
// them unknown. So does an ARG, since a build may set it, and to BuildKit the last of the two counts.
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
		case in.Keyword == "ARG", strings.ContainsAny(value, "$\\\"'"):
			delete(next, a.Name)
		default:
			next[a.Name] = value
		}
	}
	return next
}

// usual reports whether the image that the stage starts from is known to have the folder: nearly
// every one has those of usual, and those without a distribution only some of them. Which image a
// variable names may be different in each build.
func (v *stageView) usual(dir string) bool {
	switch base := imageName(rootStage(v.file, v.stage.Index).Base); {
	case base == "scratch":
		return dir == "/"
	case path.Base(base) == "busybox", strings.Contains(path.Base(base), "$"), strings.HasPrefix(base, "gcr.io/distroless/"), strings.HasPrefix(base, "cgr.dev/"):
		return slices.Contains([]string{"/", "/bin", "/etc", "/home", "/root", "/tmp", "/usr", "/usr/bin", "/var"}, dir)
	}
	return usual(dir)
}

// usual reports whether nearly every image of a distribution has the folder.
func usual(dir string) bool {
	return slices.Contains([]string{
		"/", "/bin", "/etc", "/home", "/lib", "/opt", "/root", "/srv", "/tmp", "/usr", "/usr/bin", "/usr/lib", "/usr/local",
		"/usr/local/bin", "/usr/local/lib", "/usr/share", "/var", "/var/cache", "/var/lib", "/var/log",
	}, dir)
}

// foldersAgree reports whether the folders that contain both one of the paths and the
// destination of instruction i, a COPY, exist before instruction at. If not, they belong to
// whoever creates them first: a COPY does so for root or the owner that it names, a RUN for
// its user.
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

// inCommon returns the deepest path that contains or equals both image paths.
func inCommon(a, b string) string {
	for ; a != "/" && a != "."; a = path.Dir(a) {
		if _, ok := below(a, b); ok {
			break
		}
	}
	return a
}

// isMade reports whether a folder is known to exist before instruction at: nearly every image
// has it, or a WORKDIR makes it.
func (v *stageView) isMade(folder string, at int) bool {
	return v.usual(folder) || slices.ContainsFunc(v.dirs[:at+1], func(dir string) bool { _, ok := below(folder, dir); return ok })
}
