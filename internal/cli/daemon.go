package cli

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"runtime/debug"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/daemon"
	"github.com/stokerd/stoker/internal/ipc"
)

// daemonCommand is the hidden command that the daemon runs as.
const daemonCommand = "daemon"

func newDaemon(o *options) *cobra.Command {
	return &cobra.Command{
		Use:    daemonCommand,
		Short:  "Be the daemon: stoker up starts it so",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return o.serve(cmd.Context(), nil) },
	}
}

// serve runs the daemon until ctx ends or a client asks it to stop, and watches the
// given repositories from the start. It logs to stderr. It reports to the process that
// spawned it, or to systemd, when it is ready, and to the former if it fails.
func (o *options) serve(ctx context.Context, watch []api.UpRequest) error {
	starter := ipc.Readiness()
	opts, err := o.daemonOptions()
	if err == nil {
		opts.Watch = watch
		opts.Ready = func() {
			starter.Done()
			// Without a service manager there is nobody to notify.
			_, _ = sd.SdNotify(false, sd.SdNotifyReady)
		}
		err = daemon.Run(ctx, opts)
		_, _ = sd.SdNotify(false, sd.SdNotifyStopping)
	}
	if err != nil {
		starter.Fail(err)
	}
	if errors.Is(err, ipc.ErrRunning) {
		return &api.Error{Code: api.NoDaemon, Message: err.Error(), Hint: "`stoker down --all` ends it"}
	}
	if ctx.Err() != nil && err == nil {
		return nil
	}
	return err
}

func (o *options) daemonOptions() (daemon.Options, error) {
	paths, err := ipc.Locate(o.Getenv)
	if err != nil {
		return daemon.Options{}, err
	}
	self, err := o.self()
	if err != nil {
		return daemon.Options{}, err
	}
	user, err := config.ReadUser(config.UserPath(o.Getenv))
	if err != nil {
		return daemon.Options{}, err
	}
	return daemon.Options{
		Paths: paths, Version: self, Builder: o.surroundings(), Env: o.env(), User: user,
		Log: slog.New(slog.NewTextHandler(o.Stderr, nil)), Rest: collectWhileAwake(),
	}, nil
}

// restingGarbage is how many bytes a daemon at rest may allocate before the garbage
// collector runs, which is enough for thousands of answers to status.
const restingGarbage = 64 << 20

// collectWhileAwake returns a function that the daemon calls when it comes to rest, and
// when it wakes. At rest the garbage collector does not mark the whole heap every two
// minutes (runtime: forcegcperiod), but runs only once restingGarbage is allocated.
func collectWhileAwake() func(resting bool) {
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	limit := debug.SetMemoryLimit(-1)
	return func(resting bool) {
		if !resting {
			debug.SetMemoryLimit(limit)
			debug.SetGCPercent(percent)
			return
		}
		debug.FreeOSMemory()
		var held runtime.MemStats
		runtime.ReadMemStats(&held)
		debug.SetMemoryLimit(min(limit, int64(held.Sys-held.HeapReleased)+restingGarbage))
		debug.SetGCPercent(-1)
	}
}

// surroundings returns what the search for builders depends on: the system's
// environment, with the variables of this process.
func (o *options) surroundings() buildkit.Env {
	env := buildkit.SystemEnv()
	env.Getenv = o.Getenv
	if home := o.Getenv("HOME"); home != "" {
		env.Home = home
	}
	return env
}
