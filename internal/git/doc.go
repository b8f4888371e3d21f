// Package git is the only place that runs git, and runs it so that a
// repository's own configuration cannot act.
//
// A cloned repository is somebody else's code, and its configuration can name
// programs: a file system monitor, hooks, pagers, external diffs, text
// converters, filters, signature checkers, transports. [Repo] calls only
// plumbing that needs none of them, switches off each that can be switched off,
// drops every GIT_ variable that would point git elsewhere, and allows no
// transport at all, so that nothing is ever fetched. No filter is run: whether a
// file is dirty is decided by comparing bytes, not by `git status`.
//
// git's own ownership check (safe.directory) stays in force. A Repo is
// immutable and safe for concurrent use; a [Batch] is not.
package git
