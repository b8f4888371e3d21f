// Package replay computes, without building, which steps a history of builds
// would have run: pure arithmetic over what each step depends on.
//
// BuildKit remembers every state that it still holds. So a step runs in a build
// exactly if the tuple of its own inputs and those of all steps that it builds
// on occurs in no earlier build; going back to an old state hits. [States] gives
// the inputs from a [changes.Log], [Run] the steps that ran, and [Best] the order
// of a stage's steps that costs least.
//
// The Dockerfile and the ignore file are held fixed over the history, and
// nothing that was cached is taken to be lost.
package replay
