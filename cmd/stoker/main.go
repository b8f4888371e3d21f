// Command stoker keeps Docker builds warm. See internal/cli for its commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/stokerd/stoker/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := cli.Run(ctx, cli.SystemProcess(), os.Args[1:])
	stop()
	os.Exit(status)
}
