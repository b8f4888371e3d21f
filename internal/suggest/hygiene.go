package suggest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// packageHygiene tells of files that package managers leave in an image without need, and of
// package indices that may be older than what is to be installed. See
// docs/rules/package-hygiene.md.
func packageHygiene(in Input) []Suggestion {
	var list []Suggestion
	var mounted []Suggestion // cache mounts that are proposed, and keep downloads out of the image
	if !slices.Contains(in.Silenced, "cache-mount") {
		mounted = cacheMount(in)
	}
	for _, st := range in.File.Stages {
		if !neededByAny(in, st.Index) {
			continue
		}
		shipped := slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, st.Index) })
		v := in.bare(st)
		for k, ins := range st.Instructions {
			if ins.Run == nil {
				continue
			}
			if s, ok := staleIndex(in, v, k); ok {
				list = append(list, s)
			}
			mounts := slices.ContainsFunc(mounted, func(s Suggestion) bool { return s.Lines.From <= ins.Lines.From && ins.Lines.To <= s.Lines.To })
			if s, ok := leftovers(in, v, k, mounts); ok && shipped {
				list = append(list, s)
			}
		}
	}
	return list
}

// staleIndex tells of an `apt-get update` that is alone in its RUN, instruction k, above an
// install that relies on it: the index is as old as the result of that step.
func staleIndex(in Input, v *stageView, k int) (Suggestion, bool) {
	if k+1 >= len(v.stage.Instructions) {
		return Suggestion{}, false
	}
	update, install := v.stage.Instructions[k], v.stage.Instructions[k+1]
	if install.Run == nil || !v.onlyUpdates(k) || !v.installsFirst(k+1) || !servesUpdate(install) {
		return Suggestion{}, false
	}
	at, ok := install.Run.Offset(0)
	if !ok || update.Run.Heredocs > 0 || update.Run.Script == "" || strings.ContainsAny(update.Run.Script, "\\\n;&|#") {
		return Suggestion{}, false
	}
	// Comments above the update stay, and so end up above the RUN that does both.
	edits := append(removeLines(in.File, []dockerfile.Lines{update.Lines}), spliced(in.File, install, splice{at, at, update.Run.Script + " && "}))
	change, err := rewrite(in, -1, edits...)
	if err != nil {
		return Suggestion{}, false
	}
	return Suggestion{
		Rule: "package-hygiene", Title: "update the package index in the RUN that installs", Proof: ByConstruction, Changes: []Change{change},
		Lines:    dockerfile.Lines{From: update.Lines.From, To: install.Lines.To},
		Evidence: fmt.Sprintf("`%s` stays in the cache when `%s` changes: a new package is then looked for in an old index, and may be gone.", short(update.Text), short(install.Text)),
	}, true
}

// onlyUpdates reports whether instruction k, a RUN, only updates the index of apt, without flags.
func (v *stageView) onlyUpdates(k int) bool {
	ins := v.stage.Instructions[k]
	commands, ok := v.everyCommand(k)
	return ok && len(commands) == 1 && aptVerb(commands[0], "update") && len(ins.Run.Mounts)+len(ins.Flags) == 0
}

// installsFirst reports whether instruction k, a RUN, begins with an install by apt and does not
// update the index itself. An update in front of it is then followed by all of its commands, and
// only if it succeeds.
func (v *stageView) installsFirst(k int) bool {
	run := v.stage.Instructions[k].Run
	commands, ok := everyCommand(run, v.shell[k])
	if !ok || len(commands) == 0 || commands[0].from != 0 || !aptVerb(commands[0], "install") {
		return false
	}
	updates := slices.ContainsFunc(commands, func(c command) bool { return aptVerb(c, "update") })
	return !updates && !strings.Contains(run.Given, "||") && parseRun(run, v.shell[k]).chain
}

// servesUpdate reports whether an update of the index does the same in a RUN as in one without
// flags: that has the network, and no mount is where apt reads or writes.
func servesUpdate(ins dockerfile.Instruction) bool {
	hides := func(m mount) bool {
		if m.Target == "" && (m.Type == "secret" || m.Type == "ssh") {
			return false // it is below /run
		}
		return !path.IsAbs(m.Target) || overlapsAny([]string{"/var/lib/apt", "/var/cache/apt", "/etc", "/tmp"}, path.Clean(m.Target))
	}
	otherFlags := slices.ContainsFunc(ins.Flags, func(f string) bool { return !strings.HasPrefix(f, "--mount=") })
	return !otherFlags && !slices.ContainsFunc(ins.Run.Mounts, hides)
}

// aptVerb reports whether a command is `apt-get VERB`, perhaps with flags between.
func aptVerb(c command, verb string) bool { return verbOf(c, verb, "apt-get", "apt") }

// verbOf is aptVerb for other tools.
func verbOf(c command, verb string, tools ...string) bool {
	if len(c.words) == 0 || !slices.Contains(tools, c.words[0]) {
		return false
	}
	_, rest := c.args(1)
	return len(rest) > 0 && rest[0] == verb
}

// A leftover is something that a RUN leaves in its layer without need, and how to avoid that: by
// one of insert, tail and gone.
type leftover struct {
	what         string // what the image loses
	command      int    // index of the command that leaves it
	insert, word string // insert is a flag that belongs behind word
	tail         string // a command that belongs at the end of the RUN
	gone         bool   // the command is to be removed: other commands get flags that make it useless
	bytes        int64  // a rough guess; 0 if there is none
	unsure       bool   // there may be nothing left
}

// recommended is the leftover of packages that no package depends on.
const recommended = "merely recommended packages"

// leftovers proposes to have instruction k, a RUN, leave nothing in its layer without need:
// what a later step deletes stays in the image. mounted says that a cache mount takes the
// downloads.
func leftovers(in Input, v *stageView, k int, mounted bool) (Suggestion, bool) {
	run := v.stage.Instructions[k]
	commands, ok := v.everyCommand(k)
	if !ok {
		return Suggestion{}, false
	}
	var found []leftover
	for i, c := range commands {
		left := leaves(in, v, k, commands, i)
		if l, ok := cached(v, k, commands, i); ok && !mounted {
			left = append(left, l)
		}
		tidies := slices.ContainsFunc(commands[i+1:], func(c command) bool { return in.tidies(v, k, c) })
		for _, l := range left {
			if tidies && l.what != recommended {
				continue // it is not known to be left
			}
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
	bytes := map[string]int64{} // several commands that leave the same count once
	leave := "may leave"
	for _, l := range found {
		if !slices.Contains(what, l.what) {
			what = append(what, l.what)
		}
		if !l.unsure {
			leave = "leaves"
		}
		bytes[l.what] = max(l.bytes, bytes[l.what])
	}
	var total int64
	for _, n := range bytes {
		total += n
	}
	s := Suggestion{
		Rule: "package-hygiene", Title: "leave no " + list(what, "or") + " in the image", Lines: run.Lines, Proof: Advice,
		Evidence: fmt.Sprintf("`%s` %s %s in a layer of the image.", short(run.Text), leave, list(what, "and")),
		Obstacle: "the image would be another one: without that, and smaller",
	}
	if slices.Contains(what, recommended) {
		s.Obstacle += ", and what it runs may need a package that is only recommended"
	}
	s.spares(total, Image, Prior)
	if change, ok := tidied(in, v, k, commands, found); ok {
		s.Changes = []Change{change}
	} else {
		s.Obstacle = "the mend could not be written into a RUN of this form"
	}
	return s, true
}

// tidies reports whether a command of instruction k, a RUN, is a script that may delete what is left of
// a package manager: by its name, or by its text where a COPY brings it.
func (in Input) tidies(v *stageView, k int, c command) bool {
	words := c.words
	if len(words) > 1 && posix(words[:1]) {
		words = words[1:]
	}
	if len(words) == 0 || !strings.Contains(words[0], "/") && !strings.HasSuffix(words[0], ".sh") && len(words) > 1 {
		return false // a program of the system: see removes
	}
	if tidyName.MatchString(path.Base(words[0])) {
		return true
	}
	b := in.Builds[0]
	name, _, ok := (&move{view: v, last: k, context: b.Context}).provider(b, k, resolve(v.dirs[k], words[0], v.vars(k)))
	if !ok {
		return false
	}
	text, err := b.Context.Read(name)
	return err == nil && tidyText.Match(text)
}

// tidyName matches names of scripts that delete what is left, as cleanup.sh; tidyText matches what they
// hold.
var (
	tidyName = regexp.MustCompile(`(?i)clean|tidy|purge`)
	tidyText = regexp.MustCompile(`/var/lib/apt|/var/cache|/\.cache\b|clean all`)
)

// leaves returns what command i of instruction k leaves behind if it is one of a system's package
// manager.
func leaves(in Input, v *stageView, k int, commands []command, i int) []leftover {
	c, run := commands[i], v.stage.Instructions[k].Run
	switch {
	case aptVerb(c, "install"):
		return aptLeaves(in, v, k, commands, i)
	case isApk(c):
		return apkLeaves(run, commands, i)
	case verbOf(c, "install", "dnf", "yum", "microdnf"):
		cleans := slices.ContainsFunc(commands, func(c command) bool { return verbOf(c, "clean", "dnf", "yum", "microdnf") })
		if !cleans && !mountedAt(run, "/var/cache/dnf") && !mountedAt(run, "/var/cache/yum") && !removes(commands, "/var/cache") {
			return []leftover{{what: "downloaded packages", bytes: 100e6, tail: c.words[0] + " clean all"}}
		}
	}
	return nil
}

// aptLeaves is leaves for an `apt-get install`.
func aptLeaves(in Input, v *stageView, k int, commands []command, i int) []leftover {
	c, run := commands[i], v.stage.Instructions[k].Run
	var found []leftover
	updates := slices.ContainsFunc(commands, func(c command) bool { return aptVerb(c, "update") })
	cleans := removes(commands, "/var/lib/apt/lists") || slices.ContainsFunc(commands, func(c command) bool {
		return aptVerb(c, "dist-clean") || aptVerb(c, "distclean")
	})
	if updates && !cleans && !mountedAt(run, "/var/lib/apt") && !laterInstall(v, k) {
		found = append(found, leftover{what: "lists of packages", bytes: 20e6, tail: "rm -rf /var/lib/apt/lists/*"})
	}
	decided := strings.Contains(string(in.File.Text), "APT::Install-Recommends") || slices.Contains(c.words, "--install-recommends") ||
		slices.ContainsFunc(c.words, func(w string) bool {
			return strings.Contains(w, "no-install-recommends") || strings.Contains(w, "Install-Recommends") || strings.Contains(w, "no-install-suggests")
		})
	if !decided {
		found = append(found, leftover{what: recommended, insert: " --no-install-recommends", word: "install", command: i})
	}
	return found
}

// apkLeaves is leaves for a command of apk. Without the network it fetches no lists.
func apkLeaves(run *dockerfile.Run, commands []command, i int) []leftover {
	c := commands[i]
	if slices.Contains(c.words, "--no-cache") || slices.Contains(c.words, "--no-network") || mountedAt(run, "/var/cache/apk") || mountedAt(run, "/etc/apk/cache") || removes(commands, "/var/cache/apk") {
		return nil
	}
	left := leftover{what: "lists of packages", bytes: 2e6, command: i}
	_, rest := c.args(1)
	switch verb := rest[0]; {
	case verb == "add" || verb == "upgrade":
		left.insert, left.word = " --no-cache", verb
	case verb == "update" && i+1 < len(commands) && !slices.ContainsFunc(commands, readsIndex):
		left.gone = true
	default:
		return nil
	}
	return []leftover{left}
}

// cached returns what command i of instruction k leaves in the cache of pip, or false if that is
// nothing.
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
	mounts := slices.ContainsFunc(run.Run.Mounts, func(m dockerfile.Mount) bool { return m.Type == "cache" })
	purges := slices.ContainsFunc(commands, func(c command) bool { return slices.Contains(c.words, "purge") })
	if mounts || purges || strings.Contains(run.Text, "PIP_") || strings.Contains(run.Text, ".cache") {
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

// laterInstall reports whether an apt-get install below instruction k, in the stage or one that
// starts from it, may need the lists of packages, because it has no update before it.
func laterInstall(v *stageView, k int) bool {
	for n := k + 1; n < len(v.stage.Instructions); n++ {
		run := v.stage.Instructions[n].Run
		if run == nil {
			continue
		}
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
	return slices.ContainsFunc(v.file.Stages, func(st dockerfile.Stage) bool {
		return st.BaseStage == v.stage.Index && laterInstall(newStageView(v.file, st), -1)
	})
}

// isApk reports whether a command is apk with a verb, perhaps with flags between.
func isApk(c command) bool {
	if len(c.words) == 0 || c.words[0] != "apk" {
		return false
	}
	_, rest := c.args(1)
	return len(rest) > 0
}

// readsIndex reports whether a command of apk reads the index that an update downloaded, and
// downloads none itself.
func readsIndex(c command) bool {
	return isApk(c) && !slices.ContainsFunc([]string{"add", "upgrade", "update", "del"}, func(verb string) bool { return verbOf(c, verb, "apk") })
}

// mountedAt reports whether a RUN may have a mount at a folder, above it or below it.
func mountedAt(run *dockerfile.Run, dir string) bool {
	return slices.ContainsFunc(run.Mounts, func(m dockerfile.Mount) bool {
		return strings.Contains(m.Target, "$") || path.IsAbs(m.Target) && overlap(dir, path.Clean(m.Target))
	})
}

// removes reports whether a command deletes a folder, or something in it.
func removes(commands []command, dir string) bool {
	return slices.ContainsFunc(commands, func(c command) bool {
		return (c.words[0] == "rm" || c.words[0] == "find") && slices.ContainsFunc(c.words[1:], func(w string) bool {
			return path.IsAbs(w) && overlap(dir, path.Clean(strings.TrimRight(w, "*")))
		})
	})
}

// tidied returns the change by which instruction k, a RUN, leaves nothing of found. It reports
// false if the mend cannot be written: a command at the end follows the last one by &&, which fails
// where that does, whatever joins the others.
func tidied(in Input, v *stageView, k int, commands []command, found []leftover) (Change, bool) {
	run := v.stage.Instructions[k]
	end, ok := run.Run.Offset(len(run.Run.Script))
	if !ok || !v.extensible(k) {
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
			if !here || !there || !parseRun(run.Run, v.shell[k]).chain || !anded(v, k, c.to, next.from) {
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

// extensible reports whether a command may be added to the script of instruction k by &&: it ends
// with a command, not with ; or &.
func (v *stageView) extensible(k int) bool {
	f, ok := shellScript(v.stage.Instructions[k].Run, v.shell[k])
	if !ok || len(f.Stmts) == 0 || len(f.Last) > 0 {
		return false
	}
	last := f.Stmts[len(f.Stmts)-1]
	return !last.Background && !last.Semicolon.IsValid()
}

// anded reports whether nothing but && stands between two offsets in the script of instruction k.
func anded(v *stageView, k, from, to int) bool {
	run := v.stage.Instructions[k].Run
	start, here := run.Offset(from - 1)
	end, there := run.Offset(to)
	return from < to && here && there && strings.Trim(string(v.file.Text[start+1:end]), " \t\r\n"+string(v.file.Escape)) == "&&"
}

// joint returns the text between the last command of instruction k, a RUN, and one more, which
// gets a line of its own if the RUN has several. The && stands where it does in the other lines.
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

// trails reports whether more lines of an instruction end with && than begin with it.
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
