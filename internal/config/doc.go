// Package config reads stoker's configuration: stoker.yaml at a repository's
// root, and the user's own file under XDG_CONFIG_HOME.
//
// A [File] is one file as written, in which values may be absent. [Merge] combines
// flags, the repository's file, the user's file and the defaults, of which an earlier
// one takes precedence, to a [Config], in which every value is set.
//
// A cloned repository is somebody else's code. Until its user has allowed it,
// Merge takes neither a builder address nor a higher prewarm level from the
// repository's file; [Config.Held] names what was left out. Secrets for a
// prewarm can only be named in the user's file.
//
// Reading is strict: an unknown key or a bad value is an [*Error] with file, line,
// column and a hint. All errors of a file are reported at once, joined by errors.Join.
// A file may be empty or missing.
//
// All values are plain data, and safe for concurrent use as long as nobody changes
// them. The package imports no other one of stoker.
package config
