// Package daemon is the long-running stoker: it puts the packages together and
// answers the requests of internal/server.
//
// A [Daemon] watches repositories and is connected to one builder. Its main parts:
//
//   - A repository (repository.go) has one goroutine, which turns batches of changes
//     from the watchers into the next picture, and publishes that through an atomic
//     pointer. A picture never changes.
//   - The builder (builder.go) has one goroutine, which finds a BuildKit, or waits for
//     the socket of one, and listens to the builds on it (listen.go).
//   - The account of a builder (account.go) is what is known of its cache. It is learnt
//     from finished builds, which are recorded one after the other (records.go), and
//     predictions rest on it (predict.go).
//   - The scheduler of cache/prewarm decides when to warm, and warm.go does it.
//
// [Run] starts all goroutines, directly or through these parts, and waits for them before it
// returns.
//
// The disk is the truth and an event only a hint: whatever is in doubt is
// scanned again, and a picture that cannot be made keeps the reason in its
// place until the input is mended.
package daemon
