// Package config reads stoker's configuration: stoker.yaml at a repository's
// root, and the user's own file under XDG_CONFIG_HOME.
//
// A [File] is one file as written: every value is absent until the file gives
// it, and remembers where it stands. [Merge] lays flags over the repository's
// file over the user's file over the defaults and gives a [Config], in which
// every value is set.
//
// A cloned repository is somebody else's code. Until its user has allowed it,
// Merge takes neither a builder address nor a higher prewarm level from the
// repository's file; [Config.Held] names what was left out. Secrets for a
// prewarm can only be named in the user's file.
//
// Reading is strict: an unknown key or a bad value is an [Error] with file,
// line, column and a hint, and all errors of a file are reported at once
// (joined, see errors.Join). An empty or absent file is a valid one.
//
// All values are plain data: safe for concurrent use as long as nobody edits
// them. The package imports nothing of stoker's.
package config
