// Package report converts what stoker knows, such as pictures, records of builds and
// analyses of images, to the wire structs of internal/api.
//
// Both the daemon and the commands that work without it use this package, so that their
// answers are the same. Its functions only read their arguments, which are immutable, and
// return new values; they are safe for concurrent use. A few also look at the disk:
// ContextDiff, ContextExplain and ContextTree.
//
// The values of build args, environment variables and secrets are not copied, and
// credentials are removed from addresses.
package report
