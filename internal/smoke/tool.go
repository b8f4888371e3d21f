package smoke

import (
	"debug/elf"
	"errors"
	"fmt"
)

// ErrTool means that a program cannot be used as probe. Its text says how to get one that can.
var ErrTool = errors.New("the probe runs inside of the image: build stoker with CGO_ENABLED=0 for Linux, or name such a one with --probe")

// CheckTool returns an error that wraps [ErrTool] unless the file name is a static program for Linux, which runs even in
// an image that has no other files.
func CheckTool(name string) error {
	f, err := elf.Open(name)
	if err != nil {
		return fmt.Errorf("%s is no program for Linux: %w", name, ErrTool)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s needs shared libraries: %w", name, ErrTool)
		}
	}
	return nil
}
