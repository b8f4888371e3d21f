//go:build !unix

package suggest

import "os"

// keepOwner does nothing: files have no numeric owner here.
func keepOwner(*os.File, string) error { return nil }
