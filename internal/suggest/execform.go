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
		if ins.Command.Script == "" || started.shell != nil || started.health || onWindows(in.File, started.stage) {
			continue // the shell of Windows is another, and what it passes on
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
			Evidence: fmt.Sprintf("`%s` is started by /bin/sh -c, which may stay in front of it: what `docker stop` sends then goes to the shell, which need not pass it on.", short(ins.Text)),
			Obstacle: "the image would start it another way",
		}
		if replacesItself(rootStage(in.File, started.stage).Base) {
			s.Evidence = fmt.Sprintf("Each build warns of `%s`. The shell of this image puts %s in its own place, so that signals reach it; "+
				"that of another image need not.", short(ins.Text), words[0])
		}
		if ins.Keyword == "ENTRYPOINT" && started.both {
			s.Obstacle = "the CMD, which the shell form leaves out, would become its arguments"
			list = append(list, s)
			continue
		}
		if change, err := rewrite(in, 0, withArguments(in.File, ins, text)); err == nil {
			s.Changes = []Change{change}
			list = append(list, s)
		}
	}
	return list
}

// replacesItself reports whether the shell of a base image is known to put a single command in its own
// place: the ones of busybox and bash do, and dash, as Debian and Ubuntu have it, does not.
func replacesItself(ref string) bool {
	name := imageName(ref)
	bash := []string{"fedora", "rockylinux", "almalinux", "amazonlinux", "amazoncorretto", "centos", "oraclelinux"}
	slim := strings.Contains(ref, "debian") || strings.Contains(ref, "slim")
	return strings.Contains(ref, "alpine") || name == "busybox" || !slim && slices.Contains(bash, name) || strings.Contains(name, "/ubi")
}

// withArguments returns the edit that replaces all that follows the keyword of an instruction.
func withArguments(f *dockerfile.File, ins dockerfile.Instruction, text string) dockerfile.Edit {
	source := f.Source(ins.Lines)
	ending := source[len(strings.TrimRight(source, "\r\n")):]
	return spliced(f, ins, splice{afterKeyword(f, ins), lineStart(f, ins.Lines.To+1), text + ending})
}

// A start is a CMD, ENTRYPOINT or HEALTHCHECK in force in an image.
type start struct {
	instruction dockerfile.Instruction
	stage       int      // index of the stage that it stands in
	shell       []string // of the last SHELL above it, nil for the default
	both        bool     // the image has a CMD and an ENTRYPOINT
	health      bool     // it is a HEALTHCHECK
}

// startedBy returns what the images of the builds start, each instruction once.
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

// chainOf returns the indices of a stage and its base stages, the lowest first.
func chainOf(f *dockerfile.File, stage int) []int {
	var chain []int
	for ; stage >= 0; stage = f.Stages[stage].BaseStage {
		chain = append([]int{stage}, chain...)
	}
	return chain
}

// plainWords returns the words of a command line that needs no shell: a single command without
// variables, patterns, redirections or assignments. It reports false for others.
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
		if slices.ContainsFunc(w.Parts, needsShell) {
			return nil, false
		}
		text, ok := plainText(w)
		if !ok {
			return nil, false
		}
		words = append(words, text)
	}
	return words, true
}

// needsShell reports whether the shell does more with a part of a word than to remove its quotes.
func needsShell(part syntax.WordPart) bool {
	switch part := part.(type) {
	case *syntax.Lit:
		return strings.ContainsAny(part.Value, "*?[~\\{}$`") || strings.HasPrefix(part.Value, "#")
	case *syntax.SglQuoted:
		return false
	case *syntax.DblQuoted:
		return slices.ContainsFunc(part.Parts, func(inner syntax.WordPart) bool {
			lit, ok := inner.(*syntax.Lit)
			return !ok || strings.Contains(lit.Value, `\`)
		})
	}
	return true
}

// jsonList returns words as a JSON list, as instructions in the exec form have it.
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
