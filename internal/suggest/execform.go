package suggest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/stokerd/stoker/context/dockerfile"
)

// execForm proposes to start a program without a shell between it and the
// signals that are meant for it. See docs/rules/exec-form.md.
func execForm(in Input) []Suggestion {
	var list []Suggestion
	for _, started := range startedBy(in) {
		ins := started.instruction
		if ins.Command.Script == "" || started.shell != nil || started.health {
			continue
		}
		words, ok := plainWords(ins.Command.Script)
		if !ok || words[0] == "exec" || slices.Contains([]string{"sh", "bash", "cd", ".", "source", "set", "export", "eval", "ulimit", "umask"}, words[0]) {
			continue
		}
		text, err := jsonList(words)
		if err != nil {
			continue
		}
		s := Suggestion{
			Rule: "exec-form", Title: fmt.Sprintf("start %s without a shell in front of it", words[0]), Lines: ins.Lines, Proof: Advice,
			Evidence: fmt.Sprintf("`%s` runs as a child of /bin/sh -c: what `docker stop` sends goes to the shell, which need not pass it on.", short(ins.Text)),
			Obstacle: "the image would start it another way",
		}
		if ins.Keyword == "ENTRYPOINT" && started.both {
			s.Obstacle = "the CMD, which the shell form leaves out, would become its arguments"
			list = append(list, s)
			continue
		}
		at := afterKeyword(in.File, ins)
		from := in.File.Source(ins.Lines)
		ending := from[len(strings.TrimRight(from, "\r\n")):]
		edit := spliced(in.File, ins, splice{at, lineStart(in.File, ins.Lines.To+1), text + ending})
		if change, err := rewrite(in, 0, edit); err == nil {
			s.Changes = []Change{change}
			list = append(list, s)
		}
	}
	return list
}

// A start is a CMD or ENTRYPOINT that an image ends up with.
type start struct {
	instruction dockerfile.Instruction
	stage       int
	shell       []string // that SHELL set before it
	both        bool     // the image has a CMD and an ENTRYPOINT
	health      bool     // it is a HEALTHCHECK
}

// startedBy returns what the images of the builds start, each place once.
func startedBy(in Input) []start {
	var list []start
	for _, b := range in.Builds {
		last := map[string]start{}
		target := targetStage(in.File, b)
		if target < 0 {
			continue
		}
		var shell []string
		for _, i := range chainOf(in.File, target) {
			for _, ins := range in.File.Stages[i].Instructions {
				switch {
				case ins.Keyword == "SHELL":
					shell = ins.Shell
				case ins.Command != nil && ins.Keyword != "ONBUILD":
					last[ins.Keyword] = start{instruction: ins, stage: i, shell: shell, health: ins.Keyword == "HEALTHCHECK"}
				}
			}
		}
		_, cmd := last["CMD"]
		_, entry := last["ENTRYPOINT"]
		for _, keyword := range []string{"ENTRYPOINT", "CMD", "HEALTHCHECK"} {
			s, ok := last[keyword]
			if s.both = cmd && entry; ok && !slices.ContainsFunc(list, func(o start) bool { return o.instruction.Lines == s.instruction.Lines }) {
				list = append(list, s)
			}
		}
	}
	return list
}

// chainOf returns a stage and those that it starts from, lowest first.
func chainOf(f *dockerfile.File, stage int) []int {
	var chain []int
	for ; stage >= 0; stage = f.Stages[stage].BaseStage {
		chain = append([]int{stage}, chain...)
	}
	return chain
}

// plainWords returns the words of a command line that needs no shell: one
// command without variables, patterns, redirections or assignments.
func plainWords(script string) ([]string, bool) {
	f, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(script), "")
	if err != nil || len(f.Stmts) != 1 {
		return nil, false
	}
	stmt := f.Stmts[0]
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || len(call.Args) == 0 || len(stmt.Redirs) > 0 || stmt.Negated || stmt.Background || stmt.Semicolon.IsValid() {
		return nil, false
	}
	var words []string
	for _, w := range call.Args {
		for _, part := range w.Parts {
			lit, bare := part.(*syntax.Lit)
			if bare && (strings.ContainsAny(lit.Value, "*?[~\\{}$`") || strings.HasPrefix(lit.Value, "#")) {
				return nil, false
			}
			if quoted, ok := part.(*syntax.DblQuoted); ok {
				for _, inner := range quoted.Parts {
					if lit, ok := inner.(*syntax.Lit); !ok || strings.Contains(lit.Value, `\`) {
						return nil, false
					}
				}
			} else if _, single := part.(*syntax.SglQuoted); !bare && !single {
				return nil, false
			}
		}
		text, ok := plainText(w)
		if !ok {
			return nil, false
		}
		words = append(words, text)
	}
	return words, true
}

// jsonList writes words as the list form has them.
func jsonList(words []string) (string, error) {
	var out []string
	for _, w := range words {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(w); err != nil {
			return "", err
		}
		out = append(out, strings.TrimSpace(b.String()))
	}
	return "[" + strings.Join(out, ", ") + "]", nil
}
