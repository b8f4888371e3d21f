package suggest

import (
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A stageView is a stage with the state in force before each of its instructions:
// working folder, shell and known variables.
//
// Folders are absolute paths in the image. A folder that depends on something unknown,
// the WORKDIR of the base image or the value of a variable, is written as a path that
// begins with "?". Two such folders are the same exactly if their paths are equal.
type stageView struct {
	file  *dockerfile.File
	stage dockerfile.Stage
	dirs  []string            // per instruction: the working folder
	shell [][]string          // per instruction: of the last SHELL, nil for the default
	env   []map[string]string // per instruction: variables whose value is known
	// context is that of a build, to look up what copied folders hold; nil for none.
	context Context

	// Answers already computed. A view with other folders, shells or variables must not have them.
	programs map[string]int  // of shadows, by the name of the program
	runs     map[int]runView // of viewRun, by instruction
	commands map[int]commands
}

// baseDir stands for the WORKDIR of a base image.
const baseDir = "?"

// newStageView returns the view of a stage without a context, in which the values of
// ARGs are not known.
func newStageView(f *dockerfile.File, st dockerfile.Stage) *stageView { return viewFor(f, st, nil) }

// viewFor returns the view of a stage for builds: an ARG has its default value unless
// one of them sets it. Without builds, the values of ARGs are not known.
func viewFor(f *dockerfile.File, st dockerfile.Stage, builds []Build) *stageView {
	v := &stageView{file: f, stage: st}
	shell, vars := []string(nil), 0
	dir, env := givenBy(rootStage(f, st.Index).Base)
	// The stage starts with the state of its base stages, lowest first.
	var chain []dockerfile.Stage
	for at := st.BaseStage; at >= 0; at = f.Stages[at].BaseStage {
		chain = append([]dockerfile.Stage{f.Stages[at]}, chain...)
	}
	step := func(in dockerfile.Instruction) {
		switch in.Keyword {
		case "WORKDIR":
			dir = resolve(dir, v.path(in.Value, env), vars)
		case "ARG", "ENV":
			vars++
		case "SHELL":
			shell = in.Shell
		}
		env = values(env, in)
	}
	for _, base := range chain {
		for _, in := range base.Instructions {
			step(in)
		}
	}
	for _, in := range st.Instructions {
		v.dirs = append(v.dirs, dir)
		v.shell = append(v.shell, shell)
		v.env = append(v.env, env)
		above := env
		step(in)
		for _, a := range in.Vars {
			if in.Keyword == "ARG" && len(builds) > 0 {
				env = v.withDefault(above, env, a, builds)
			}
		}
	}
	return v
}

// withDefault returns env with the value that an ARG leaves its variable with, if that is known and
// no build sets another, and without the variable otherwise. An ARG without a value leaves it as it
// is above, unless one before the first FROM has a value.
func (v *stageView) withDefault(above, env map[string]string, a dockerfile.Variable, builds []Build) map[string]string {
	value := expand(strings.Trim(a.Value, `"'`), env)
	next := maps.Clone(env)
	delete(next, a.Name)
	given := slices.ContainsFunc(builds, func(b Build) bool { _, ok := b.Args[a.Name]; return ok })
	if given || ofPlatform.ReplaceAllString("$"+a.Name, "") == "" {
		return next
	}
	old, known := above[a.Name]
	global := slices.ContainsFunc(v.file.Globals, func(in dockerfile.Instruction) bool {
		return slices.ContainsFunc(in.Vars, func(g dockerfile.Variable) bool { return g.Name == a.Name })
	})
	switch {
	case a.Set && !strings.ContainsAny(value, "$\\\"'"):
		next[a.Name] = value
	case !a.Set && known && !global:
		next[a.Name] = old
	}
	return next
}

// resolve returns the image path of name in the working folder dir. vars is the number
// of ARG and ENV instructions above. It becomes part of a path with a variable, since a
// variable is sure to keep its value only up to the next of these instructions.
func resolve(dir, name string, vars int) string {
	if strings.Contains(name, "$") {
		return fmt.Sprintf("?%d:%s", vars, path.Clean(name))
	}
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(dir, name)
}

// vars counts the ARG and ENV instructions above instruction i, those of base stages
// included: see resolve.
func (v *stageView) vars(i int) int {
	n := 0
	for at := v.stage.BaseStage; at >= 0; at = v.file.Stages[at].BaseStage {
		for _, in := range v.file.Stages[at].Instructions {
			if in.Keyword == "ARG" || in.Keyword == "ENV" {
				n++
			}
		}
	}
	for _, in := range v.stage.Instructions[:i] {
		if in.Keyword == "ARG" || in.Keyword == "ENV" {
			n++
		}
	}
	return n
}

// dest returns the image path of the destination of instruction i, a COPY or ADD. One with quotes is
// taken as not known: whoever looks at how it is written would have to see through them.
func (v *stageView) dest(i int) string {
	dest := v.stage.Instructions[i].Copy.Dest
	if v.quoted(dest) {
		dest = "$" + dest
	}
	return resolve(v.dirs[i], expand(dest, v.env[i]), v.vars(i))
}

// quoted reports whether a word of an instruction has quotes or an escape.
func (v *stageView) quoted(word string) bool {
	return strings.ContainsAny(word, "\"'"+string(v.file.Escape))
}

// path returns the path that the word of a WORKDIR stands for, without its quotes and
// with known variables expanded. If that is not known, it has a variable.
func (v *stageView) path(word string, env map[string]string) string {
	if !v.quoted(word) {
		return expand(word, env)
	}
	var out strings.Builder
	within := byte(0) // the quotes that are open
	for _, c := range []byte(word) {
		switch {
		case c == v.file.Escape, c == '$' && within == '\'':
			return "$" + word
		case c == within:
			within = 0
		case within == 0 && (c == '"' || c == '\''):
			within = c
		default:
			out.WriteByte(c)
		}
	}
	return expand(out.String(), env)
}

// below returns name relative to dir, and whether it is dir or lies below it.
func below(dir, name string) (string, bool) {
	switch {
	case dir == name:
		return ".", true
	case dir == "/" && path.IsAbs(name):
		return name[1:], true
	}
	return strings.CutPrefix(name, dir+"/")
}

// overlap reports whether one of two image paths may contain the other. For a path that
// is not known, it may.
func overlap(a, b string) bool {
	_, x := below(a, b)
	_, y := below(b, a)
	return x || y || a[0] == '?' || b[0] == '?'
}

// sources returns the context paths that instruction i, a COPY, may put at the image
// path name, the most likely first.
func (v *stageView) sources(c Context, i int, name string) []string {
	ins := v.stage.Instructions[i].Copy
	dest := v.dest(i)
	var list []string
	for _, s := range ins.Sources {
		src := strings.TrimPrefix(path.Clean("/"+s), "/")
		base := path.Base(name)
		switch {
		case strings.ContainsAny(s, "*?["):
			// Files that match land in dest; of folders, what they hold.
			if dest == path.Dir(name) {
				list = append(list, path.Join(path.Dir(src), base))
			}
		case path.Base(src) == base && (dest == path.Dir(name) || dest == name):
			list = append(list, src)
		}
		if rel, ok := below(dest, name); ok && !strings.ContainsAny(s, "*?[") && rel != "." {
			if !c.IsFile(src) {
				list = append(list, path.Join(src, rel))
			}
		}
	}
	return list
}

// puts yields the files that instruction i, a COPY, takes, each with an image path at
// which it may land and whose last element matches the pattern base. A file may come
// with more than one such path.
func (v *stageView) puts(c Context, i int, base string) iter.Seq2[string, string] {
	ins, dest := v.stage.Instructions[i].Copy, v.dest(i)
	called := func(name string) bool {
		ok, err := path.Match(base, path.Base(name))
		return err == nil && ok
	}
	return func(yield func(file, image string) bool) {
		folders := false
		var sources []string
		for _, s := range ins.Sources {
			src := strings.TrimPrefix(path.Clean("/"+s), "/")
			sources = append(sources, src)
			if folders = folders || !c.IsFile(src); folders {
				continue
			}
			for _, image := range []string{path.Join(dest, path.Base(src)), dest} {
				if called(image) && !yield(src, image) {
					return
				}
			}
		}
		if !folders {
			return
		}
		named := c.Files()
		if !strings.ContainsAny(base, `*?[\`) {
			named = slices.Values(c.FilesNamed(base))
		}
		for f := range named {
			if !called(f) {
				continue
			}
			for _, src := range sources {
				if rel, ok := taken(src, f); ok && !yield(f, path.Join(dest, rel)) {
					return
				}
			}
		}
	}
}

// taken returns the path, relative to the destination, at which a COPY of src puts the
// context file, and whether src takes that file.
func taken(src, file string) (string, bool) {
	if src == "" {
		return file, true
	}
	deep := strings.Count(src, "/") + 1
	parts := strings.Split(file, "/")
	if len(parts) < deep {
		return "", false
	}
	if match, err := path.Match(src, strings.Join(parts[:deep], "/")); err != nil || !match {
		return "", false
	}
	if len(parts) == deep {
		return parts[deep-1], true
	}
	return strings.Join(parts[deep:], "/"), true
}

// takesContext reports whether an instruction copies from the build context, and only
// in ways for which the image paths are known.
func takesContext(in dockerfile.Instruction) bool {
	return in.Copy != nil && in.Copy.From == "" && in.Copy.Heredocs == 0 && !in.Copy.Parents &&
		!slices.ContainsFunc(in.Copy.Sources, func(s string) bool {
			return strings.Contains(s, "://") || strings.HasPrefix(s, "git@") || strings.Contains(s, "$") ||
				in.Keyword == "ADD" && archive(s)
		})
}

// archive reports whether ADD may unpack the source, by its name.
func archive(s string) bool {
	s = strings.ToLower(s)
	if strings.Contains(s, ".tar") {
		return true
	}
	return slices.Contains([]string{".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz", ".zst"}, path.Ext(s)) || strings.ContainsAny(s, "*?[")
}

// unpacks reports whether an ADD may unpack one of its sources whatever that is called: it looks at
// what the file holds. One that is too large to look at here may be an archive, unless its name says
// what else it is.
func unpacks(b Build, in dockerfile.Instruction) bool {
	return in.Keyword == "ADD" && slices.ContainsFunc(in.Copy.Sources, func(s string) bool {
		src := strings.TrimPrefix(path.Clean("/"+s), "/")
		if src == "" || slices.Contains(noArchives, path.Ext(src)) || !b.Context.IsFile(src) {
			return false
		}
		if b.Context.Size(src) > 64<<10 {
			return true
		}
		text, err := b.Context.Read(src)
		return err != nil || slices.ContainsFunc(magics, func(m magic) bool { return len(text) > m.at && strings.HasPrefix(string(text[m.at:]), m.text) })
	})
}

// noArchives are endings of files that nobody takes for archives which ADD unpacks.
var noArchives = []string{
	".conf", ".crt", ".css", ".go", ".html", ".ini", ".jar", ".js", ".json", ".key", ".md", ".pem", ".php", ".properties", ".py", ".rb", ".sh", ".sql",
	".toml", ".txt", ".war", ".xml", ".yaml", ".yml",
}

// A magic is the text, at an offset, by which an archive is known that ADD unpacks (moby:
// go-archive.DetectCompression, and the header of tar).
type magic struct {
	at   int
	text string
}

var magics = []magic{{0, "BZh"}, {0, "\x1f\x8b\x08"}, {0, "\xfd7zXZ\x00"}, {0, "\x28\xb5\x2f\xfd"}, {257, "ustar"}}

// reachable reports, by index, which stages a target needs. A reference with a variable
// may be to any stage above, so all of these are needed.
func reachable(f *dockerfile.File, target string) []bool {
	needed := make([]bool, len(f.Stages))
	start := len(f.Stages) - 1
	if target != "" {
		start = f.StageOf(target)
	}
	if start < 0 {
		return needed
	}
	var visit func(i int)
	visit = func(i int) {
		if i < 0 || needed[i] {
			return
		}
		needed[i] = true
		for _, ref := range references(f.Stages[i]) {
			if strings.Contains(ref, "$") {
				for j := range i {
					visit(j)
				}
				continue
			}
			visit(f.StageOf(ref))
		}
		visit(f.Stages[i].BaseStage)
		if strings.Contains(f.Stages[i].Base, "$") {
			for j := range i {
				visit(j)
			}
		}
	}
	visit(start)
	return needed
}

// references returns the stages and images that COPYs and mounts of a stage name with
// from=.
func references(st dockerfile.Stage) []string {
	var list []string
	for _, in := range st.Instructions {
		if in.Copy != nil && in.Copy.From != "" {
			list = append(list, in.Copy.From)
		}
		if in.Run != nil {
			for _, m := range in.Run.Mounts {
				if m.From != "" {
					list = append(list, m.From)
				}
			}
		}
	}
	return list
}

// ships reports whether the image of a target contains the files of a stage: it is the
// target or one of the target's base stages.
func ships(f *dockerfile.File, target string, stage int) bool {
	at := len(f.Stages) - 1
	if target != "" {
		at = f.StageOf(target)
	}
	for ; at >= 0; at = f.Stages[at].BaseStage {
		if at == stage {
			return true
		}
	}
	return false
}

// glob returns the files of a context that match a pattern, sorted. Patterns are those of
// path.Match, with ** for any number of folders.
func glob(c Context, pattern string) []string {
	var list []string
	parts := strings.Split(pattern, "/")
	within := "" // what all names begin with
	if fixed, _, _ := strings.Cut(pattern, "*"); !strings.ContainsAny(fixed, `?[\`) {
		within = fixed
	}
	for f := range c.Files() {
		if strings.HasPrefix(f, within) && matches(parts, strings.Split(f, "/")) {
			list = append(list, f)
		}
	}
	slices.Sort(list)
	return list
}

// matches reports whether the elements of a path match those of a pattern of glob.
func matches(pattern, name []string) bool {
	switch {
	case len(pattern) == 0 || len(name) == 0:
		return len(pattern) == len(name)
	case pattern[0] == "**":
		return matches(pattern[1:], name) || matches(pattern, name[1:])
	}
	ok, err := path.Match(pattern[0], name[0])
	return err == nil && ok && matches(pattern[1:], name[1:])
}
