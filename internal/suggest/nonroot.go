package suggest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// nonRoot says where an image starts its program as root although nothing tells
// that it has to. See docs/rules/non-root.md.
func nonRoot(in Input) []Suggestion {
	var found []Suggestion
	for _, b := range in.Builds {
		target := targetStage(in.File, b)
		if target < 0 {
			continue
		}
		root := rootStage(in.File, target)
		ins := instructionsOf(in.File, target)
		if !runsAsRoot(root.Base) || dropsPrivileges(in, b, ins) || len(b.Services) > 0 && !slices.ContainsFunc(b.Services, Service.asRoot) {
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
		users := madeUsers(in.File, target)
		if user := knownUser(root.Base); user != "" && len(users) == 0 {
			users = []string{user}
		}
		switch {
		case len(users) == 0:
			s.Obstacle = "the image has no other user that is known; make one (`RUN " + maker(root.Base) + "`) and give it what it writes to"
		case len(users) > 1:
			s.Obstacle = "the image has the users " + list(users, "and") + ": which of them is meant is yours to say"
		case last(in.File.Stages[target], first):
			text := lead(in.File, first) + spelt(in.File, first, "USER") + " " + users[0] + "\n"
			if change, err := rewrite(in, 1, dockerfile.Insert(first.Whole().From, text)); err == nil {
				s.Changes = []Change{change}
			}
		}
		if !slices.ContainsFunc(found, func(o Suggestion) bool { return o.Lines == s.Lines }) {
			found = append(found, s)
		}
	}
	return found
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

// asRoot reports a service that may run as root: it names no other user.
func (s Service) asRoot() bool {
	user, _, _ := strings.Cut(s.User, ":")
	return user == "" || user == "root" || user == "0"
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

// last reports an instruction of a stage below which no step runs: one that needs to be
// root would not be it any more.
func last(st dockerfile.Stage, ins dockerfile.Instruction) bool {
	at := slices.IndexFunc(st.Instructions, func(o dockerfile.Instruction) bool { return o.Lines == ins.Lines })
	return at >= 0 && !slices.ContainsFunc(st.Instructions[at:], func(o dockerfile.Instruction) bool { return o.Run != nil })
}

// madeUsers returns the users that the steps of an image make.
func madeUsers(f *dockerfile.File, target int) (users []string) {
	for at := target; at >= 0; at = f.Stages[at].BaseStage {
		v := newStageView(f, f.Stages[at])
		for k, ins := range v.stage.Instructions {
			if ins.Run == nil {
				continue
			}
			commands, _ := everyCommand(ins.Run, v.shell[k])
			for _, c := range commands {
				if c.words[0] != "adduser" && c.words[0] != "useradd" {
					continue
				}
				if name := operand(c.words[1:]); name != "" && !strings.Contains(name, "$") && !slices.Contains(users, name) {
					users = append(users, name)
				}
			}
		}
	}
	return users
}

// operand returns the first word for adduser or useradd that belongs to no flag: the
// name of the user.
func operand(words []string) string {
	for i := 0; i < len(words); i++ {
		w := words[i]
		long := slices.Contains([]string{"--uid", "--gid", "--ingroup", "--home", "--gecos", "--comment", "--shell", "--home-dir", "--groups", "--base-dir"}, w)
		switch {
		case !strings.HasPrefix(w, "-"):
			return w
		case long || !strings.HasPrefix(w, "--") && strings.ContainsAny(w[len(w)-1:], "hgsGukdcbefpK"):
			i++ // its value
		}
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
	env := map[string]string{}
	for _, ins := range list {
		switch {
		case ins.Keyword == "USER", ins.Keyword == "ONBUILD":
			return true
		case slices.ContainsFunc(ins.Ports, func(port string) bool { return privileged(expand(port, env)) }):
			return true
		case names(ins.Text):
			return true
		}
		env = values(env, ins)
		if ins.Command != nil && slices.ContainsFunc(startScripts(in.File, b, ins), func(p string) bool { return names(b.text(p)) }) {
			return true
		}
		if ins.Copy == nil || ins.Copy.From != "" {
			continue
		}
		for _, s := range ins.Copy.Sources {
			if names(b.text(strings.TrimPrefix(s, "./"))) {
				return true
			}
		}
	}
	return false
}

// text returns what a script of the context says; "" for what is none.
func (b Build) text(name string) string {
	text, err := b.Context.Read(name)
	if err != nil || len(text) >= 1<<16 {
		return ""
	}
	return string(text)
}

// startScripts returns the files of the context that a CMD or ENTRYPOINT may start, by
// their names.
func startScripts(f *dockerfile.File, b Build, start dockerfile.Instruction) (list []string) {
	for _, word := range append(strings.Fields(start.Command.Script), start.Command.Args...) {
		base := path.Base(word)
		if !strings.Contains(word, "/") && path.Ext(word) != ".sh" || strings.ContainsAny(base, "*?[\\") {
			continue
		}
		for at := targetStage(f, b); at >= 0; at = f.Stages[at].BaseStage {
			v := newStageView(f, f.Stages[at])
			for i, ins := range v.stage.Instructions {
				if !takesContext(ins) {
					continue
				}
				for name := range v.puts(b.Context, i, base) {
					list = append(list, name)
				}
			}
		}
	}
	return list
}

// privileged reports a port below 1024.
func privileged(port string) bool {
	number, _, _ := strings.Cut(port, "/")
	return len(number) < 4 || len(number) == 4 && number < "1024" || strings.Contains(number, "$")
}
