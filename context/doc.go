// Package buildctx works out which files go into a build.
//
// It lies in the folder context/, and is not named context, because every
// function that takes a context.Context would collide with it; importers write
//
//	buildctx "github.com/stokerd/stoker/context"
//
// Three nouns carry it:
//
//   - A [Definition] says what is built: context directory, Dockerfile, target,
//     args, platforms, named contexts.
//   - A [Tree] is an immutable picture of the files under a directory at one
//     moment, with a sequence number. Scan makes one; Apply makes the next.
//   - A [Selection] applies a definition to a tree: the effective context (what
//     the ignore file leaves), the sent set (the part of it that reachable steps
//     ask for) and what each step takes. Compute makes one, Update the next. It
//     keeps a summary per directory, reuses those of directories that did not
//     change, and lists files only when asked to.
//
// BuildKit defines what is right. Dockerfiles are converted and links followed by
// its own code, run in process (dockerfile2llb, fsutil). Filtering and matching
// are our own, and tests compare them with BuildKit's (fsutil, patternmatcher).
// All values are immutable and safe for concurrent use.
package buildctx
