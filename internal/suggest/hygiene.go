package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// packageHygiene says what package managers leave in an image that nobody
// needs there, and where an index may be older than the packages asked for. See
// docs/rules/package-hygiene.md.
func packageHygiene(in Input) []Suggestion {
	var list []Suggestion
	var mounted []Suggestion // what a cache mount would keep out of the image
	if !slices.Contains(in.Silenced, "cache-mount") {
		mounted = cacheMount(in)
	}
	for _, st := range in.File.Stages {
		if !neededByAny(in, st.Index) {
			continue
		}
		shipped := slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, st.Index) })
		v := newStageView(in.File, st)
		for k, ins := range st.Instructions {
			if ins.Run == nil {
				continue
			}
			if s, ok := staleIndex(in, v, k); ok {
				list = append(list, s)
			}
			other := slices.ContainsFunc(mounted, func(s Suggestion) bool { return s.Lines.From <= ins.Lines.From && ins.Lines.To <= s.Lines.To })
			if s, ok := leftovers(in, v, k, other); ok && shipped {
				list = append(list, s)
			}
		}
	}
	return list
}

// staleIndex finds an `apt-get update` alone in its RUN, above an install that
// relies on it: the index is as old as the cached step.
func staleIndex(in Input, v *stageView, k int) (Suggestion, bool) {
	ins := v.stage.Instructions
	update, ok := everyCommand(ins[k].Run, v.shell[k])
	if !ok || len(update) != 1 || !aptVerb(update[0], "update") || k+1 >= len(ins) || ins[k+1].Run == nil || len(ins[k].Run.Mounts)+len(ins[k].Flags) > 0 {
		return Suggestion{}, false
	}
	install, ok := everyCommand(ins[k+1].Run, v.shell[k+1])
	if !ok || len(install) == 0 || !aptVerb(install[0], "install") || slices.ContainsFunc(install, func(c command) bool { return aptVerb(c, "update") }) {
		return Suggestion{}, false
	}
	at, ok := ins[k+1].Run.Offset(install[0].from)
	if !ok || ins[k].Run.Heredocs > 0 || ins[k].Run.Script == "" || strings.ContainsAny(ins[k].Run.Script, "\\\n;&|#") || install[0].from != 0 {
		return Suggestion{}, false
	}
	// What is said of the update stays where it is, above the one that does both.
	edits := append(removeLines(in.File, []dockerfile.Lines{ins[k].Lines}), spliced(in.File, ins[k+1], splice{at, at, ins[k].Run.Script + " && "}))
	change, err := rewrite(in, -1, edits...)
	if err != nil {
		return Suggestion{}, false
	}
	return Suggestion{
		Rule: "package-hygiene", Title: "update the package index in the RUN that installs", Proof: ByConstruction, Changes: []Change{change},
		Lines:    dockerfile.Lines{From: ins[k].Lines.From, To: ins[k+1].Lines.To},
		Evidence: fmt.Sprintf("`%s` stays in the cache when `%s` changes: a new package is then looked for in an old index, and may be gone.", short(ins[k].Text), short(ins[k+1].Text)),
	}, true
}

// aptVerb recognises `apt-get VERB`, with flags between.
func aptVerb(c command, verb string) bool { return verbOf(c, verb, "apt-get", "apt") }

func verbOf(c command, verb string, tools ...string) bool {
	if len(c.words) == 0 || !slices.Contains(tools, c.words[0]) {
		return false
	}
	_, rest := c.args(1)
	return len(rest) > 0 && rest[0] == verb
}

// A leftover is what a RUN leaves in its layer, with the mend.
type leftover struct {
	what    string // that the image loses
	insert  string // after the word, or "" to append
	word    string
	command int    // in the RUN
	tail    string // a command at the end of the RUN
	gone    bool   // the command itself goes: with the flags of the others, it does nothing
	bytes   int64  // a round guess; 0 where even that cannot be made
	unsure  bool   // there may be none of it
}

// recommended is what an install brings that nothing asked for depends on.
const recommended = "merely recommended packages"

// leftovers proposes to take what a RUN leaves behind away in the same RUN: a
// later layer would not make the image smaller.
func leftovers(in Input, v *stageView, k int, mounted bool) (Suggestion, bool) {
	run := v.stage.Instructions[k]
	commands, ok := everyCommand(run.Run, v.shell[k])
	if !ok {
		return Suggestion{}, false
	}
	var found []leftover
	for i, c := range commands {
		left := leaves(in, v, k, commands, i)
		if l, ok := cached(v, k, commands, i); ok && !mounted {
			left = append(left, l)
		}
		for _, l := range left {
			if c.perhaps {
				l.bytes, l.unsure = 0, true
			}
			found = append(found, l)
		}
	}
	if len(found) == 0 {
		return Suggestion{}, false
	}
	var what []string
	var bytes int64
	most, leave := map[string]int64{}, "may leave"
	for _, l := range found {
		if !slices.Contains(what, l.what) {
			what = append(what, l.what)
		}
		if !l.unsure {
			leave = "leaves"
		}
		bytes += max(l.bytes-most[l.what], 0)
		most[l.what] = max(l.bytes, most[l.what])
	}
	s := Suggestion{
		Rule: "package-hygiene", Title: "leave no " + list(what, "or") + " in the image", Lines: run.Lines, Proof: Advice,
		Evidence: fmt.Sprintf("`%s` %s %s in a layer of the image.", short(run.Text), leave, list(what, "and")),
		Obstacle: "the image would be another one: without that, and smaller",
	}
	if slices.Contains(what, recommended) {
		s.Obstacle += ", and what it runs may need a package that is only recommended"
	}
	s.spares(bytes, Image, Prior)
	if change, ok := tidied(in, v, k, commands, found); ok {
		s.Changes = []Change{change}
	} else {
		s.Obstacle = "the RUN is no plain list joined by &&, into which the mend could be written"
	}
	return s, true
}

// leaves says what a system package manager leaves behind.
func leaves(in Input, v *stageView, k int, commands []command, i int) []leftover {
	c, run := commands[i], v.stage.Instructions[k].Run
	var found []leftover
	switch {
	case aptVerb(c, "install"):
		if !mountedAt(run, "/var/lib/apt") && !removes(commands, "/var/lib/apt/lists") && !slices.ContainsFunc(commands, func(c command) bool {
			return aptVerb(c, "dist-clean") || aptVerb(c, "distclean")
		}) && !laterInstall(v, k) && slices.ContainsFunc(commands, func(c command) bool { return aptVerb(c, "update") }) {
			found = append(found, leftover{what: "lists of packages", bytes: 20e6, tail: "rm -rf /var/lib/apt/lists/*"})
		}
		if !slices.ContainsFunc(c.words, func(w string) bool {
			return strings.Contains(w, "no-install-recommends") || strings.Contains(w, "Install-Recommends") || strings.Contains(w, "no-install-suggests")
		}) &&
			!strings.Contains(string(in.File.Text), "APT::Install-Recommends") && !slices.Contains(c.words, "--install-recommends") {
			found = append(found, leftover{what: recommended, insert: " --no-install-recommends", word: "install", command: i})
		}
	case isApk(c) && !slices.Contains(c.words, "--no-cache") && !mountedAt(run, "/var/cache/apk") && !mountedAt(run, "/etc/apk/cache") && !removes(commands, "/var/cache/apk"):
		l := leftover{what: "lists of packages", bytes: 2e6, command: i}
		_, rest := c.args(1)
		switch verb := rest[0]; {
		case verb == "add" || verb == "upgrade":
			l.insert, l.word = " --no-cache", verb
			found = append(found, l)
		case verb == "update" && i+1 < len(commands) && !slices.ContainsFunc(commands, readsIndex):
			l.gone = true
			found = append(found, l)
		}
	case verbOf(c, "install", "dnf", "yum", "microdnf") && !mountedAt(run, "/var/cache/dnf") && !mountedAt(run, "/var/cache/yum") && !removes(commands, "/var/cache") &&
		!slices.ContainsFunc(commands, func(c command) bool { return verbOf(c, "clean", "dnf", "yum", "microdnf") }):
		found = append(found, leftover{what: "downloaded packages", bytes: 100e6, tail: c.words[0] + " clean all"})
	}
	return found
}

// cached says what a language's package manager leaves behind.
func cached(v *stageView, k int, commands []command, i int) (leftover, bool) {
	c := commands[i]
	if len(c.words) == 0 {
		return leftover{}, false
	}
	args, ok := pipArgs(c)
	if !ok || slices.ContainsFunc(c.words, func(w string) bool { return pipFlag(w, "--no-cache-dir") || pipFlag(w, "--cache-dir") }) {
		return leftover{}, false
	}
	from := pipSources(args)
	if from == nothingFetched {
		return leftover{}, false
	}
	for _, ins := range append(instructionsOf(v.file, v.stage.BaseStage), v.stage.Instructions[:k]...) {
		if slices.ContainsFunc(ins.Names, func(n string) bool { return strings.HasPrefix(n, "PIP_") || n == "XDG_CACHE_HOME" }) {
			return leftover{}, false
		}
	}
	run := v.stage.Instructions[k]
	if strings.Contains(run.Text, "PIP_") || slices.ContainsFunc(run.Run.Mounts, func(m dockerfile.Mount) bool { return m.Type == "cache" }) ||
		strings.Contains(run.Text, ".cache") || slices.ContainsFunc(commands, func(c command) bool { return slices.Contains(c.words, "purge") }) {
		return leftover{}, false
	}
	l := leftover{what: "downloads of pip", bytes: 50e6, insert: " --no-cache-dir", word: "install", command: i}
	switch from {
	case ownSources:
		l.bytes, l.unsure = 0, true
	case ownTools:
		l.bytes = 2e6
	}
	return l, true
}

// laterInstall reports an apt-get install below instruction k, in the stage or in
// one that starts from it, that has no update of its own and so needs the lists.
func laterInstall(v *stageView, k int) bool {
	for n := k + 1; n < len(v.stage.Instructions); n++ {
		if run := v.stage.Instructions[n].Run; run != nil {
			commands, ok := everyCommand(run, v.shell[n])
			if !ok {
				return true
			}
			for _, c := range commands {
				if aptVerb(c, "update") {
					return false
				}
				if aptVerb(c, "install") || path.Ext(c.words[0]) == ".sh" {
					return true
				}
			}
		}
	}
	return slices.ContainsFunc(v.file.Stages, func(st dockerfile.Stage) bool {
		return st.BaseStage == v.stage.Index && laterInstall(newStageView(v.file, st), -1)
	})
}

// isApk recognises apk with a command of its own, with flags between.
func isApk(c command) bool {
	if len(c.words) == 0 || c.words[0] != "apk" {
		return false
	}
	_, rest := c.args(1)
	return len(rest) > 0
}

// readsIndex reports a command of apk that reads the index that an update fetched, and
// fetches none itself.
func readsIndex(c command) bool {
	return isApk(c) && !slices.ContainsFunc([]string{"add", "upgrade", "update", "del"}, func(verb string) bool { return verbOf(c, verb, "apk") })
}

func mountedAt(run *dockerfile.Run, dir string) bool {
	return slices.ContainsFunc(run.Mounts, func(m dockerfile.Mount) bool {
		return strings.Contains(m.Target, "$") || path.IsAbs(m.Target) && overlap(dir, path.Clean(m.Target))
	})
}

// removes reports an rm of a folder, or of what is in it.
func removes(commands []command, dir string) bool {
	return slices.ContainsFunc(commands, func(c command) bool {
		return (c.words[0] == "rm" || c.words[0] == "find") && slices.ContainsFunc(c.words[1:], func(w string) bool {
			return path.IsAbs(w) && overlap(dir, path.Clean(strings.TrimRight(w, "*")))
		})
	})
}

// tidied writes the mends into the RUN.
func tidied(in Input, v *stageView, k int, commands []command, found []leftover) (Change, bool) {
	run := v.stage.Instructions[k]
	end, ok := run.Run.Offset(len(run.Run.Script))
	if !ok || !parseRun(run.Run, v.shell[k]).chain {
		return Change{}, false
	}
	var splices []splice
	tails := ""
	for _, l := range found {
		if l.tail != "" {
			if !strings.Contains(tails, l.tail) {
				tails += v.joint(k) + l.tail
			}
			continue
		}
		c := commands[l.command]
		if l.gone {
			next := commands[l.command+1]
			from, here := run.Run.Offset(c.from)
			to, there := run.Run.Offset(next.from)
			if !here || !there || !anded(v, k, c.to, next.from) {
				return Change{}, false
			}
			splices = append(splices, splice{from, to, ""})
			continue
		}
		at := slices.Index(c.words, l.word)
		if at < 0 {
			return Change{}, false
		}
		pos, ok := run.Run.Offset(c.ends[at] - 1)
		if !ok {
			return Change{}, false
		}
		splices = append(splices, splice{pos + 1, pos + 1, l.insert})
	}
	if tails != "" {
		splices = append(splices, splice{end, end, tails})
	}
	change, err := rewrite(in, 0, spliced(in.File, run, splices...))
	return change, err == nil
}

// anded reports whether nothing but && stands between two places of a script.
func anded(v *stageView, k, from, to int) bool {
	run := v.stage.Instructions[k].Run
	start, here := run.Offset(from - 1)
	end, there := run.Offset(to)
	return from < to && here && there && strings.Trim(string(v.file.Text[start+1:end]), " \t\r\n"+string(v.file.Escape)) == "&&"
}

// joint is what goes between the last command of a RUN and one more: on a line
// of its own where the RUN has several, with the && where the others have it.
func (v *stageView) joint(k int) string {
	run := v.stage.Instructions[k]
	if run.Lines.From == run.Lines.To {
		return " && "
	}
	end, white := string(v.file.Escape)+"\n", continued(v.file, run)
	if trails(v.file.Source(run.Lines), string(v.file.Escape)) {
		return " && " + end + white
	}
	return " " + end + white + "&& "
}

// trails reports an instruction whose lines end with && rather than begin with it.
func trails(source, escape string) bool {
	trailing, leading := 0, 0
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if before, ok := strings.CutSuffix(line, escape); ok && strings.HasSuffix(strings.TrimSpace(before), "&&") {
			trailing++
		}
		if strings.HasPrefix(line, "&&") {
			leading++
		}
	}
	return trailing > leading
}
