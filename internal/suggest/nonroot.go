package suggest

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// nonRoot tells of images that start their program as root although nothing shows that it has to
// be. See docs/rules/non-root.md.
func nonRoot(in Input) []Suggestion {
	var found []Suggestion
	for _, b := range in.Builds {
		target := targetStage(in.File, b)
		if target < 0 {
			continue
		}
		root := rootStage(in.File, target)
		ins := instructionsOf(in.File, target)
		otherUser := len(b.Services) > 0 && !slices.ContainsFunc(b.Services, Service.asRoot)
		if !runsAsRoot(root.Base) || onWindows(in.File, target) || dropsPrivileges(in, b, ins) || otherUser {
			continue
		}
		first, ok := lastStart(ins)
		if !ok || !serves(ins) || slices.ContainsFunc(found, func(o Suggestion) bool { return o.Lines == first.Lines }) {
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
		found = append(found, s)
	}
	return found
}

// lastStart returns the instruction that says what the image starts: the CMD or ENTRYPOINT in
// force, and the one that comes first if there are both. It reports false for an image that
// starts nothing, and so serves only as a base of others.
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

// serves reports whether an image starts a program that is more than a shell, and does more than wait.
// Others are made for people to work in, or for the files in them, and nothing tells which user that needs.
func serves(list []dockerfile.Instruction) bool {
	var words []string // of what the image starts
	for _, keyword := range []string{"ENTRYPOINT", "CMD"} {
		for _, ins := range slices.Backward(list) {
			if ins.Keyword == keyword {
				words = append(append(words, strings.Fields(ins.Command.Script)...), ins.Command.Args...)
				break
			}
		}
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	if len(words) == 0 || waits(words) {
		return false
	}
	isShell := slices.Contains([]string{"sh", "bash", "ash", "zsh"}, path.Base(words[0]))
	runsScript := slices.ContainsFunc(words[1:], func(w string) bool { return w[0] != '-' || w == "-c" })
	return !isShell || runsScript
}

// waits reports whether a command only keeps its container there: `tail -f /dev/null`, `sleep infinity`.
func waits(words []string) bool {
	rest := words[1:]
	switch path.Base(words[0]) {
	case "tail":
		return len(rest) == 2 && strings.HasPrefix(rest[0], "-") && rest[1] == "/dev/null"
	case "sleep":
		return len(rest) == 1 && (rest[0] == "infinity" || rest[0] == "inf")
	}
	return false
}

// runsAsRoot reports whether a base image is known to run as root, and not to contain a service
// that switches to another user itself.
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
		return !strings.Contains(ref, "fpm") && !strings.Contains(ref, "apache") // both serve as another user
	}
	return slices.Contains(rootImages(), name)
}

// asRoot reports whether a service may run as root, since it names no other user.
func (s Service) asRoot() bool {
	user, _, _ := strings.Cut(s.User, ":")
	return user == "" || user == "root" || user == "0"
}

// knownUser returns the user that a base image has for programs, or "" if none is known.
func knownUser(ref string) string {
	name := imageName(ref)
	switch {
	case name == "node":
		return "node"
	case name == "oven/bun":
		return "bun"
	case name == "php":
		return "www-data"
	case name == "gradle":
		return "gradle"
	case strings.HasPrefix(name, "mcr.microsoft.com/dotnet/") && hasUserOfDotnet(ref):
		return "$APP_UID"
	case name == "scratch" || strings.HasPrefix(name, "gcr.io/distroless/"):
		return "65532:65532"
	}
	return ""
}

// hasUserOfDotnet reports whether an image of .NET is one of version 8 or later: these have a user
// for programs, and its number in a variable.
func hasUserOfDotnet(ref string) bool {
	ref, _, _ = strings.Cut(ref, "@")
	tag := ref[strings.LastIndexByte(ref, '/')+1:]
	_, tag, tagged := strings.Cut(tag, ":")
	if !tagged || tag == "latest" {
		return true
	}
	major, _, _ := strings.Cut(tag, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 8
}

// last reports whether no RUN follows an instruction of a stage: it might need to be root, and
// would no longer be that.
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
			commands, _ := v.everyCommand(k)
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

// operand returns the first argument of adduser or useradd that is neither a flag nor the value
// of one, which is the name of the user; "" if there is none.
func operand(words []string) string {
	for i := 0; i < len(words); i++ {
		w := words[i]
		long := slices.Contains([]string{"--uid", "--gid", "--ingroup", "--home", "--gecos", "--comment", "--shell", "--home-dir", "--groups", "--base-dir"}, w)
		switch {
		case !strings.HasPrefix(w, "-"):
			return w
		case long || !strings.HasPrefix(w, "--") && strings.ContainsAny(w[len(w)-1:], "hgsGukdcbefpK"):
			i++ // skip its value
		}
	}
	return ""
}

// maker returns the command that makes a user in an image.
func maker(ref string) string {
	if strings.Contains(ref, "alpine") {
		return "adduser -S app"
	}
	return "useradd --system app"
}

// dropsPrivileges reports whether an image with these instructions does not run as root, or seems
// to need that: it has a USER, a program that switches to another user when the container starts,
// or a port that traditionally only root may open.
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

// text returns the content of a file of the context, or "" if it is too large for a script.
func (b Build) text(name string) string {
	text, err := b.Context.Read(name)
	if err != nil || len(text) >= 1<<16 {
		return ""
	}
	return string(text)
}

// startScripts returns the files of the context that a CMD or ENTRYPOINT may start, since they
// are copied to a path with the same last element as one of its words.
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

// privileged reports whether a port is below 1024, or not known.
func privileged(port string) bool {
	number, _, _ := strings.Cut(port, "/")
	return len(number) < 4 || len(number) == 4 && number < "1024" || strings.Contains(number, "$")
}
