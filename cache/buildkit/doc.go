// Package buildkit is the builder: it finds the BuildKit that the user's
// builds run on, listens to its history, turns finished builds into
// [cache.Record] values, and has it solve what should be warm. It is the only
// package that speaks BuildKit's API.
//
// [Discover] tries the places where a builder may be, in the order in which
// the user's own tools would look, and says what it tried. It takes nothing
// from a repository's files; who calls it decides what to ask for. A [Builder]
// is one connected BuildKit, safe for concurrent use until Close.
//
// [Builder.Watch] streams what happens on the builder, whoever started it.
// [Builder.Observe] reads a finished build. Names of vertices, error texts,
// frontend attributes and provenance carry values of build args (BuildKit:
// frontend/dockerfile/dockerfile2llb/convert.go): nothing of them leaves this
// package but names of args, paths, digests, numbers, and instructions as the
// Dockerfile writes them.
//
// [Builder.Warm] and [Builder.PullBase] solve without exporting and are marked
// internal, so that they are in no history and no statistics.
package buildkit
