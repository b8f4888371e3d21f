package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Key says by what a builder looks for the result of an operation.
//
// BuildKit keeps results in a graph of ids (BuildKit: solver/edge.go, cachemanager.go,
// cachekey.go). The id of an operation without inputs is the hash of its digest and
// output; that of content is the hash of its digest and the output -1. All other ids
// are made up when a result is first saved. A link, of an (input, output, digest,
// selector), leads from an id of an operation's input to an id of the operation. The
// rules:
//
//   - Look-up: a result is found if each input has an id from which a link leads to one
//     and the same id, and that id has a result that still exists.
//   - The ids of an input are those of the operation that it comes from, with links
//     that have the selector. Where content counts, the id of the content is another
//     one, with links that have none. One of them is enough.
//   - By definition comes first. To look by content the solver needs the input's
//     result: it loads or makes that, and only where the definition led nowhere.
//   - When a result is saved or found, all ids of each input that are then known are
//     linked: what was found by content is found by definition from then on.
//   - Local files have an id of their own in each build. So what takes them is found by
//     content alone, and what needs them otherwise (RUN in a stage FROM a directory) is
//     never found.
//   - The result of an operation that ignores the cache is saved like any other, but
//     what takes it in does not look by its id, only by that of its content.
//   - Operations whose ids turn out to be equal are one within a build: one executes.
//
// A Key holds plain hashes over values of args and environment variables: it must not
// leave memory.
type Key struct {
	// ID stands for the operation and all that it is made from, with local files by
	// content: two IDs are equal exactly where all of that is. It is BuildKit's id for
	// an operation without inputs, and our own for others. "" if it is not known, for
	// Reason.
	ID string
	// Inputs are what the look-up goes by, one for each input of the operation.
	Inputs []KeyInput
	// Reason says why ID is not known, and Cause is the index of the operation on which
	// that lies: a source, or what takes files of it.
	Reason Reason
	Cause  int
}

// A KeyInput is one input of an operation in a [Key].
type KeyInput struct {
	ID       string // of the operation that it comes from; "" if that is not known
	Selector string // of links from ID
	// Content is the id of the content that is taken; "" where content does not count,
	// or where only the builder can know it. It is known of local files and of a heredoc.
	Content string
}

// A Reason says why a key is not known, from the least to the most definite.
type Reason int

// The reasons.
const (
	Known      Reason = iota
	Unresolved        // an image or a download of which the digest was not looked up
	Unread            // local files whose digest could not be computed
	Absent            // local files that are not sent, on which the build fails: see ErrAbsent
	Stale             // local files of which the builder may have another state: see ErrStale
	PerBuild          // BuildKit makes the key for one build: no look-up by it succeeds
)

// String returns r in words.
func (r Reason) String() string {
	return [...]string{"known", "not resolved", "not read", "not there", "not seen", "made for one build"}[r]
}

// ErrStale is what a [ContentFunc] gives for files of which the builder may have
// an older state that looks the same to it. BuildKit has a file sent again only if
// its size, time, mode or link target changed, and never looks again at a
// directory's mode (fsutil: sameFile, DiskWriter.HandleChange).
var ErrStale = errors.New("the builder may not see that files changed")

// ErrAbsent is what a [ContentFunc] gives for a path that a step needs and that is not
// sent, so that the build fails.
var ErrAbsent = errors.New("a path is not in the context")

// A ContentFunc returns the digest by which BuildKit keys what of the files of
// a request (an index into Plan.Requests) is selected.
type ContentFunc func(request int, selected []dockerfile.Selector) (string, error)

// Keys returns the key of each of a plan's operations, or why it is not known.
func Keys(ops []dockerfile.Op, content ContentFunc) []Key {
	keys := make([]Key, len(ops))
	for i, op := range ops {
		switch {
		case op.Source == nil:
			keys[i] = derive(i, ops, keys, content)
		case op.Source.Kind == dockerfile.LocalSource:
			keys[i] = Key{Reason: PerBuild, Cause: i}
		case op.Digest == "":
			keys[i] = Key{Reason: Unresolved, Cause: i}
		default:
			keys[i] = Key{ID: rootID(op.Digest, op.Output)}
		}
	}
	return keys
}

// derive returns the key of operation i, given those of its inputs in keys.
func derive(i int, ops []dockerfile.Op, keys []Key, content ContentFunc) Key {
	op := ops[i]
	var k Key
	sum := sha256.New()
	fmt.Fprintf(sum, "%s@%d", op.Digest, op.Output)
	for _, in := range op.Inputs {
		from := keys[in.Op]
		input := KeyInput{ID: from.ID, Selector: in.Selector}
		reason, cause := from.Reason, from.Cause
		if src := ops[in.Op].Source; in.Content != nil && src != nil && src.Kind == dockerfile.LocalSource {
			if digest, err := content(src.Request, in.Content); err != nil {
				cause = i
				switch {
				case errors.Is(err, ErrStale):
					reason = Stale
				case errors.Is(err, ErrAbsent):
					reason = Absent
				default:
					reason = Unread
				}
			} else {
				reason = Known
				input.Content = rootID(digest, -1)
			}
		}
		files := input.Content
		if in.Digest != "" {
			input.Content = rootID(in.Digest, -1)
		}
		if reason > k.Reason {
			k.Reason, k.Cause = reason, cause
		}
		if files != "" {
			fmt.Fprintf(sum, "\n%s", files)
		} else {
			fmt.Fprintf(sum, "\n%s %s", input.ID, input.Selector)
		}
		k.Inputs = append(k.Inputs, input)
	}
	if k.Reason == Known {
		k.ID = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	}
	return k
}

// rootID returns the id of what has no inputs (BuildKit: solver, rootKey).
func rootID(digest string, output int) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(fmt.Appendf(nil, "%s@%d", digest, output)))
}
