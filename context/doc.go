// Package buildctx knows what goes into a build.
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
//   - A [Selection] is a definition's answer over a tree: the effective context
//     (what the ignore file leaves), the sent set (what of it the reachable
//     steps ask for) and what each step takes. Compute makes one, Update the
//     next. It is a summary of each directory, and takes over those of all
//     directories that are the same; files are listed when they are asked for.
//
// BuildKit decides what is right: conversion and the following of links are its
// own code run in process (dockerfile2llb, fsutil); filtering and matching are
// ours, which tests hold against BuildKit's (fsutil, patternmatcher).
// All values are immutable and safe for concurrent use.
package buildctx
