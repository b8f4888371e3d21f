// Package store keeps what must outlive the daemon in one bbolt file: records of
// builds and what explains them, the repositories that are watched and what their
// owners allowed, what base images resolved to, and how warm each definition was left.
//
// Everything in it is typed; there is no access to untyped keys and values. The value
// of a build arg, an environment variable or a secret must never be stored.
//
// A [Store] is opened by one process at a time. Its methods are safe for concurrent
// use. A call is one transaction: if it returns without an error, its result survives a
// kill at any later moment, and if it fails, it changes nothing. The exceptions are
// Prune, Forget and Sums, which make several transactions so that other writers need
// not wait long. What they did before an error stays done.
//
// # Layout of the file
//
//	meta      schema version, the store's random key
//	layouts   number → what the records of one definition have in common:
//	          builder, repository, definition, and the constant part of each step
//	layoutIDs digest of a layout → its number
//	records   completion time and a sequence number → a record, as the number
//	          of its layout and what varies: outcome and times of each step,
//	          and of the use of caches elsewhere
//	refs      builder and ref → the record's key and generation
//	evidence  a record's key → what explains the build, as JSON: digests of
//	          objects, and what no other build has
//	blames    a record's key → what broke the cache in it, in a short form for
//	          statistics, which read all of them
//	objects   digest → what builds share: Dockerfiles and definitions of
//	          operations as JSON, and directories (content.Manifest)
//	sums      a bucket per repository: a tree's root and a directory → what is
//	          known about the files in it ([buildctx.Tree.Sums])
//	ledgers   a bucket per builder's cache: what is known to be in it
//	          (internal/ledger), sealed; created when first needed
//	made      a bucket per builder's cache: time of an execution → the step, and
//	          the entry of the cache that it made; created when first needed
//	saves     a bucket per repository without git: number → when files changed,
//	          and their names; created when first needed
//	repositories, images, learnt, warmth
//	          natural key → JSON, as there are few of them
//
// Records are binary because statistics read all of a window, which may be 100,000
// builds and would take seconds as JSON. Queries for one definition filter that scan by
// the number of the layout. An index would make them faster, but every write slower.
package store
