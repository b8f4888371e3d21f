//go:build !linux

package lab

import (
	"errors"
	"os/exec"
)

func isolated(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

// checkMachine refuses: buildkitd's own worker exists on Linux only.
func checkMachine() error {
	return errors.New("the lab runs on Linux only; set " + EnvBuildKit + " to the address of a running buildkitd")
}
