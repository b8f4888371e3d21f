package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// linkCopy tells of a --link without effect, because BuildKit ignores it beside --chmod
// (dockerfile2llb.dispatchCopy), and proposes --link for COPYs that are repeated only because
// something above them changed. See docs/rules/link-copy.md.
func linkCopy(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		for _, ins := range st.Instructions {
			if ins.Copy == nil || !ins.Copy.Link || ins.Copy.Chmod == "" {
				continue
			}
			mend := "linked files keep the mode that they have where they are copied from: set it there and drop --chmod, or drop --link"
			if ins.Copy.Heredocs > 0 {
				mend = "a heredoc has no mode of its own: drop --link, or copy a file that has the mode"
			}
			s := Suggestion{
				Rule: "link-copy", Title: ins.Keyword + " --link is not linked because of --chmod", Lines: ins.Lines, Proof: Advice,
				Evidence: fmt.Sprintf("BuildKit runs `%s` as if --link were not there: a new base image, or a change of what stands above it, repeats it.", short(ins.Text)),
				Obstacle: mend,
			}
			list = append(list, s)
		}
		if s, ok := linked(in, st); ok {
			list = append(list, s)
		}
	}
	return list
}

// worthLinking is how many seconds sooner a build has to be done, on average, for a suggestion:
// the merging of layers may take as long.
const worthLinking = 0.5

// mostLinks bounds how many COPYs of a stage are priced, each with a replay of the history.
const mostLinks = 40

// leastGained is how many seconds sooner a build has to be done for a COPY to be linked.
const leastGained = 0.05

// linked proposes to link the COPYs of a stage that then run less often, or sooner. Only those
// count for which the image stays the same.
func linked(in Input, st dockerfile.Stage) (Suggestion, bool) {
	b := in.Builds[0]
	if b.Convert == nil || b.Takers == nil || in.Commits.Len() == 0 || !newSyntax(in.File.Syntax) || in.rearranged(st) {
		return Suggestion{}, false
	}
	if !reachable(in.File, b.Target)[st.Index] {
		return Suggestion{}, false // the build that is priced is done no sooner
	}
	l := linking{in: in, view: in.bare(st)}
	now, err := in.replay(b, variant{}, in.pricer())
	if err != nil {
		return Suggestion{}, false
	}
	var gain []int // COPYs
	tried := 0
	for i := range st.Instructions {
		if !l.allows(i) {
			continue
		}
		if tried++; tried > mostLinks {
			break
		}
		if _, then, ok := l.try([]int{i}); ok && now.Wall-then.Wall >= leastGained {
			gain = append(gain, i)
		}
	}
	if len(gain) == 0 {
		return Suggestion{}, false
	}
	change, then, ok := l.try(gain)
	if !ok || now.Wall-then.Wall < worthLinking {
		return Suggestion{}, false
	}
	s := Suggestion{
		Rule: "link-copy", Proof: ByConstruction, Changes: []Change{change}, Costs: then.Costs, SavesSeconds: now.Wall - then.Wall,
		Lines: dockerfile.Lines{From: st.Instructions[gain[0]].Lines.From, To: st.Instructions[gain[len(gain)-1]].Lines.To},
	}
	s.HitRate.Before, s.HitRate.After = now.HitRate, then.HitRate
	var names []string
	again := 0 // runs that linking saves
	for _, i := range gain {
		text := st.Instructions[i].Text
		names = append(names, "`"+short(text)+"`")
		again += runsOf(now, text) - runsOf(then, "COPY --link"+strings.TrimPrefix(text, "COPY"))
	}
	s.Title = "link " + list(few(names), "and") + ", which " + looks(len(names)) + " at nothing that stands above"
	switch {
	case again > 0 && len(names) > 1:
		s.Evidence = fmt.Sprintf("Over the last %s %s would be copied again %d times in all only because something above them changed; linked, they are laid on top of whatever that is.",
			in.Commits.Counted(), list(few(names), "and"), again)
	case again == 0:
		s.Evidence = fmt.Sprintf("Over the last %s %s would wait for what stands above; linked, it runs beside that.", in.Commits.Counted(), list(few(names), "or"))
	default:
		s.Evidence = fmt.Sprintf("In %d of the last %s %s would be copied again only because something above it changed; linked, it is laid on top of whatever that is.",
			again, in.Commits.Counted(), list(few(names), "or"))
	}
	if again > 0 {
		s.Evidence += in.guessedCopies(st, gain)
	}
	return s, true
}

// guessedCopies says what the seconds of COPYs are worth that were never observed, or returns "".
func (in Input) guessedCopies(st dockerfile.Stage, copies []int) string {
	sum, n, unknown := load{known: true}, 0, 0
	for _, i := range copies {
		if _, seen := in.Seconds[st.Instructions[i].Text]; seen {
			continue
		}
		n++
		l := in.loadOf(st.Instructions[i].Lines.From)
		if !l.known {
			unknown++
		}
		sum.files, sum.bytes = sum.files+l.files, sum.bytes+l.bytes
	}
	switch {
	case n == 0:
		return ""
	case unknown > 0:
		return " How long copying takes was never observed, nor is it known how much that is: the seconds are a guess."
	}
	return " How long copying takes was never observed: the seconds are an estimate from what is copied, " + sum.String() + "."
}

// looks returns the verb for n things.
func looks(n int) string {
	if n == 1 {
		return "looks"
	}
	return "look"
}

// rearranged reports whether another rule proposes a better order for a stage.
func (in Input) rearranged(st dockerfile.Stage) bool {
	others := manifestsFirst(in)
	if in.asks("reorder") {
		others = append(slices.Clone(others), reorder(in)...)
	}
	return slices.ContainsFunc(others, func(s Suggestion) bool {
		return s.Proof == ByConstruction && s.Lines.From >= st.Lines.From && s.Lines.To <= st.Lines.To
	})
}

// A linking decides which COPYs of a stage may be linked.
type linking struct {
	in   Input
	view *stageView
}

// try returns the change that links some COPYs, and the replay of the history with it.
func (l linking) try(which []int) (Change, Replayed, bool) {
	in, ins := l.in, l.view.stage.Instructions
	price := in.pricer()
	var edits []dockerfile.Edit
	for _, i := range which {
		edits = append(edits, spliced(in.File, ins[i], addFlag(in.File, ins[i], "--link")))
	}
	change, err := rewrite(in, 0, edits...)
	if err != nil {
		return Change{}, Replayed{}, false
	}
	after, err := in.parse(change.New)
	if err != nil {
		return Change{}, Replayed{}, false
	}
	costs := map[string]float64{}
	for _, i := range which {
		costs[after.Stages[l.view.stage.Index].Instructions[i].Text] = price.cost(ins[i])
	}
	r, err := in.replay(in.Builds[0], variant{text: change.New, costs: costs}, price)
	return change, r, err == nil
}

// allows reports whether instruction i is a COPY that makes the same image if it is linked.
//
// A linked COPY does not see what is above it: it makes the folders on the way to its
// destination, owned by root and readable for all, does not follow links among them, and does
// not know whether the destination is a folder (Dockerfile reference: COPY --link). So these
// folders have to be known to look just like that, and there must be nothing at the destination.
func (l linking) allows(i int) bool {
	v := l.view
	ins := v.stage.Instructions[i]
	c := ins.Copy
	if ins.Keyword != "COPY" || c.Link || c.Chmod != "" || c.Chown != "" || c.Parents || c.Heredocs > 0 || len(c.Sources) != 1 || v.stage.BaseStage >= 0 {
		return false
	}
	image := imageName(v.stage.Base)
	if image != "scratch" && (!slices.Contains(rootImages(), image) || slices.Contains([]string{"composer", "gradle", "oven/bun"}, image)) {
		return false // its folders and its user are not known
	}
	dest := v.dest(i)
	if !strings.HasPrefix(dest, "/") || strings.ContainsAny(c.Dest+c.Sources[0], "$*?[") {
		return false
	}
	target := dest
	if strings.HasSuffix(c.Dest, "/") || c.Dest == "." {
		src := strings.TrimPrefix(path.Clean("/"+c.Sources[0]), "/")
		if c.From != "" || slices.ContainsFunc(l.in.Builds, func(b Build) bool { return !b.Context.IsFile(src) }) {
			return false // the content of a folder would land among what is there
		}
		target = path.Join(dest, path.Base(src))
	}
	for dir := path.Dir(target); dir != "/"; dir = path.Dir(dir) {
		if !plainFolder(dir) {
			return false
		}
	}
	return plainFolder(target) && l.untouched(i, target)
}

// plainFolder reports whether an image path is known either not to exist in the usual images,
// or to be a folder there, not a link, that root owns and all may read.
func plainFolder(dir string) bool {
	first, rest, _ := strings.Cut(strings.TrimPrefix(dir, "/"), "/")
	switch first {
	case "usr":
		second, _, _ := strings.Cut(rest, "/")
		return rest == "" || second == "src"
	case "opt", "srv":
		return true
	}
	return !slices.Contains([]string{
		"bin", "boot", "dev", "etc", "go", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "proc", "root", "run", "sbin", "sys", "tmp", "var",
	}, first)
}

// untouched reports whether no instruction above instruction i writes to its target, or makes or
// changes a folder on the way to it in another way than a WORKDIR of root does.
func (l linking) untouched(i int, target string) bool {
	v := l.view
	for k, ins := range v.stage.Instructions[:i] {
		switch {
		case ins.Keyword == "USER", ins.Keyword == "ONBUILD", ins.Keyword == "SHELL":
			return false
		case ins.Keyword == "WORKDIR":
			dir := resolve(v.dirs[k], v.path(ins.Value, v.env[k]), v.vars(k))
			if _, in := below(target, dir); in || dir[0] == '?' {
				return false
			}
		case ins.Copy != nil:
			if !l.beside(k, target) {
				return false
			}
		case ins.Run != nil:
			run := viewRun(v, k)
			writes := run.touch.writes
			for _, inst := range run.installs {
				t, ok := v.touches(k, inst.dir, nil, nil, inst.writes)
				if !ok {
					return false
				}
				writes = append(slices.Clip(append(writes, t.writes...)), absolute(inst.dir, inst.output)...)
			}
			if !run.known || slices.ContainsFunc(writes, func(w string) bool { at, above := v.relation(w, target); return at || above }) {
				return false
			}
		}
	}
	return true
}

// beside reports whether instruction k, a COPY or ADD, writes nothing to the target, and makes
// folders on the way to it only as a linked COPY would.
func (l linking) beside(k int, target string) bool {
	v := l.view
	ins := v.stage.Instructions[k]
	dest := v.dest(k)
	if dest[0] == '?' || slices.ContainsFunc(l.in.Builds, func(b Build) bool { return v.lands(b, k, target) }) {
		return false
	}
	dir := path.Dir(target)
	if ins.Copy.Chown != "" || ins.Copy.Chmod != "" || ins.Copy.Parents || ins.Keyword == "ADD" {
		// It may make folders with another owner or mode.
		return !slices.Contains(append(ancestors(dir), dir), topOf(dest))
	}
	if _, holds := below(dest, dir); !holds || dest == "/" {
		return true // it makes folders just like a linked COPY
	}
	// If the folder does not exist yet, the COPY makes it with the mode of its source.
	return slices.ContainsFunc(v.dirs[:k+1], func(d string) bool { _, ok := below(dest, d); return ok })
}

// topOf returns the first folder of an absolute path.
func topOf(name string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return "/" + first
}

// ancestors returns the folders above an absolute path, the lowest first, without the root.
func ancestors(name string) (list []string) {
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		list = append(list, dir)
	}
	return list
}
