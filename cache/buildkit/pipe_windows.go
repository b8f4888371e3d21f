package buildkit

import (
	"context"
	"net"
	"strings"

	"github.com/Microsoft/go-winio"
)

func dialPipe(path string) (func(context.Context) (net.Conn, error), error) {
	path = strings.ReplaceAll(path, "/", `\`)
	return func(ctx context.Context) (net.Conn, error) { return winio.DialPipeContext(ctx, path) }, nil
}
