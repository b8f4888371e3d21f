// Package project computes what stoker knows of a repository without a builder:
// what it builds, what each build takes, and what is wrong with that.
//
// A [Picture] is that knowledge at one moment, immutable. [Opener.Open] makes
// one from the disk, [Opener.Update] the next one from changed paths, with work
// that follows the change. The daemon and the one-shot commands share it.
package project
