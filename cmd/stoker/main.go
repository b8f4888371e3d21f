// Command stoker keeps Docker builds warm. See internal/cli for its commands.
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"

	"github.com/stokerd/stoker/internal/cli"
)

func main() {
	// Libraries log warnings here that are of no use to the user.
	logrus.SetOutput(io.Discard)
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	status := cli.Run(ctx, cli.SystemProcess(), os.Args[1:])
	stop()
	os.Exit(status)
}
