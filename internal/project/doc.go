// Package project computes what stoker knows about a repository without a builder:
// what it builds, which files each build takes, and what is wrong with them.
//
// A [Picture] is an immutable snapshot of that knowledge. [Opener.Open] makes one from
// the disk, and [Opener.Update] makes the next one from the paths that changed, so that
// its work depends on the size of the change. Both the daemon and the commands that
// work without it use this package.
package project
