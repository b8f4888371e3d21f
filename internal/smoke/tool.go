package smoke

import (
	"debug/elf"
	"errors"
	"fmt"
)

// ErrTool says that the probe cannot run in containers, and how to get one that can.
var ErrTool = errors.New("the probe runs inside of the image: build stoker with CGO_ENABLED=0 for Linux, or name such a one with --probe")

// CheckTool looks whether a program runs in an image with nothing in it. Its error is ErrTool.
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
