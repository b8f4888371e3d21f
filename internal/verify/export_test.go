package verify

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Read returns the images of an OCI archive, none of whose layers is known yet.
func Read(ctx context.Context, r io.Reader) ([]Image, error) { return read(ctx, r, nil) }

// String writes a file on one line, its content as a part of its digest: kind as
// ls has it, mode, owner, path, and what it is beside.
func (f File) String() string {
	letter := map[Kind]string{Regular: "-", Directory: "d", Symlink: "l", CharDevice: "c", BlockDevice: "b", FIFO: "p"}[f.kind]
	text := fmt.Sprintf("%s %04o %d:%d %s", letter, f.mode, f.uid, f.gid, f.Path)
	switch f.kind {
	case Regular:
		text += fmt.Sprintf(" %d %x", f.size, f.sum[:4])
	case Symlink:
		text += " -> " + f.link
	case CharDevice, BlockDevice:
		text += fmt.Sprintf(" %d:%d", f.major, f.minor)
	}
	if f.Shares != "" {
		text += " = " + f.Shares
	}
	for line := range strings.Lines(f.xattrs) {
		name, _, _ := strings.Cut(line, "=")
		text += " " + name
	}
	return text
}
