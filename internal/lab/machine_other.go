//go:build !linux

package lab

import (
	"context"
	"errors"
	"net"
	"os/exec"
)

func isolated(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

func isolatedNetwork(name string, args ...string) *exec.Cmd { return isolated(name, args...) }

func listenInside(context.Context, int, string) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}

// checkMachine always fails: buildkitd runs builds on Linux only.
func checkMachine() error {
	return errors.New("the lab runs on Linux only; set " + EnvBuildKit + " to the address of a running buildkitd")
}
