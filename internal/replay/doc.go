// Package replay computes which steps would have run if every commit of a history had
// been built. It builds nothing, and reads neither files nor the network.
//
// BuildKit's cache keeps the results for all states of a step's inputs, not only for the
// last one. So a step runs in a build if and only if no earlier build had the same states
// of its own inputs and of those of all steps that it builds on. Going back to an old
// state hits the cache. [States] computes the states from a [changes.Log], [Run] which
// steps run, and [Best] the order of a stage's steps that costs least.
//
// The Dockerfile and the ignore file are assumed to be the same in all builds, and nothing
// is assumed to be removed from the cache.
package replay
