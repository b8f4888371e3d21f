// Package content computes the digests by which BuildKit keys what a step takes
// of local files, byte for byte as the builder does (BuildKit:
// cache/contenthash), and keeps what they were computed of.
//
// Its nouns:
//
//   - A [Manifest] is an immutable Merkle tree of the files that a build sends:
//     per file its digest, per directory the digest of all below. Manifests
//     share the directories that did not change between them.
//     [Manifest.Content] gives the digest that keys what a step takes of it,
//     [Compare] what differs between two, and [Manifest.After] what a builder
//     makes of one that has another already.
//   - [Compute] makes one of a selection. It reads a file once: the tree that
//     shows it keeps its sum for as long as its stamp is the same, as git's
//     index does.
//   - [Manifest.Write] stores a manifest as git stores trees, [Stored] reads it
//     back, a directory when it is asked for; [Manifest.Taken] is the part of one
//     that a step takes.
//
// What counts is mode, size, type, link target, device, the extended attributes
// that are sent, and content; not the name, the time or the owner, which the
// client sends as root. A file is sent again only if its size, time, mode or
// link target changed: what a builder holds may be older than what is on disk.
//
// Values are safe for concurrent use.
package content
