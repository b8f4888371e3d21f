// Package store keeps what must outlive the daemon in one bbolt file: build
// records, the repositories that are watched and what their owners allowed,
// what base images resolved to, and how warm each definition was left.
//
// Every value has a type; there is no untyped key and value. Nothing in here
// may hold the value of a build arg, an env variable or a secret.
//
// A [Store] is opened by one process at a time. Its methods are safe for
// concurrent use; each call is one transaction, and one that returned without
// an error survives a kill at any later moment. A call that fails changes
// nothing. Prune, Forget and Sums are several, so that others need not wait long:
// what they did before an error stays done.
//
// # Layout of the file
//
//	meta      schema version, the store's random key
//	layouts   what records of one definition have in common: builder,
//	          repository, definition and the constant part of every step,
//	          stored once and numbered
//	layoutIDs digest of a layout → its number
//	records   completion time and a sequence number → a record, as the number
//	          of its layout and what varies: an outcome and times per step
//	refs      builder and ref → the record's key and generation
//	evidence  a record's key → what explains the build, as JSON: digests of
//	          objects, and what is the build's own
//	blames    a record's key → what broke the cache in it, in short: what
//	          statistics take, which read all of them
//	objects   digest → Dockerfiles and definitions of operations as JSON, and
//	          directories (content.Manifest): what builds share
//	sums      a bucket per repository: a tree's root and a directory → what is
//	          known of the files in it ([buildctx.Tree.Sums])
//	ledgers   a bucket per builder's cache: what is known to be in it
//	          (internal/ledger), sealed; made when it is first needed
//	made      a bucket per builder's cache: which step an entry of it is the
//	          result of, by the time of its execution
//	saves     a bucket per repository: a number → when files of it changed, and
//	          their names, where there is no git; made when it is first needed
//	repositories, images, learnt, warmth
//	          JSON by natural key: there are few of them
//
// Records are binary because a window of 100,000 builds is read whole for
// statistics: as JSON that takes seconds. Queries for one definition filter
// that scan by layout number, which costs less than another index would cost
// every write.
package store
