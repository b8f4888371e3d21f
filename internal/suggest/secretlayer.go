package suggest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// secretInLayer tells of secrets that stay in the image or its history, and proposes secret
// mounts instead, which leave nothing. It names variables and files, but never shows a value.
// See docs/rules/secret-in-layer.md.
func secretInLayer(in Input) []Suggestion {
	var list []Suggestion
	for _, st := range in.File.Stages {
		if !neededByAny(in, st.Index) {
			continue
		}
		for i, ins := range st.Instructions {
			switch {
			case ins.Keyword == "ARG" || ins.Keyword == "ENV":
				for _, v := range ins.Vars {
					if in.checkedSecret(ins, v) && !in.handedOn(st, i, v.Name) {
						list = append(list, secretVariable(in, st, i, v))
					}
				}
			case takesContext(ins):
				if s, ok := secretFile(in, ins); ok {
					list = append(list, s)
				}
			}
		}
	}
	return list
}

// handedOn reports whether instruction i is an ARG that an ENV below writes into the image: the
// suggestion for the ENV is about both.
func (in Input) handedOn(st dockerfile.Stage, i int, name string) bool {
	return st.Instructions[i].Keyword == "ARG" && slices.ContainsFunc(st.Instructions[i+1:], func(ins dockerfile.Instruction) bool {
		return ins.Keyword == "ENV" && slices.ContainsFunc(ins.Vars, func(v dockerfile.Variable) bool {
			return v.Name == name && mentions(v.Value, []string{name}) && in.checkedSecret(ins, v)
		})
	})
}

// checkedSecret reports whether BuildKit's check takes a variable of an instruction for a
// secret, by its name, and it may be one.
func (in Input) checkedSecret(ins dockerfile.Instruction, v dockerfile.Variable) bool {
	if noSecret(ins, v) != "" {
		return false
	}
	for _, b := range in.Builds {
		if b.Plan == nil {
			continue
		}
		for _, w := range b.Plan.Warnings {
			if warnsOf(w, ins, v) {
				return true
			}
		}
	}
	return false
}

// noSecret returns why a variable of an instruction holds no secret, whatever a check makes of its name,
// or "" if it may: the name says that it is an address, the name of a file or the like, or an ENV sets it
// to nothing, to yes or no, or to the path of a file.
func noSecret(ins dockerfile.Instruction, v dockerfile.Variable) string {
	value := strings.Trim(v.Value, `"'`)
	switch {
	case harmless.MatchString(v.Name):
		return "the name says of it"
	case ins.Keyword != "ENV":
		return ""
	case value == "":
		return "the value is empty"
	case yesOrNo.MatchString(value):
		return "the value is a switch"
	case filePath.MatchString(value):
		return "the value is the path of a file"
	}
	return ""
}

// warnsOf reports whether a warning is of BuildKit's check for secrets, about a variable of an instruction.
func warnsOf(w dockerfile.Warning, ins dockerfile.Instruction, v dockerfile.Variable) bool {
	return w.Rule == secretCheck && w.Line == ins.Lines.From && strings.Contains(w.Message, fmt.Sprintf("%q", v.Name))
}

// secretCheck is the name of BuildKit's check for secrets.
const secretCheck = "SecretsUsedInArgOrEnv"

// yesOrNo matches values of switches.
var yesOrNo = regexp.MustCompile(`^(?i:[01]|true|false|yes|no|on|off|none)$`)

// filePath matches the absolute path of a file in a folder that images have: a secret that begins
// with a slash has no such folder in front.
var filePath = regexp.MustCompile(`^/(app|config|data|etc|home|mnt|opt|root|run|secrets|srv|tmp|usr|var)(/[\w.-]+)+$`)

// harmless matches names of variables that say something about a secret, but hold none.
var harmless = regexp.MustCompile(`(?i)_(URL|URI|HOST|ENDPOINT|FILE|PATH|DIR|NAME|ID|TYPE|TTL|EXPIRY|PERIOD|INTERVAL|DURATION|LIFETIME|TIMEOUT|LENGTH|BITS|ENABLED|METHOD|MODE|ALGORITHM|ISSUER|USAGE)$|^(KEY_|AUTH_(URL|MODE))`)

// secretVariable returns the suggestion for a variable of instruction i, an ARG or ENV.
func secretVariable(in Input, st dockerfile.Stage, i int, v dockerfile.Variable) Suggestion {
	ins := st.Instructions[i]
	mount := "`--mount=type=secret,id=" + secretID(v.Name) + ",env=" + v.Name + "`"
	s := Suggestion{
		Rule: "secret-in-layer", Title: "hand " + v.Name + " to the step that needs it as a secret", Lines: ins.Lines, Proof: Advice,
		Evidence: fmt.Sprintf("The value of %s %s stays in the history of the image and the provenance of the build, readable for whoever has it.", ins.Keyword, v.Name),
		Obstacle: "which step needs it is not to be seen: give that one " + mount,
	}
	shipped := slices.ContainsFunc(in.Builds, func(b Build) bool { return ships(in.File, b.Target, st.Index) })
	switch {
	case !shipped:
		s.Evidence = fmt.Sprintf("The value of %s %s is in the key of each RUN below it, and stays in the builder's record of the build and in its full provenance. "+
			"No image starts from this stage: one has it only if a file that is copied from here does.", ins.Keyword, v.Name)
	case ins.Keyword == "ENV":
		s.Evidence = fmt.Sprintf("The value of ENV %s stays in the configuration of the image, and every container of it, readable for whoever has it.", v.Name)
		if steps, named := in.stepsWith(st, i, v.Name); !named {
			s.Title = "set " + v.Name + " when the container starts"
			s.Obstacle = "whoever starts the container has to set it: `docker run --env " + v.Name + "`"
			if steps {
				s.Obstacle += "; a step that reads it without a word needs " + mount
			}
		}
	}
	if handed := in.handedAs(st, i, v.Name); handed != "" && shipped {
		s.Title = "set " + handed + " when the container starts"
		s.Evidence = fmt.Sprintf("The value of ARG %s stays in the history of the image and, as %s, in its configuration, readable for whoever has it.", v.Name, handed)
		s.Obstacle = "no step names it: whoever starts the container has to set it, `docker run --env " + handed + "`"
	}
	at := slices.IndexFunc(st.Instructions[:i], func(a dockerfile.Instruction) bool {
		return a.Keyword == "ARG" && slices.Contains(a.Names, v.Name)
	})
	if ins.Keyword == "ENV" && at >= 0 {
		s.Lines.From = st.Instructions[at].Lines.From // of the ARG that is handed on
	}
	if change, ok := mountedSecret(in, st, i, v.Name); ok {
		s.Changes = []Change{change}
		s.Obstacle = "builds have to hand it over another way: `--secret id=" + secretID(v.Name) + ",env=" + v.Name + "`"
	}
	return s
}

// handedAs returns the name of the variable as which an ENV writes the value of instruction i, an ARG,
// into the image. It returns "" if none does, or if a RUN names the ARG as well.
func (in Input) handedAs(st dockerfile.Stage, i int, name string) string {
	if st.Instructions[i].Keyword != "ARG" {
		return ""
	}
	if _, named := in.stepsWith(st, i, name); named {
		return ""
	}
	for _, ins := range st.Instructions[i+1:] {
		for _, v := range ins.Vars {
			if value := strings.Trim(v.Value, `"`); ins.Keyword == "ENV" && (value == "$"+name || value == "${"+name+"}") {
				return v.Name
			}
		}
	}
	return ""
}

// stepsWith reports whether any RUN has a variable of instruction i in its environment, in the
// stage or one that starts from it, and whether one of these RUNs names it.
func (in Input) stepsWith(st dockerfile.Stage, i int, name string) (steps, named bool) {
	for _, other := range in.File.Stages {
		list := other.Instructions
		switch {
		case other.Index == st.Index:
			list = list[i+1:]
		case !extends(in.File, other.Index, st.Index):
			continue
		}
		for _, ins := range list {
			steps = steps || ins.Run != nil
			named = named || ins.Run != nil && mentions(in.File.Source(ins.Lines), []string{name})
		}
	}
	return steps, named
}

// secretID returns the name of the secret for a variable.
func secretID(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }

// mountedSecret returns the change that removes instruction i, an ARG, and gives each RUN that
// mentions it a secret mount. It reports false if something else mentions the ARG, or may use
// it.
func mountedSecret(in Input, st dockerfile.Stage, i int, name string) (Change, bool) {
	ins := st.Instructions[i]
	if ins.Keyword != "ARG" || len(ins.Names) != 1 || ins.Vars[0].Set || !newSyntax(in.File.Syntax) {
		return Change{}, false
	}
	edits := removeAll(in.File, []dockerfile.Instruction{ins})
	mount := "--mount=type=secret,id=" + secretID(name) + ",env=" + name
	runs := 0
	for k, other := range st.Instructions {
		if k == i || !mentions(in.File.Source(other.Lines), []string{name}) {
			continue
		}
		if other.Run == nil || k < i || other.Run.Heredocs > 0 || strings.Contains(strings.Join(other.Flags, " "), name) {
			return Change{}, false
		}
		edits = append(edits, spliced(in.File, other, addMounts(in.File, other, []string{mount})...))
		runs++
	}
	for _, other := range in.File.Stages {
		if other.Index != st.Index && extends(in.File, other.Index, st.Index) {
			return Change{}, false // that stage may use it
		}
	}
	if runs == 0 {
		return Change{}, false
	}
	change, err := rewrite(in, -1, edits...)
	return change, err == nil
}

// newSyntax reports whether a frontend, as a Dockerfile names it, has env= of secret mounts:
// docker/dockerfile 1.10 or later, or that of the builder if it names none.
func newSyntax(ref string) bool {
	name, tag, _ := strings.Cut(strings.TrimPrefix(ref, "docker.io/"), ":")
	if ref == "" || name == "docker/dockerfile" && (tag == "1" || tag == "latest" || tag == "") {
		return true
	}
	var minor int
	n, err := fmt.Sscanf(tag, "1.%d", &minor)
	return name == "docker/dockerfile" && err == nil && n == 1 && minor >= 10
}

// secretFile returns the suggestion for a COPY that names a file with secrets, or false if it
// names none.
func secretFile(in Input, ins dockerfile.Instruction) (Suggestion, bool) {
	for _, b := range in.Builds {
		for _, name := range b.Secrets {
			if slices.ContainsFunc(ins.Copy.Sources, func(s string) bool { return strings.TrimPrefix(path.Clean("/"+s), "/") == name }) {
				return Suggestion{
					Rule: "secret-in-layer", Title: "mount " + name + " as a secret instead of copying it", Lines: ins.Lines, Proof: Advice,
					Evidence: fmt.Sprintf("`%s` puts a file with a secret into a layer, where it stays even if a later step deletes it.", short(ins.Text)),
					Obstacle: "which step needs it is yours to say: give that one `--mount=type=secret,id=" + secretID(strings.Trim(path.Base(name), ".")) + ",target=…`",
				}, true
			}
		}
	}
	return Suggestion{}, false
}
