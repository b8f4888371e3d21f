package suggest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// nonRoot says where an image starts its program as root although nothing tells
// that it has to. See docs/rules/non-root.md.
func nonRoot(in Input) []Suggestion {
	var list []Suggestion
	for _, b := range in.Builds {
		target := targetStage(in.File, b)
		if target < 0 {
			continue
		}
		root := rootStage(in.File, target)
		ins := instructionsOf(in.File, target)
		if !runsAsRoot(root.Base) || dropsPrivileges(in, b, ins) {
			continue
		}
		first, ok := lastStart(ins)
		if !ok {
			continue
		}
		s := Suggestion{
			Rule: "non-root", Title: "run as a user other than root", Lines: first.Lines, Proof: Advice,
			Evidence: fmt.Sprintf("No USER is set: `%s` runs as root, in the container and towards the kernel and what is mounted into it.", short(first.Text)),
			Obstacle: "what it writes to has to belong to that user",
		}
		own := slices.ContainsFunc(in.File.Stages[target].Instructions, func(o dockerfile.Instruction) bool { return o.Lines == first.Lines })
		if user := knownUser(root.Base); user != "" && own {
			text := lead(in.File, first) + spelt(in.File, first, "USER") + " " + user + "\n"
			if change, err := rewrite(in, 1, dockerfile.Insert(first.Whole().From, text)); err == nil {
				s.Changes = []Change{change}
			}
		} else {
			s.Obstacle = "the image has no other user that is known; make one (`RUN " + maker(root.Base) + "`) and give it what it writes to"
		}
		if !slices.ContainsFunc(list, func(o Suggestion) bool { return o.Lines == s.Lines }) {
			list = append(list, s)
		}
	}
	return list
}

// lastStart returns the first of the instructions that say what the image
// starts; false for an image that only others build on.
func lastStart(list []dockerfile.Instruction) (dockerfile.Instruction, bool) {
	at := -1
	for i, ins := range list {
		if ins.Keyword == "CMD" || ins.Keyword == "ENTRYPOINT" {
			if at < 0 || list[at].Keyword == ins.Keyword {
				at = i
			}
		}
	}
	if at < 0 {
		return dockerfile.Instruction{}, false
	}
	return list[at], true
}

// runsAsRoot reports a base image that is known to leave root as the user, and
// not to be made for a service that gives the rights up by itself.
func runsAsRoot(ref string) bool {
	name := imageName(ref)
	switch {
	case name == "scratch":
		return true
	case strings.HasPrefix(name, "gcr.io/distroless/"):
		return !strings.Contains(ref, "nonroot")
	case name == "mcr.microsoft.com/dotnet/aspnet" || name == "mcr.microsoft.com/dotnet/runtime" || name == "mcr.microsoft.com/dotnet/runtime-deps":
		return !strings.Contains(ref, "chiseled")
	case name == "php":
		return !strings.Contains(ref, "fpm") && !strings.Contains(ref, "apache") // which give them up for what they run
	}
	return slices.Contains(rootImages(), name)
}

// knownUser returns a user that the image has for the purpose.
func knownUser(ref string) string {
	name := imageName(ref)
	switch {
	case name == "node":
		return "node"
	case name == "oven/bun":
		return "bun"
	case name == "php":
		return "www-data"
	case name == "scratch" || strings.HasPrefix(name, "gcr.io/distroless/"):
		return "65532:65532"
	}
	return ""
}

// maker is the command that makes a user in an image.
func maker(ref string) string {
	if strings.Contains(ref, "alpine") {
		return "adduser -S app"
	}
	return "useradd --system app"
}

// dropsPrivileges reports a USER, a program that changes to one when the
// container starts, or a port that only root may have been meant to open.
func dropsPrivileges(in Input, b Build, list []dockerfile.Instruction) bool {
	droppers := []string{"gosu", "su-exec", "setpriv", "runuser", "s6-setuidgid", "s6-overlay", "setuidgid", "chpst", "supervisor", "systemd", "sshd", "dockerd", "cron"}
	names := func(text string) bool {
		return slices.ContainsFunc(droppers, func(d string) bool { return strings.Contains(text, d) }) || strings.Contains(text, "su -")
	}
	for _, ins := range list {
		switch {
		case ins.Keyword == "USER", ins.Keyword == "ONBUILD":
			return true
		case slices.ContainsFunc(ins.Ports, privileged):
			return true
		case names(ins.Text):
			return true
		}
		if ins.Copy == nil || ins.Copy.From != "" {
			continue
		}
		for _, s := range ins.Copy.Sources {
			if text, err := b.Context.Read(strings.TrimPrefix(s, "./")); err == nil && len(text) < 1<<16 && names(string(text)) {
				return true
			}
		}
	}
	return false
}

// privileged reports a port below 1024.
func privileged(port string) bool {
	number, _, _ := strings.Cut(port, "/")
	return len(number) < 4 || len(number) == 4 && number < "1024" || strings.Contains(number, "$")
}
