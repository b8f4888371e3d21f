package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// staticImage is what a program needs that needs no other: certificates, time zones and users.
const staticImage = "gcr.io/distroless/static-debian13"

// overStatic returns how many bytes an image has more than staticImage: about, unpacked and on
// amd64. It is 0 for an image that is not known.
func overStatic(ref string) int64 {
	if imageName(ref) == "debian" && strings.Contains(path.Base(ref), "slim") {
		return 73e6
	}
	return map[string]int64{"alpine": 6e6, "debian": 115e6, "ubuntu": 76e6}[imageName(ref)]
}

// staticBase proposes an image without a distribution for one that has nothing but a Go program
// which is linked statically. See docs/rules/slim-base.md.
func staticBase(in Input) []Suggestion {
	var list []Suggestion
	for _, b := range in.Builds {
		target := targetStage(in.File, b)
		if target < 0 || in.File.Stages[target].BaseStage >= 0 {
			continue
		}
		st := in.File.Stages[target]
		told := slices.ContainsFunc(list, func(s Suggestion) bool { return s.Lines == st.From.Lines })
		if told || overStatic(st.Base) == 0 || strings.ContainsAny(st.Base, "$@") || !in.needsNoSystem(b, st) {
			continue
		}
		taken, built, ok := in.staticProgram(st)
		start := lineStart(in.File, st.From.Lines.From)
		at := strings.Index(in.File.Source(st.From.Lines), st.Base)
		if !ok || at < 0 {
			continue
		}
		change, err := rewrite(in, 0, spliced(in.File, st.From, splice{start + at, start + at + len(st.Base), staticImage}))
		if err != nil {
			continue
		}
		s := Suggestion{
			Rule: "slim-base", Title: "start from " + staticImage, Lines: st.From.Lines, Proof: Advice, Changes: []Change{change},
			Evidence: fmt.Sprintf("`%s` brings a program that `%s` links without a C library, and no step runs anything of `%s`.", short(taken.Text), short(built.Text), short(st.From.Text)),
			Obstacle: "the image would be another one, without a shell: what the program itself calls or reads when it runs is not known",
		}
		s.spares(overStatic(st.Base), Image, Prior)
		list = append(list, s)
	}
	return list
}

// needsNoSystem reports whether nothing in a stage, nor a compose service, is known to need what a
// distribution has: a shell, programs, accounts.
func (in Input) needsNoSystem(b Build, st dockerfile.Stage) bool {
	entry := slices.ContainsFunc(st.Instructions, func(ins dockerfile.Instruction) bool { return ins.Keyword == "ENTRYPOINT" })
	if slices.ContainsFunc(b.Services, func(s Service) bool { return len(s.Command) > 0 && !entry || !numeric(s.User) }) {
		return false
	}
	v := in.bare(st)
	for i, ins := range st.Instructions {
		switch ins.Keyword {
		case "COPY", "ADD":
			if v.ownerByName(i) {
				return false
			}
		case "USER":
			if !numeric(ins.Value) {
				return false
			}
		case "CMD", "ENTRYPOINT", "HEALTHCHECK":
			if ins.Command == nil || len(ins.Command.Args) == 0 && !ins.Command.None {
				return false
			}
		case "ENV", "ARG", "LABEL", "EXPOSE", "WORKDIR", "STOPSIGNAL", "VOLUME":
		default:
			return false
		}
	}
	return true
}

// numeric reports whether a user is given by numbers, or is root or none.
func numeric(user string) bool {
	return strings.Trim(strings.ReplaceAll(user, "root", "0"), "0123456789:") == ""
}

// staticProgram returns the COPY of a stage that brings what the image starts, and the RUN that
// builds it, if that is known to be a Go program which is linked without C.
func (in Input) staticProgram(st dockerfile.Stage) (taken, built dockerfile.Instruction, ok bool) {
	first, ok := lastStart(st.Instructions)
	if !ok {
		return taken, built, false
	}
	name := path.Base(first.Command.Args[0])
	for _, ins := range st.Instructions {
		if ins.Copy == nil || len(ins.Copy.Sources) != 1 {
			continue
		}
		source, dest := path.Base(ins.Copy.Sources[0]), path.Base(path.Clean(ins.Copy.Dest))
		if from := in.File.StageOf(ins.Copy.From); from >= 0 && (source == name && strings.HasSuffix(ins.Copy.Dest, "/") || dest == name) {
			if run, ok := in.linksStatically(from, ins); ok {
				return ins, run, true
			}
		}
	}
	return taken, built, false
}

// linksStatically returns the RUN of a stage that builds what a COPY takes, if it does so by Go
// without C.
func (in Input) linksStatically(stage int, taken dockerfile.Instruction) (dockerfile.Instruction, bool) {
	v, without := in.bare(in.File.Stages[stage]), false
	for _, ins := range instructionsOf(in.File, in.File.Stages[stage].BaseStage) {
		without = withoutC(ins, without)
	}
	for k, ins := range v.stage.Instructions {
		without = withoutC(ins, without)
		if ins.Run == nil {
			continue
		}
		commands, ok := v.everyCommand(k)
		if !ok {
			return dockerfile.Instruction{}, false
		}
		for _, c := range commands {
			own := without
			for _, a := range c.assigns {
				if a.name == "CGO_ENABLED" {
					own = a.value == "0"
				}
			}
			if own && v.builds(k, c, taken) && !mentions(ins.Text, []string{"external", "buildmode"}) {
				return ins, true
			}
		}
	}
	return dockerfile.Instruction{}, false
}

// withoutC reports whether below an instruction CGO_ENABLED is 0, which it is above or not.
func withoutC(ins dockerfile.Instruction, above bool) bool {
	for _, a := range ins.Vars {
		if a.Name == "CGO_ENABLED" {
			above = ins.Keyword == "ENV" && strings.Trim(a.Value, `"'`) == "0"
		}
	}
	return above
}
