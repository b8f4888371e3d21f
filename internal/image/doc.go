// Package image analyses container images: what each layer holds, which of its bytes no container sees, and what should
// not be in it.
//
// [Open] finds an [Image] in a registry, a Docker Engine's store, an OCI layout or an archive, which may be a pipe.
// [Analyse] reads every layer once, as a stream, and returns an [Analysis]. [Analysis.Tree] shows one layer, [Diff]
// compares two images, and [Gates] are limits for one.
//
// Images are not trusted: names may lead out of the root, sizes may be wrong, and streams may be cut off or never end.
// The memory used grows with the number of paths, which is bounded, and not with the size of layers. Every blob that
// has a digest is checked against it. Nothing is extracted to disk. Layers are stacked as the OCI image specification
// says (image-spec: layer.md): whiteouts and opaque directories first, then the layer's own entries. The content of a
// file with hard links counts as visible until its last name is gone.
//
// There are two measures of waste. Hidden is exact: the bytes in layers that no container sees, because a later entry
// replaces or deletes them. Efficiency and Wasted are computed as dive computes them (efficiency.go), so that limits
// made for dive mean the same here.
//
// An Analysis is immutable and safe for concurrent use. An Image must not be analysed by several goroutines at once.
// Neither exports the value of a secret or of an environment variable.
package image
