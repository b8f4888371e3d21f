//go:build !linux

package probe

import "context"

// Run reports that it cannot: containers are Linux.
func Run(context.Context, Spec) Report {
	return Report{Problem: "the probe runs on Linux only"}
}
