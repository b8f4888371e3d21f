// Command labctl runs the lab of package lab for people, for `make demo` and for test runs.
//
//	labctl up [--dir DIR] [--env FILE] [--real[=IMAGE,…]] [--engine]
//	              run a lab until Ctrl-C, and say how to use it
//	labctl run [--dir DIR] [--real[=IMAGE,…]] [--engine] -- CMD ARG…
//	              run a command beside a lab, with buildctl in its PATH; its exit status is labctl's
//	labctl tools  compile the lab's programs, buildx too, and print their folders
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stokerd/stoker/internal/lab"
)

const usage = `usage: labctl up [--dir DIR] [--env FILE] [--real[=IMAGE,…]] [--engine]
       labctl run [--dir DIR] [--real[=IMAGE,…]] [--engine] -- COMMAND [ARG...]
       labctl tools
`

// childLimit is what a command gets to end by itself after a signal.
const childLimit = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "labctl: %v\n", err)
	}
	os.Exit(status)
}

// run is main without the process: it returns the exit status, 2 for a wrong command line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2, nil
	}
	flags := flag.NewFlagSet("labctl", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	dir := flags.String("dir", "", "keep the lab's state here; default: a temporary directory")
	env := flags.String("env", "", "also write the environment to this file, as shell exports")
	var realImages realFlag
	flags.Var(&realImages, "real", "real Debian, Node, Python and Go in the images, or in those given; made once, in some minutes")
	engine := flags.Bool("engine", false, "a Docker Engine, too; compiled once, in some minutes")
	if err := flags.Parse(args[1:]); err != nil {
		return 2, nil // flag has said why
	}
	opts := lab.Options{Dir: *dir, Real: realImages, Engine: *engine, Log: slog.New(slog.NewTextHandler(stderr, nil))}
	switch args[0] {
	case "up":
		return status(up(ctx, opts, *env, stdout))
	case "run":
		if flags.NArg() == 0 {
			fmt.Fprint(stderr, usage)
			return 2, nil
		}
		return beside(ctx, opts, flags.Args())
	case "tools":
		return status(tools(ctx, stdout))
	}
	fmt.Fprint(stderr, usage)
	return 2, nil
}

// realFlag is --real for all that can be real, or --real=IMAGE,… for some.
type realFlag []string

func (r *realFlag) String() string   { return strings.Join(*r, ",") }
func (r *realFlag) IsBoolFlag() bool { return true }

func (r *realFlag) Set(text string) error {
	switch text {
	case "true":
		*r = []string{lab.AllReal}
	case "false":
		*r = nil
	default:
		*r = strings.Split(text, ",")
	}
	return nil
}

func status(err error) (int, error) {
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// up runs a lab until ctx ends.
func up(ctx context.Context, opts lab.Options, envFile string, stdout io.Writer) error {
	l, err := lab.Start(ctx, opts)
	if err != nil {
		return err
	}
	var exports strings.Builder
	fmt.Fprintf(&exports, "export BUILDKIT_HOST=%s\n", l.Address())
	if l.Engine() != "" {
		fmt.Fprintf(&exports, "export DOCKER_HOST=%s\n", l.Engine())
	}
	for _, v := range l.Env() {
		fmt.Fprintf(&exports, "export %s\n", v)
	}
	if envFile != "" {
		if err := os.WriteFile(envFile, []byte(exports.String()), 0o600); err != nil {
			return errors.Join(fmt.Errorf("write the environment: %w", err), l.Close())
		}
	}
	clients := "stoker, buildctl and stoker's tests"
	if l.Engine() != "" {
		clients = "docker build, stoker (which takes the Engine), buildctl and stoker's tests"
	}
	images := "Base images (FROM), all stand-ins; start the lab with --real for real Debian, Node, Python and Go"
	if l.Real() {
		images = "Base images (FROM); debian:*, node:20, python:3.12 (Debian's 3.11) and golang:1.26 are real, the others stand-ins"
	}
	fmt.Fprintf(stdout, `The lab is up; Ctrl-C ends it.

%s:
%s
docker buildx:
docker buildx create --name stoker-lab --driver remote %s
docker buildx build --builder stoker-lab .

%s: %s
`, clients, exports.String(), l.Address(), images, strings.Join(lab.StandIns(), " "))
	<-ctx.Done()
	return l.Close()
}

// beside runs a command with the lab's environment and returns its exit status.
func beside(ctx context.Context, opts lab.Options, args []string) (int, error) {
	l, err := lab.Start(ctx, opts)
	if err != nil {
		return 1, err
	}
	buildctl, err := lab.Buildctl(ctx)
	if err != nil {
		return 1, errors.Join(err, l.Close())
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	path := os.Getenv("PATH") + string(filepath.ListSeparator) + filepath.Dir(buildctl)
	cmd.Env = append(os.Environ(), append(l.Env(), "BUILDKIT_HOST="+l.Address(), "PATH="+path)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = childLimit
	err = cmd.Run()
	closed := l.Close()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode(), closed
	case err != nil:
		return 1, errors.Join(fmt.Errorf("run %s: %w", args[0], err), closed)
	}
	return status(closed)
}

// tools compiles everything ahead of time, as CI and container images want it.
func tools(ctx context.Context, stdout io.Writer) error {
	buildctl, err := lab.Buildctl(ctx)
	if err != nil {
		return err
	}
	buildx, err := lab.Buildx(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\n%s\n", filepath.Dir(buildctl), filepath.Dir(buildx))
	return nil
}
