package suggest

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// initProcess tells of images whose first process is a package manager, which neither reaps
// child processes nor passes on all signals, and proposes to start the program itself. See
// docs/rules/init.md.
func initProcess(in Input) []Suggestion {
	var list []Suggestion
	for _, started := range startedBy(in) {
		ins := started.instruction
		words := ins.Command.Args
		if ins.Command.Script != "" {
			words, _ = plainWords(ins.Command.Script)
		}
		script, ok := packageScript(words)
		if !ok || started.health || ins.Keyword == "CMD" && started.both {
			continue // with both, the ENTRYPOINT is the first process
		}
		command, ok := in.script(started.stage, script)
		if !ok {
			continue // more than one program, or not known
		}
		text, err := jsonList(command)
		if err != nil {
			continue
		}
		change, err := rewrite(in, 0, withArguments(in.File, ins, text))
		if err != nil {
			continue
		}
		list = append(list, Suggestion{
			Rule: "init", Title: "start the program itself, not " + words[0], Lines: ins.Lines, Proof: Advice, Changes: []Change{change},
			Evidence: fmt.Sprintf("`%s` makes %s the first process: the program is its grandchild, and may not see what `docker stop` sends.", short(ins.Text), words[0]),
			Obstacle: "the image would start it another way, without the variables that " + words[0] + " sets",
		})
	}
	return list
}

// packageScript returns the name of the script of package.json that a command runs. It reports
// false for other commands, and for scripts that are meant for development.
func packageScript(words []string) (string, bool) {
	if len(words) < 2 || !slices.Contains([]string{"npm", "yarn", "pnpm"}, words[0]) {
		return "", false
	}
	rest := words[1:]
	if rest[0] == "run" || rest[0] == "run-script" {
		rest = rest[1:]
	} else if rest[0] != "start" {
		return "", false
	}
	if len(rest) != 1 || strings.HasPrefix(rest[0], "-") || rest[0] == "dev" || strings.Contains(rest[0], "watch") {
		return "", false
	}
	return rest[0], true
}

// script returns the command that a script of package.json runs. It reports false unless that is
// a single node, the same in all builds, with nothing before or after it, and package.json is
// copied into the folder in which the image starts.
func (in Input) script(stage int, name string) ([]string, bool) {
	var want []string
	for _, b := range in.Builds {
		text, err := b.Context.Read("package.json")
		if err != nil || !b.Context.Exists("package.json") {
			return nil, false
		}
		var manifest struct {
			Scripts map[string]string `json:"scripts"`
		}
		if json.Unmarshal(text, &manifest) != nil {
			return nil, false
		}
		for _, hook := range []string{"pre" + name, "post" + name} {
			if manifest.Scripts[hook] != "" {
				return nil, false
			}
		}
		words, ok := plainWords(manifest.Scripts[name])
		if !ok || path.Base(words[0]) != "node" || want != nil && !slices.Equal(want, words) {
			return nil, false
		}
		want = words
	}
	return want, want != nil && bringsManifest(in.File, stage)
}

// bringsManifest reports whether a stage copies package.json, alone or with all of the context,
// into its last working folder.
func bringsManifest(f *dockerfile.File, stage int) bool {
	v := newStageView(f, f.Stages[stage])
	dir := baseDir
	for i, ins := range v.stage.Instructions {
		if ins.Keyword == "WORKDIR" {
			dir = resolve(v.dirs[i], ins.Value, v.vars(i))
		}
	}
	for i, ins := range v.stage.Instructions {
		if takesContext(ins) && path.Clean(v.dest(i)) == path.Clean(dir) && slices.ContainsFunc(ins.Copy.Sources, func(s string) bool {
			s = strings.TrimPrefix(path.Clean("/"+s), "/")
			return s == "" || s == "package.json" || s == "package*.json"
		}) {
			return true
		}
	}
	return false
}
