package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A Key says under what a builder finds the result of an operation.
//
// BuildKit keeps results in a graph (BuildKit: solver/edge.go, cachemanager.go,
// cachekey.go). Its nodes are ids. An operation without inputs has the hash of
// its digest and output as id, and a content digest likewise, with the output
// -1. Any other id is made up when a result is first saved. A link (input,
// output, digest, selector) leads from the id of an operation's input to that of
// the operation. The rules:
//
//   - Lookup: a result is found if, for each input, a link from one of the
//     input's ids leads to one and the same id, and that id has a result that
//     still exists.
//   - The ids of an input are those of the operation that gives it, whose links
//     have the selector, and where the operation is keyed by content, that of the
//     content, whose links have none. One of them is enough.
//   - By definition comes first. By content needs the input's result, so the
//     solver loads or makes that before it looks, and only where the definition
//     led nowhere.
//   - Saving a result, and finding one, links all ids that are then known of each
//     input: what was found by content is found by definition from then on.
//   - Local files have an id that is made for one build, so what reads them is
//     found by content alone, and what needs them otherwise (RUN in a stage FROM
//     a directory) never.
//   - An operation that ignores the cache is saved like any other, but what needs
//     it does not look under its id: only under that of its content.
//   - Operations whose ids turn out equal are one within a build: one executes.
//
// A Key holds plain hashes over values of args and env: it stays in memory.
type Key struct {
	// ID stands for the operation and all it is made from, with local files by
	// content. It is BuildKit's own for an operation without inputs and for
	// content, and ours for others: equal exactly where the operations, their
	// inputs and the files are. Empty if unknown, for Reason.
	ID string
	// Inputs are what the lookup goes by, one for each input of the operation.
	Inputs []KeyInput
	// Reason says why ID is unknown, and Cause is the index of the operation
	// from which that comes: a source, or what reads it.
	Reason Reason
	Cause  int
}

// A KeyInput is one input of an operation in a [Key].
type KeyInput struct {
	ID       string // of the operation that gives it; empty if unknown
	Selector string // of links from ID
	// Content is the id of what is taken of it, of links without a selector;
	// empty where that does not count or only the builder can know it. That of a
	// heredoc is known, too.
	Content string
}

// A Reason says why a key is not known, from the least to the most definite.
type Reason int

// The reasons.
const (
	Known      Reason = iota
	Unresolved        // an image or a download of which the digest was not looked up
	Unread            // local files whose digest could not be computed
	Stale             // local files of which the builder may have another state: see ErrStale
	PerBuild          // BuildKit makes the key for one build: no lookup by it succeeds
)

// String returns r in words.
func (r Reason) String() string {
	return [...]string{"known", "not resolved", "not read", "not seen", "made for one build"}[r]
}

// ErrStale is what a [ContentFunc] gives for files of which the builder may have
// an older state that looks the same to it. BuildKit has a file sent again only if
// its size, time, mode or link target changed, and never looks again at a
// directory's mode (fsutil: sameFile, DiskWriter.HandleChange).
var ErrStale = errors.New("the builder may not see that files changed")

// A ContentFunc returns the digest by which BuildKit keys what of the files of
// a request (an index into Plan.Requests) is selected.
type ContentFunc func(request int, selected []dockerfile.Selector) (string, error)

// Keys returns the key of each of a plan's operations. What it cannot know it
// says, and why.
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

// derive returns the key of an operation with inputs, whose keys are known.
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
				reason, cause = Unread, i
				if errors.Is(err, ErrStale) {
					reason = Stale
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
