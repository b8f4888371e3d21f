// Package smoke starts an image that was just built and looks whether it works: whether its program answers, as whom it
// runs, what it writes, what memory it takes, and whether it stops when it is told to.
//
// The container runs on the builder: where that is a Docker Engine's, as `docker run` has it, else through the builder's
// gateway, as steps run. It has no network but its own unless that is asked for. Nothing of an image is needed for the
// checks, not even a shell, because stoker itself is brought into the container and started as a second process
// (internal/probe).
//
// What the program writes is kept in memory, for the terminal of whoever runs the test, and is in no [Result].
package smoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/probe"
)

// Command is the hidden command of stoker that the probe is.
const Command = "smoke-probe"

// Options say what to wait for and what to check. Of HTTP, TCP and Log one is set at most; without any, the image's own
// health check is waited for, else a port that it declares, else that it stays for a moment.
type Options struct {
	HTTP string // a path, or a port and a path: "/healthz", ":8080/healthz"
	TCP  int
	Log  string // text in a line that the program writes
	// Timeout is how long to wait, and Grace how long the program may take to stop.
	Timeout, Grace time.Duration
	// ReadOnly makes it a failure that the program writes outside of its volumes.
	ReadOnly bool
	// Network gives it the network that build steps have.
	Network bool
	// Tool is the stoker that probes: a static program for Linux.
	Tool string
}

// Result is what came of it.
type Result struct {
	// How is what the program was waited for by.
	How string
	// Seconds is the time within which it was ready, the start of the probe included; 0 if it never was.
	Seconds float64
	// Memory is the most that its processes held, in bytes; 0 if that is not known.
	Memory int64
	Checks []Check
	// Written is where it wrote outside of its volumes, at most 100 paths of WrittenCount.
	Written      []string
	WrittenCount int
}

// OK reports whether no check failed.
func (r Result) OK() bool {
	return !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.State == Failed })
}

// Check is one thing that was looked at.
type Check struct {
	Name  string // starts, user, stops, writes
	State State
	Text  string // what was seen
}

// A State is what came of a check.
type State string

// The states.
const (
	Passed  State = "passed"
	Failed  State = "failed"
	Skipped State = "skipped"
)

// A Builder runs what it built; a *buildkit.Builder is one.
type Builder interface {
	Run(ctx context.Context, r buildkit.ContainerRequest, fn func(context.Context, *buildkit.Container) error) error
}

// Where nothing else is known of a program, it is enough that it stays for a moment.
const (
	toStay = "it to stay" // what is waited for, in words
	stay   = time.Second
)

// Run runs the result of a build. logs takes what the program writes; it is called from several goroutines. The error
// says that the image could not be run at all.
func Run(ctx context.Context, b Builder, build buildkit.Request, o Options, logs io.Writer) (Result, error) {
	if err := CheckTool(o.Tool); err != nil {
		return Result{}, err
	}
	t := test{Options: o, output: &watched{to: logs, text: o.Log, seen: make(chan struct{})}}
	err := b.Run(ctx, buildkit.ContainerRequest{
		Request: build, Tool: o.Tool, Network: o.Network, Output: t.output, Limit: o.Timeout + o.Grace + 5*time.Minute,
	}, t.run)
	return t.result, err
}

// A test is one run.
type test struct {
	Options
	output *watched
	result Result
	health *dockerspec.HealthcheckConfig
}

func (t *test) note(name string, state State, format string, args ...any) {
	t.result.Checks = append(t.result.Checks, Check{Name: name, State: state, Text: fmt.Sprintf(format, args...)})
}

// run tests a container.
func (t *test) run(ctx context.Context, c *buildkit.Container) error {
	t.health = c.Image.Config.Healthcheck
	spec, waitsFor := t.spec(c.Image)
	began := time.Now()
	main, err := c.Start(ctx)
	if err != nil {
		t.note("starts", Failed, "%v", err)
		return nil
	}
	report, ended, err := t.look(ctx, c, main, spec)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case ended:
		t.early(main, waitsFor, time.Since(began))
		return nil
	case err != nil:
		return err
	}
	t.judge(report, waitsFor)
	return t.stop(ctx, c, main)
}

// look waits for the program, and has the probe look at it. ended reports that the program ended before that.
func (t *test) look(ctx context.Context, c *buildkit.Container, main *buildkit.Process, spec probe.Spec) (report probe.Report, ended bool, err error) {
	if t.Log != "" {
		timeout := time.NewTimer(t.Timeout)
		defer timeout.Stop()
		select {
		case <-t.output.seen:
		case <-timeout.C: // the probe still looks at it
		case <-main.Done:
			return report, true, nil
		case <-ctx.Done():
			return report, false, nil
		}
	}
	arg, err := json.Marshal(spec)
	if err != nil {
		return report, false, err
	}
	var out strings.Builder
	tool, err := c.Tool(ctx, &out, Command, string(arg))
	if err != nil {
		if ends(main) {
			return report, true, nil
		}
		return report, false, fmt.Errorf("start the probe: %w", err)
	}
	select {
	case <-tool.Done:
	case <-main.Done:
		return report, true, nil
	case <-ctx.Done():
		return report, false, nil
	}
	if _, err := tool.Exit(); err != nil {
		if ends(main) {
			return report, true, nil
		}
		return report, false, fmt.Errorf("start the probe in the container: %w", err)
	}
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		if ends(main) { // and the probe with it, before it could say anything
			return report, true, nil
		}
		return report, false, errors.New("the probe gave no report: is it the stoker of this version?")
	}
	if t.Log != "" {
		report.Ready, report.How, report.Problem = t.output.found(), fmt.Sprintf("wrote %q", t.Log), fmt.Sprintf("it did not write %q", t.Log)
	}
	return report, false, nil
}

// ends reports whether the program has ended, or does within a moment.
func ends(main *buildkit.Process) bool {
	select {
	case <-main.Done:
		return true
	case <-time.After(time.Second):
		return false
	}
}

// spec says what the probe waits for, also in words.
func (t *test) spec(image dockerspec.DockerOCIImage) (probe.Spec, string) {
	s := probe.Spec{Timeout: t.Timeout.Seconds(), Shared: t.Network, Volumes: slices.Sorted(maps.Keys(image.Config.Volumes))}
	for port := range image.Config.ExposedPorts {
		number, protocol, _ := strings.Cut(port, "/")
		if n, err := strconv.Atoi(number); err == nil && (protocol == "" || protocol == "tcp") {
			s.Ports = append(s.Ports, n)
		}
	}
	slices.Sort(s.Ports)
	health := image.Config.Healthcheck
	switch {
	case t.HTTP != "":
		s.HTTP = t.HTTP
		return s, "an answer at " + t.HTTP
	case t.TCP != 0:
		s.TCP = t.TCP
		return s, fmt.Sprintf("port %d", t.TCP)
	case t.Log != "":
		return s, fmt.Sprintf("a line with %q", t.Log)
	case health != nil && len(health.Test) > 1 && health.Test[0] == "CMD":
		s.Health = health.Test[1:]
		return s, "its health check"
	case health != nil && len(health.Test) > 1 && health.Test[0] == "CMD-SHELL":
		s.Health = append(shell(image), health.Test[1])
		return s, "its health check"
	case len(s.Ports) > 0:
		s.TCP = s.Ports[0]
		return s, fmt.Sprintf("port %d, which it declares", s.TCP)
	}
	s.Stay = stay.Seconds()
	return s, toStay
}

// shell is what runs the shell form of instructions.
func shell(image dockerspec.DockerOCIImage) []string {
	if len(image.Config.Shell) > 0 {
		return slices.Clone(image.Config.Shell)
	}
	return []string{"/bin/sh", "-c"}
}

// early judges a program that ended by itself.
func (t *test) early(main *buildkit.Process, waitsFor string, after time.Duration) {
	status, err := main.Exit()
	switch {
	case err != nil:
		t.note("starts", Failed, "%v", err)
	case status == 0 && t.HTTP == "" && t.TCP == 0 && t.health == nil && (t.Log == "" || t.output.found()):
		t.result.How = "ended by itself with status 0"
		t.note("starts", Passed, "ended by itself with status 0 after %.1fs", after.Seconds())
	default:
		before := ""
		if waitsFor != toStay {
			before = " before " + waitsFor + " was there"
		}
		t.note("starts", Failed, "ended with status %d%s", status, before)
	}
	for _, name := range []string{"user", "writes", "stops"} {
		t.note(name, Skipped, "it ended before it could be looked at")
	}
}

// judge turns what the probe saw into checks.
func (t *test) judge(r probe.Report, waitsFor string) {
	t.result.How, t.result.Memory, t.result.Written, t.result.WrittenCount = r.How, r.Memory, r.Written, r.WrittenCount
	if r.Ready {
		t.result.Seconds = r.Seconds
		t.note("starts", Passed, "%s within %.1fs", r.How, r.Seconds)
	} else {
		t.note("starts", Failed, "waited %s for %s: %s", t.Timeout, waitsFor, r.Problem)
	}
	if r.UID == 0 {
		t.note("user", Failed, "runs as root (%s): add USER to the last stage", r.Command)
	} else {
		t.note("user", Passed, "runs as user %d", r.UID)
	}
	switch {
	case r.WrittenCount == 0:
		t.note("writes", Passed, "writes nothing outside of its volumes")
	case t.ReadOnly:
		t.note("writes", Failed, "writes outside of its volumes, which a read-only root does not take: %s", some(r.Written, r.WrittenCount))
	default:
		t.note("writes", Passed, "writes to %s (--read-only has this fail)", some(r.Written, r.WrittenCount))
	}
}

// some shows the first paths.
func some(paths []string, count int) string {
	const enough = 5
	text := strings.Join(paths[:min(len(paths), enough)], ", ")
	if count > enough {
		text += fmt.Sprintf(" and %d more", count-enough)
	}
	return text
}

// stop tells the program to stop, as `docker stop` does, and judges how it does.
func (t *test) stop(ctx context.Context, c *buildkit.Container, main *buildkit.Process) error {
	name, sig, ok := stopSignal(c.Image.Config.StopSignal)
	if !ok {
		t.note("stops", Skipped, "its STOPSIGNAL %s is not one that stoker sends", name)
		return nil
	}
	select {
	case <-main.Done:
		status, err := main.Exit()
		if err == nil {
			t.note("stops", Failed, "ended with status %d before it was told to", status)
		}
		return nil
	default:
	}
	began := time.Now()
	if err := main.Signal(ctx, sig); err != nil {
		return fmt.Errorf("send %s: %w", name, err)
	}
	timer := time.NewTimer(t.Grace)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		t.note("stops", Failed, "does not stop within %s of %s: process 1 ignores it, as a shell does that starts the program; use the exec form, or an init", t.Grace, name)
	case <-main.Done:
		took := time.Since(began).Seconds()
		if status, err := main.Exit(); err == nil && status != 0 && status != 128+int(sig) {
			t.note("stops", Passed, "stops within %.1fs of %s, with status %d", took, name, status)
		} else {
			t.note("stops", Passed, "stops within %.1fs of %s", took, name)
		}
	}
	return nil
}

// signals are those whose number is the same on all systems.
var signals = map[string]syscall.Signal{"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGKILL": 9, "SIGTERM": 15}

// stopSignal reads a STOPSIGNAL: a name with or without SIG, or a number.
func stopSignal(text string) (string, syscall.Signal, bool) {
	if text == "" {
		text = "SIGTERM"
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	for known, s := range signals {
		if name == known || text == strconv.Itoa(int(s)) {
			return known, s, true
		}
	}
	return text, 0, false
}
