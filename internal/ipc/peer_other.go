//go:build !linux && !darwin

package ipc

import "os"

// peer trusts the folder's permissions where the kernel cannot be asked.
func peer(uintptr) (int, error) { return os.Getuid(), nil }
