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
	// Libraries write warnings there that are no result, progress or hint of stoker's.
	logrus.SetOutput(io.Discard)
	log.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // who asks twice is not kept waiting
	status := cli.Run(ctx, cli.SystemProcess(), os.Args[1:])
	stop()
	os.Exit(status)
}
