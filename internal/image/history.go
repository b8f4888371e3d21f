package image

import (
	"regexp"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// made says how a layer was made.
type made struct {
	instruction string
	created     time.Time
	at          int // index in the history; -1 if that does not say
}

// history returns how each layer was made. The history of an image also has steps that made no layer. If the others are
// not as many as the layers, it is ignored.
func history(list []ocispec.History, layers int) []made {
	out := make([]made, layers)
	for i := range out {
		out[i].at = -1
	}
	var full []int
	for i, h := range list {
		if !h.EmptyLayer {
			full = append(full, i)
		}
	}
	if len(full) != layers {
		return out
	}
	for n, i := range full {
		out[n] = made{instruction: instruction(list[i].CreatedBy), at: i}
		if list[i].Created != nil {
			out[n].created = *list[i].Created
		}
	}
	return out
}

var (
	// Docker's old builder: `/bin/sh -c #(nop) COPY dir:… in / `.
	nop = regexp.MustCompile(`^/bin/sh -c #\(nop\)\s*`)
	// Build args that a RUN saw: `|2 A=1 B=2 /bin/sh -c …` (BuildKit: frontend/dockerfile/dockerfile2llb/convert_run.go,
	// withShell and commitToHistory; the old builder wrote the same).
	argCount = regexp.MustCompile(`^(?:RUN )?\|\d+ `)
	// What ends the args of a RUN: a shell.
	shell = regexp.MustCompile(`(?:^| )(?:/usr)?/bin/(?:ba|da|a|z|k)?sh(?: -\S+(?: pipefail)?)* -\w*c `)
	// Other shells than the default come before the command too.
	leadingShell = regexp.MustCompile(`^(?:/usr)?/bin/(?:ba|da|a|z|k)?sh(?: -\S+(?: pipefail)?)* -\w*c `)
	assignment   = regexp.MustCompile(`(^|\s)("?[A-Za-z_][A-Za-z0-9_.]*"?)=("(?:[^"\\]|\\.)*"|'[^']*'|\S*)`)
	quiet        = " # buildkit"
)

// instruction returns what made a layer, as a Dockerfile would have it, without the values of build args and of ENV.
func instruction(text string) string {
	text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), quiet))
	if nop.MatchString(text) {
		text = strings.TrimSpace(nop.ReplaceAllString(text, ""))
	} else if rest, ok := strings.CutPrefix(text, "/bin/sh -c "); ok {
		text = "RUN " + rest
	}
	if m := argCount.FindString(text); m != "" {
		return "RUN " + withoutArgs(text[len(m):])
	}
	if rest, ok := strings.CutPrefix(text, "RUN "); ok {
		return "RUN " + leadingShell.ReplaceAllString(rest, "")
	}
	word, rest, _ := strings.Cut(text, " ")
	switch strings.ToUpper(word) {
	case "ENV":
		return "ENV " + namesOnly(rest)
	case "ARG":
		return "ARG " + namesOnly(rest)
	}
	return text
}

// withoutArgs removes the values of build args, which come before a command. They are not quoted, so their end is only
// known by the shell that follows. A value may have a shell in it, too, but not after the last one.
func withoutArgs(text string) string {
	all := shell.FindAllStringIndex(text, -1)
	switch len(all) {
	case 0:
		return "…"
	case 1:
		return text[all[0][1]:]
	}
	return "… " + text[all[len(all)-1][1]:]
}

// namesOnly returns the names in NAME=value pairs, or in the old form "NAME value".
func namesOnly(text string) string {
	found := assignment.FindAllStringSubmatch(text, -1)
	if len(found) == 0 {
		name, _, _ := strings.Cut(strings.TrimSpace(text), " ")
		name, _, _ = strings.Cut(name, "=")
		return name
	}
	var names []string
	for _, m := range found {
		names = append(names, strings.Trim(m[2], `"`))
	}
	return strings.Join(names, " ")
}
