// Package cli is stoker's commands: one file each, and what they share.
//
// A command asks the daemon if one runs and watches the repository; else it
// computes the answer itself, with the same packages ([source]). Its result goes to
// stdout, as text or as JSON, and everything else to stderr. exit.go turns its error
// into the exit status. Commands keep no state between runs, and know the process
// that they run in only as a [Process].
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/version"
)

// A Process is what commands know of the process that they run in.
type Process struct {
	Stdin          io.Reader // read only if it is a terminal
	Stdout, Stderr io.Writer
	Environ        []string // "NAME=value"; the last of a name counts
	Dir            string   // the working directory, absolute
	Executable     string   // stoker itself, to start it once more
}

// SystemProcess returns the running process. Dir and Executable are "" if the system
// does not tell them.
func SystemProcess() Process {
	p := Process{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ()}
	// Commands that need one of them fail if it is missing.
	p.Dir, _ = os.Getwd()
	p.Executable, _ = os.Executable()
	return p
}

// Getenv returns the value of a variable, "" if it is not set.
func (p Process) Getenv(name string) string { return p.env()[name] }

func (p Process) env() map[string]string {
	env := make(map[string]string, len(p.Environ))
	for _, pair := range p.Environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	return env
}

// options is what all commands share.
type options struct {
	Process
	out, err printer
	// began is set once cobra accepted the flags and arguments. An error before
	// that is a usage error.
	began bool
}

// Run runs the command that args name, and returns the exit status. If ctx ends, the
// command stops.
func Run(ctx context.Context, p Process, args []string) int {
	o := &options{Process: p}
	o.out, o.err = newPrinter(p.Stdout, p.Getenv), newPrinter(p.Stderr, p.Getenv)
	root := newRoot(o)
	root.SetArgs(args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !o.began {
		err = misuse(cmd, err)
	}
	return o.exit(ctx, err)
}

func newRoot(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:           "stoker",
		Short:         "stoker keeps Docker builds warm",
		Version:       version.Get().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			err := fmt.Errorf("there is no command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
			}
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(*cobra.Command, []string) {
			o.began = true
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetVersionTemplate("stoker {{.Version}}\n")
	root.AddCommand(
		newUp(o), newDown(o), newAllow(o), newDisallow(o), newStatus(o),
		newCheck(o), newContext(o), newPredict(o), newWhy(o), newSuggest(o), newReplay(o), newStats(o), newWarm(o),
		newInit(o), newImage(o), newBuild(o), newPrune(o), newVersion(o), newDaemon(o), newSmokeProbe(o),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("completion")
	refuseWords(root)
	return root
}

// refuseWords makes cobra's own commands, help and completion, fail for arguments
// that they do not know. By default they print a help text and succeed.
func refuseWords(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			// Cobra checks the arguments only of commands that run.
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		case "help":
			c.Run, c.RunE = nil, func(_ *cobra.Command, args []string) error {
				of, rest, err := root.Find(args)
				if err != nil || len(rest) > 0 {
					return usage("stoker help lists the commands", "there is no command %q", strings.Join(args, " "))
				}
				return of.Help()
			}
		}
	}
}
