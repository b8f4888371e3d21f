package dockerfile

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

// A form has what is known, from an operation, of the names that a builder may show for it:
// see [Op.MayGoBy]. Its hashes are plain ones over values of args, and must stay in memory.
type form struct {
	keywords []string // of the steps that make such an operation; nil allows any name
	// end is the hash of what follows the last variable in a RUN's command, and size its
	// length in bytes. All names of the RUN end with it, whatever the variables hold.
	end  string
	size int
	// dest is the lastWord of the path to which files are written, and sources are those
	// of the paths that are copied.
	dest    string
	sources []string
}

// formOf returns the form of op.
func formOf(op *pb.Op) form {
	switch {
	case op.GetExec() != nil:
		f := form{keywords: []string{"RUN"}}
		if args := op.GetExec().GetMeta().GetArgs(); len(args) > 0 {
			end := unexpanded(args[len(args)-1])
			f.end, f.size = hashOf(end), len(end)
		}
		return f
	case op.GetMerge() != nil:
		return form{keywords: []string{"LINK"}}
	case op.GetFile() == nil:
		return form{}
	}
	var f form
	for _, action := range op.GetFile().GetActions() {
		switch {
		case action.GetMkdir() != nil && len(op.GetFile().GetActions()) == 1:
			return form{keywords: []string{"WORKDIR"}, dest: lastWord(action.GetMkdir().GetPath())}
		case action.GetCopy() != nil:
			c := action.GetCopy()
			f.keywords, f.dest = []string{"COPY", "ADD"}, lastWord(c.GetDest())
			f.sources = append(f.sources, lastWord(c.GetSrc()))
		default:
			return form{}
		}
	}
	return f
}

// unexpanded returns what follows the last variable in a command, or all of a command
// without variables.
func unexpanded(command string) string {
	if at := strings.LastIndex(command, "$"); at >= 0 {
		command = command[at:]
		if at = strings.LastIndex(command, "}"); at < 0 {
			at = strings.IndexAny(command, " \t\n")
		}
		if at < 0 {
			return ""
		}
		command = command[at+1:]
	}
	return strings.TrimSpace(command)
}

// MayGoBy reports whether a builder may show name for an operation that has the digest of
// op. Many names have one digest: the step can be in another Dockerfile, and be written in
// another way. It returns false only if the name alone excludes the digest. op must not be
// a source, whose digest does not depend on its name.
func (op Op) MayGoBy(name string) bool {
	prefix := stepPrefix.FindString(name)
	if prefix == "" || op.form.keywords == nil {
		return true
	}
	keyword, rest, _ := strings.Cut(strings.TrimPrefix(name[len(prefix):], "ONBUILD "), " ")
	if rest = strings.TrimSpace(rest); !slices.Contains(op.form.keywords, keyword) {
		return false
	}
	if strings.Contains(rest, "<<") || strings.HasSuffix(rest, "]") {
		return true // a heredoc or a list of words, which op has in another form
	}
	switch keyword {
	case "RUN":
		return len(rest) >= op.form.size && hashOf(rest[len(rest)-op.form.size:]) == op.form.end
	case "LINK":
		return true
	}
	return op.form.allowsPaths(rest)
}

// allowsPaths reports whether the arguments of a COPY, ADD or WORKDIR, as a name has them,
// may stand for the paths of the operation.
func (f form) allowsPaths(arguments string) bool {
	words := strings.Fields(arguments)
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		words = words[1:]
	}
	if len(words) == 0 || strings.ContainsAny(arguments, "$\"'`\\") {
		return true // variables and quotes hide the paths
	}
	last := len(words) - 1
	if !endsAs(f.dest, words[last]) {
		return false
	}
	if strings.Contains(arguments, "--parents") {
		return true
	}
	// Each source must be among the words. One that is an address can stand for any, as
	// what comes from it has a name of its own.
	return !slices.ContainsFunc(f.sources, func(source string) bool {
		return !slices.ContainsFunc(words[:last], func(word string) bool {
			return strings.Contains(word, ":") || strings.HasSuffix(word, ".git") || endsAs(source, word)
		})
	})
}

// lastWord returns the hash of the last word of p's last element, "" if there is none. A
// path with spaces makes several words of a name.
func lastWord(p string) string {
	words := strings.Fields(path.Base(p))
	if len(words) == 0 {
		return ""
	}
	return hashOf(words[len(words)-1])
}

// endsAs reports whether a path with this [lastWord] may end with word. A word such as "."
// may stand for any path, as it is relative to the working directory.
func endsAs(last, word string) bool {
	base := path.Base(word)
	return last == "" || base == "." || base == ".." || base == "/" || last == hashOf(base)
}

// hashOf returns a plain hash over text.
func hashOf(text string) string { return digest.FromString(text).String() }
