package suggest

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// initProcess says where the first process of a container is a package manager,
// which neither reaps children nor passes every signal on, and proposes to start
// the program itself. See docs/rules/init.md.
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
			continue // an entrypoint decides what is first
		}
		command, ok := in.script(started.stage, script)
		if !ok {
			continue // a server for development, or more than one program
		}
		text, err := jsonList(command)
		if err != nil {
			continue
		}
		at := afterKeyword(in.File, ins)
		source := in.File.Source(ins.Lines)
		ending := source[len(strings.TrimRight(source, "\r\n")):]
		change, err := rewrite(in, 0, spliced(in.File, ins, splice{at, lineStart(in.File, ins.Lines.To+1), text + ending}))
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

// packageScript returns the script of package.json that a command runs.
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
		return "", false // options of its own, or no image to run in earnest
	}
	return rest[0], true
}

// script returns what a script of package.json starts, if it is node with plain
// words, nothing runs before or after it, and the file lies where the image
// starts.
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

// bringsManifest reports a stage that gets package.json into its last folder by
// a COPY of the context's root, or of the file.
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
