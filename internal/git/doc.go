// Package git runs git in such a way that nothing in a repository's configuration
// can run programs. No other package runs git.
//
// A cloned repository is somebody else's code, and its configuration can name
// programs: a file system monitor, hooks, pagers, external diffs, text converters,
// filters, signature checkers, transports. A [Repo] uses only plumbing commands that
// need none of them, and switches off each that can be switched off. It drops every
// GIT_ variable that would point git elsewhere, and allows no transport, so that
// nothing is ever fetched. It runs no filter: whether a file is dirty is decided by
// comparing bytes, not by `git status`.
//
// git's own ownership check (safe.directory) remains in force.
package git
