//go:build !windows

package buildkit

import (
	"context"
	"errors"
	"net"
)

func dialPipe(string) (func(context.Context) (net.Conn, error), error) {
	return nil, errors.New("named pipes exist on Windows only")
}
