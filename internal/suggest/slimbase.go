package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// slimBase proposes the slim variant of a base image if no step of the image needs what that
// lacks. See docs/rules/slim-base.md.
func slimBase(in Input) []Suggestion {
	list := staticBase(in)
	for _, b := range in.Builds {
		target := targetStage(in.File, b)
		if target < 0 {
			continue
		}
		root := rootStage(in.File, target)
		from := root.From
		told := slices.ContainsFunc(list, func(s Suggestion) bool { return s.Lines == from.Lines })
		slim, ok := slimTag(root.Base)
		if _, starts := lastStart(instructionsOf(in.File, target)); !ok || !starts || told || !in.fitsSlim(b, target) {
			continue
		}
		start := lineStart(in.File, from.Lines.From)
		at := strings.Index(in.File.Source(from.Lines), root.Base)
		if at < 0 {
			continue
		}
		change, err := rewrite(in, 0, spliced(in.File, from, splice{start + at, start + at + len(root.Base), slim}))
		if err != nil {
			continue
		}
		s := Suggestion{
			Rule: "slim-base", Title: "start from " + slim, Lines: from.Lines, Proof: Advice, Changes: []Change{change},
			Evidence: fmt.Sprintf("No step of the image uses the compilers, headers and tools that `%s` has over its slim variant. %s is smaller still, but has another C library (musl): binaries that packages bring have to be made for it.", short(from.Text), alpineTag(root.Base)),
			Obstacle: "the image would be another one: what the program itself calls or links to when it runs is not known",
		}
		s.spares(overSlim(imageName(root.Base)), Image, Prior)
		list = append(list, s)
	}
	return list
}

// overSlim returns how many bytes an image has more than its slim variant: about, unpacked and on
// amd64.
func overSlim(name string) int64 {
	return map[string]int64{"node": 890e6, "python": 920e6, "ruby": 820e6}[name]
}

// slimTag returns the reference of the slim variant of an image, or false if it is not known to
// have one.
func slimTag(ref string) (string, bool) {
	name := imageName(ref)
	_, tag, ok := strings.Cut(path.Base(ref), ":")
	if !ok || tag == "" || strings.ContainsAny(ref, "@$") || !slices.Contains([]string{"node", "python", "ruby"}, name) || !(tag[0] >= '0' && tag[0] <= '9') {
		return "", false
	}
	version, variant, _ := strings.Cut(tag, "-")
	if strings.Trim(version, "0123456789.") != "" || !slices.Contains([]string{"", "bookworm", "bullseye", "trixie"}, variant) {
		return "", false
	}
	return ref + "-slim", true
}

// alpineTag returns the reference of the alpine variant of an image that has a slim one.
func alpineTag(ref string) string {
	name, tag, _ := strings.Cut(ref[strings.LastIndex(ref, "/")+1:], ":")
	version, _, _ := strings.Cut(tag, "-")
	return name + ":" + version + "-alpine"
}

// plainTools are commands that need no more than a slim variant has.
var plainTools = []string{
	"mkdir", "chown", "chmod", "useradd", "groupadd", "addgroup", "adduser", "ln", "rm", "cp", "mv", "true", "echo", "touch", "set",
}

// fitsSlim reports whether the steps and containers of an image are known to need no compiler
// and no other tool that slim variants lack.
func (in Input) fitsSlim(b Build, target int) bool {
	lacking := []string{"curl", "wget", "git", "gpg", "gcc", "make", "unzip", "ps", "apt", "ssh", "perl"}
	if imageName(rootStage(in.File, target).Base) != "python" {
		lacking = append(lacking, "python", "python3")
	}
	if slices.ContainsFunc(b.Services, func(s Service) bool { return mentions(strings.Join(s.Command, " "), lacking) }) {
		return false
	}
	for _, i := range chainOf(in.File, target) {
		v := in.bare(in.File.Stages[i])
		for k, ins := range v.stage.Instructions {
			if ins.Keyword == "ONBUILD" || ins.Copy == nil && mentions(ins.Text, lacking) {
				return false
			}
			if ins.Run == nil {
				continue
			}
			commands, ok := v.everyCommand(k)
			if !ok {
				return false
			}
			for _, c := range commands {
				install := c.starts("npm", "ci") && !in.compiles(b)
				if !install && !slices.Contains(plainTools, c.words[0]) {
					return false
				}
			}
		}
	}
	return true
}

// compiles reports whether an install of the packages in package-lock.json may compile one: some
// have install scripts, or the lock file is missing or too old to tell.
func (in Input) compiles(b Build) bool {
	text, err := b.Context.Read("package-lock.json")
	return err != nil || !strings.Contains(string(text), `"lockfileVersion"`) || strings.Contains(string(text), `"hasInstallScript"`) ||
		strings.Contains(string(text), `"lockfileVersion": 1`)
}
