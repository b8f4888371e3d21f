package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// healthCheck tells of a HEALTHCHECK that calls a program which the image does not have, so that
// all its containers count as unhealthy. See docs/rules/healthcheck.md.
func healthCheck(in Input) []Suggestion {
	var list []Suggestion
	for _, b := range in.Builds {
		target := targetStage(in.File, b)
		if target < 0 {
			continue
		}
		chain := instructionsOf(in.File, target)
		var check *dockerfile.Instruction // the last, which is in force
		for i, ins := range chain {
			if ins.Keyword == "HEALTHCHECK" {
				check = &chain[i]
			}
		}
		if check == nil || check.Command.None || slices.ContainsFunc(list, func(s Suggestion) bool { return s.Lines == check.Lines }) {
			continue
		}
		root := rootStage(in.File, target)
		missing := lacks(root.Base, check.Command)
		if missing == "" || in.mayBring(target, missing) {
			continue
		}
		list = append(list, Suggestion{
			Rule: "healthcheck", Title: "the health check calls " + missing + ", which the image does not have", Lines: check.Lines, Proof: Advice,
			Evidence: fmt.Sprintf("`%s` has no %s, and no step brings it: each check fails, and the container counts as unhealthy.", root.From.Text, missing),
			Obstacle: "whether to install it, or to ask with what the program's own language has, is yours to say",
		})
	}
	return list
}

// lacks returns the program that a health check calls if the base image is known not to have it,
// and "" otherwise.
func lacks(ref string, c *dockerfile.Command) string {
	name := imageName(ref)
	_, tag, _ := strings.Cut(path.Base(ref), ":")
	if name == "scratch" || strings.HasPrefix(name, "gcr.io/distroless/") && !strings.Contains(tag, "debug") {
		if c.Script != "" {
			return "/bin/sh"
		}
		return ""
	}
	words := c.Args
	if c.Script != "" {
		first := c.Script
		if end := strings.IndexAny(first, "|;&"); end >= 0 {
			first = first[:end]
		}
		words = strings.Fields(first)
	}
	if len(words) == 0 || words[0] != "curl" && words[0] != "wget" {
		return ""
	}
	alpine := name == "alpine" || strings.Contains(tag, "alpine")
	slim := strings.Contains(tag, "slim") || name == "debian" || name == "ubuntu"
	known := []string{"node", "python", "ruby", "debian", "ubuntu", "alpine", "golang", "rust", "php"}
	if slices.Contains(known, name) && (alpine && words[0] == "curl" && name != "php" || slim && !alpine && name != "php") {
		return words[0]
	}
	return ""
}

// mayBring reports whether a step of an image may bring a program: it names it, copies a folder
// of programs or runs a command that is not known.
func (in Input) mayBring(target int, program string) bool {
	known := append(blindCommands(), "npm", "yarn", "pnpm", "pip", "pip3", "python", "node", "go", "bundle", "gem", "next", "uv", "poetry")
	for _, i := range chainOf(in.File, target) {
		v := in.bare(in.File.Stages[i])
		for k, ins := range v.stage.Instructions {
			if ins.Copy != nil && mentions(ins.Text, []string{path.Base(program)}) || ins.Keyword == "ONBUILD" {
				return true
			}
			if ins.Copy != nil && ins.Copy.From != "" && slices.ContainsFunc(ins.Copy.Sources, func(s string) bool {
				return slices.Contains([]string{"/", "/bin", "/usr", "/usr/bin", "/usr/local", "/usr/local/bin"}, path.Clean(s))
			}) {
				return true
			}
			if ins.Run == nil {
				continue
			}
			commands, ok := v.everyCommand(k)
			if !ok || mentions(ins.Text, []string{path.Base(program)}) ||
				slices.ContainsFunc(commands, func(c command) bool { return !slices.Contains(known, c.words[0]) }) {
				return true
			}
		}
	}
	return false
}
