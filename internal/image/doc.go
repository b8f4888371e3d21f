// Package image looks into container images: what each layer holds, what of it a container never sees, and what
// should not be there.
//
// An [Image] is opened from a registry, a Docker Engine's store, an OCI layout or an archive, which may be a pipe
// ([Open]). [Analyse] reads every layer once, as it comes, and gives an [Analysis]; [Analysis.Tree] shows one layer,
// [Diff] compares two images, [Gates] judge one.
//
// An image is a stranger's: names lead out of the root, sizes lie, streams are cut off or never end. What is kept in
// memory follows the number of paths, which is bounded, and never the size of what is read; every blob with a digest
// is checked against it; nothing is extracted. Layers are stacked as the OCI image specification says
// (image-spec: layer.md): whiteouts and opaque directories first, then the layer's own entries, and the content of
// hard links counts until the last name is gone.
//
// Two measures of waste stand side by side. Hidden bytes are exact: the content of layers that no container sees,
// because a later entry replaces or deletes it. Efficiency and Wasted are dive's (efficiency.go), so that limits
// which were tuned for dive mean the same here.
//
// An Analysis is immutable and safe for concurrent use; an Image serves one Analyse at a time. No value of a secret or
// of an environment variable is in either.
package image
