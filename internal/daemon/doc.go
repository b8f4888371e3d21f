// Package daemon is the long-running stoker: it puts the packages together and
// answers the requests of internal/server.
//
// One goroutine owns each repository (repository.go): it turns the watcher's
// batches into the next picture and hands that out through an atomic pointer.
// One goroutine owns the builder (builder.go): it finds one, listens to its
// history, and waits for its socket while there is none. The scheduler of
// cache/prewarm owns warming (warm.go). They share immutable values only, and
// [Run] joins them all before it returns.
//
// The disk is the truth and an event only a hint: whatever is in doubt is
// scanned again, and a picture that cannot be made keeps the reason in its
// place until the input is mended.
package daemon
