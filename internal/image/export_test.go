package image

import "io"

// Stream returns an image that is read from r, which cannot be read twice: what Open
// makes of a pipe or of a compressed archive.
func Stream(name string, r io.Reader, o OpenOptions) *Image {
	return &Image{name: name, from: "an archive", stream: r, want: want{platform: o.Platform}}
}
