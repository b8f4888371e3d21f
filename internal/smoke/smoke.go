// Package smoke runs an image that was just built, and checks whether its program answers, as which user it runs, where
// it writes, how much memory it takes, and whether it stops when it is told to.
//
// The container runs on the builder. If that is part of a Docker Engine, it runs as with `docker run`, else through the
// builder's gateway, as steps do. It can only reach itself unless a network is asked for. The image need not contain
// anything for the checks, not even a shell, because stoker itself is mounted into the container and started as a
// second process (internal/probe).
//
// What the program writes goes to the terminal of the user who runs the test, and is not part of a [Result].
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

// Command is the hidden command of stoker that runs the probe.
const Command = "smoke-probe"

// Options say when a program counts as ready, and what to check. At most one of HTTP, TCP and Log may be set. Without
// any, the program is ready when the image's health check passes; if there is none, when a port that the image declares
// accepts connections; and if it declares none, when the program has run for a second.
type Options struct {
	HTTP     string        // a path, or a port and a path, that must answer: "/healthz", ":8080/healthz"
	TCP      int           // a port that must accept connections
	Log      string        // text that the program must write
	Timeout  time.Duration // how long the program may take to be ready
	Grace    time.Duration // how long it may take to stop
	ReadOnly bool          // the check fails if the program writes outside of its volumes
	Network  bool          // the program gets the network of build steps
	Tool     string        // path of the stoker to use as probe: see CheckTool
}

// Result is the result of a test.
type Result struct {
	How     string  // how the program was found to be ready
	Seconds float64 // how long it took to be ready, including the start of the probe; 0 if it never was
	Memory  int64   // sum of the peaks of its processes' memory, in bytes; 0 if it is not known
	Checks  []Check
	// Written has at most 100 of the WrittenCount paths outside of volumes that were written to.
	Written      []string
	WrittenCount int
}

// OK reports whether no check failed.
func (r Result) OK() bool {
	return !slices.ContainsFunc(r.Checks, func(c Check) bool { return c.State == Failed })
}

// Check is the result of one check.
type Check struct {
	Name  string // starts, user, stops, writes
	State State
	Text  string // what was observed
}

// A State says whether a check passed.
type State string

// The states.
const (
	Passed  State = "passed"
	Failed  State = "failed"
	Skipped State = "skipped"
)

// A Builder runs containers, as *buildkit.Builder does.
type Builder interface {
	// Run calls fn with a container of what r builds, and removes the container afterwards. It returns fn's error.
	Run(ctx context.Context, r buildkit.ContainerRequest, fn func(context.Context, *buildkit.Container) error) error
}

// A program about which nothing else is known is ready if it runs for this time.
const (
	stay   = time.Second
	toStay = "it to stay" // in words
)

// Run tests the image of a build. logs gets what the program writes, from several goroutines but never at once. An error
// means that the image could not be tested; that a check failed is in the result.
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

// A test is the state of Run.
type test struct {
	Options
	output *watched
	result Result
	health *dockerspec.HealthcheckConfig // of the image; nil for none
}

// note adds the result of a check.
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

// look waits until the program is ready or Timeout is over, and returns what the probe reports. ended reports that there
// is no report because the program ended.
func (t *test) look(ctx context.Context, c *buildkit.Container, main *buildkit.Process, spec probe.Spec) (report probe.Report, ended bool, err error) {
	if t.Log != "" {
		t.awaitLog(ctx, main)
	}
	report, err = runProbe(ctx, c, main, spec)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return report, false, context.Cause(ctx)
	case ends(main): // which ends the probe as well
		return report, true, nil
	default:
		return report, false, err
	}
	if t.Log != "" {
		report.Ready, report.How, report.Problem = t.output.found(), fmt.Sprintf("wrote %q", t.Log), fmt.Sprintf("it did not write %q", t.Log)
	}
	return report, false, nil
}

// awaitLog waits until the program wrote the text of Options.Log, until it ended, or until Timeout is over.
func (t *test) awaitLog(ctx context.Context, main *buildkit.Process) {
	timeout := time.NewTimer(t.Timeout)
	defer timeout.Stop()
	select {
	case <-t.output.seen:
	case <-timeout.C:
	case <-main.Done:
	case <-ctx.Done():
	}
}

// runProbe runs the probe in the container, and returns its report. It does not wait for the probe after the program has
// ended.
func runProbe(ctx context.Context, c *buildkit.Container, main *buildkit.Process, spec probe.Spec) (report probe.Report, err error) {
	select {
	case <-main.Done:
		return report, errors.New("the program ended before the probe was started")
	default:
	}
	arg, err := json.Marshal(spec)
	if err != nil {
		return report, err
	}
	var out strings.Builder
	tool, err := c.Tool(ctx, &out, Command, string(arg))
	if err != nil {
		return report, fmt.Errorf("start the probe: %w", err)
	}
	select {
	case <-tool.Done:
	case <-main.Done:
		return report, errors.New("the program ended before the probe")
	case <-ctx.Done():
		return report, context.Cause(ctx)
	}
	if _, err := tool.Exit(); err != nil {
		return report, fmt.Errorf("start the probe in the container: %w", err)
	}
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		return report, errors.New("the probe gave no report: is it the stoker of this version?")
	}
	return report, nil
}

// ends reports whether the program has ended, or ends within a second.
func ends(main *buildkit.Process) bool {
	select {
	case <-main.Done:
		return true
	case <-time.After(time.Second):
		return false
	}
}

// spec returns what the probe waits for, and the same in words.
func (t *test) spec(image dockerspec.DockerOCIImage) (spec probe.Spec, waitsFor string) {
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

// shell returns the command that runs the shell form of instructions.
func shell(image dockerspec.DockerOCIImage) []string {
	if len(image.Config.Shell) > 0 {
		return slices.Clone(image.Config.Shell)
	}
	return []string{"/bin/sh", "-c"}
}

// early adds the checks of a program that ended by itself. With status 0, that is fine if it was not meant to serve.
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

// judge adds the checks of what the probe reports.
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

// some lists the first of count paths.
func some(paths []string, count int) string {
	const enough = 5
	text := strings.Join(paths[:min(len(paths), enough)], ", ")
	if count > enough {
		text += fmt.Sprintf(" and %d more", count-enough)
	}
	return text
}

// stop sends the program the signal that `docker stop` would, and adds the check of how it stops.
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

// signals are the ones that have the same number on all systems.
var signals = map[string]syscall.Signal{"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGKILL": 9, "SIGTERM": 15}

// stopSignal parses a STOPSIGNAL, which is a name with or without SIG, or a number; "" is SIGTERM. ok is false for a
// signal that is not in signals, of which name is the text.
func stopSignal(text string) (name string, sig syscall.Signal, ok bool) {
	if text == "" {
		text = "SIGTERM"
	}
	name = strings.ToUpper(text)
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
