package dockerfile

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

// A form is what the name that a builder shows of an operation can be held against, in
// plain hashes over values, which stay in memory.
type form struct {
	keywords []string // of the steps that make such operations; nil if any name may be one's
	// end stands for that of the name of a RUN, in whatever way it is written as a
	// command, and size is how long that is.
	end  string
	size int
	// dest stands for the last word of the path that is written to, and sources for those
	// of the paths that are copied.
	dest    string
	sources []string
}

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

// unexpanded returns the end of a command that is the same whatever its variables stand
// for.
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

// MayGoBy reports whether an operation with the digest of op may go by a name that a
// builder shows. One digest has many names: a step has others in other Dockerfiles, and
// can be written in several ways. It is true wherever the name alone does not rule it
// out. It is not for sources, whose digests names do not tell.
func (op Op) MayGoBy(name string) bool {
	prefix := stepPrefix.FindString(name)
	if prefix == "" || op.form.keywords == nil {
		return true
	}
	keyword, rest, _ := strings.Cut(strings.TrimPrefix(name[len(prefix):], "ONBUILD "), " ")
	if rest = strings.TrimSpace(rest); !slices.Contains(op.form.keywords, keyword) {
		return false
	}
	if strings.Contains(rest, "<<") || strings.HasSuffix(rest, "]") { // a heredoc, or the words one by one
		return true
	}
	switch keyword {
	case "RUN":
		return len(rest) >= op.form.size && hashOf(rest[len(rest)-op.form.size:]) == op.form.end
	case "LINK":
		return true
	}
	words := strings.Fields(rest)
	parents := strings.Contains(rest, "--parents")
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		words = words[1:]
	}
	if len(words) == 0 || strings.ContainsAny(rest, "$\"'`\\") {
		return true // not as it was when the paths were read
	}
	last := len(words) - 1
	if !endsAs(op.form.dest, words[last]) {
		return false
	}
	return parents || !slices.ContainsFunc(op.form.sources, func(source string) bool {
		return !slices.ContainsFunc(words[:last], func(word string) bool {
			return strings.Contains(word, ":") || strings.HasSuffix(word, ".git") || endsAs(source, word)
		})
	})
}

// lastWord returns what stands for the last word of a path: one with spaces is several
// words of a name.
func lastWord(p string) string {
	words := strings.Fields(path.Base(p))
	if len(words) == 0 {
		return ""
	}
	return hashOf(words[len(words)-1])
}

// endsAs reports whether a path of which last is the [lastWord] may be what word is the
// end of: one that is told from where the step stands can be any.
func endsAs(last, word string) bool {
	base := path.Base(word)
	return last == "" || base == "." || base == ".." || base == "/" || last == hashOf(base)
}

func hashOf(text string) string { return digest.FromString(text).String() }
