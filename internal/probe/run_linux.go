package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pause is the time between two attempts.
const pause = 50 * time.Millisecond

// Run waits until the program is ready, or the timeout of the spec is over, or ctx ends. It then reports about the
// program, whether that is ready or not.
func Run(ctx context.Context, s Spec) Report {
	var r Report
	p, err := program()
	if err != nil {
		r.Problem = err.Error()
		return r
	}
	r.UID, r.Command = p.uid, p.name
	ctx, cancel := context.WithTimeout(ctx, time.Duration(s.Timeout*float64(time.Second)))
	defer cancel()
	check := s.check(p)
	var last error
	for {
		how, err := check(ctx)
		if err == nil {
			r.Ready, r.How, r.Problem, last = true, how, "", nil
			r.Seconds = p.age().Seconds()
			break
		}
		if ctx.Err() == nil || last == nil {
			last = err // not of the attempt that the end of ctx cut short, unless it is the only one
			r.Problem = err.Error()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		if ctx.Err() != nil {
			break
		}
	}
	var unwell *unwellError
	if errors.As(last, &unwell) {
		fmt.Fprintln(os.Stderr, strings.TrimSpace(unwell.output))
	}
	r.Memory = memory()
	r.Written, r.WrittenCount = written(p.started(), s.Volumes)
	return r
}

// check returns the function that finds out whether the program is ready. That returns how it knows, or an error.
func (s Spec) check(p process) func(context.Context) (how string, err error) {
	switch {
	case s.HTTP != "":
		return s.http
	case s.TCP != 0:
		return func(ctx context.Context) (string, error) { return dial(ctx, s.TCP) }
	case len(s.Health) > 0:
		return func(ctx context.Context) (string, error) { return s.health(ctx, p) }
	}
	return func(context.Context) (string, error) {
		if p.age().Seconds() < s.Stay {
			return "", errors.New("it has only just started")
		}
		return fmt.Sprintf("stayed for %.0fs", s.Stay), nil
	}
}

// http requests the path of s.HTTP from each port that may be the right one, until one answers without an error.
func (s Spec) http(ctx context.Context) (string, error) {
	ports, path, err := s.httpTargets()
	if err != nil {
		return "", err
	}
	if len(ports) == 0 {
		return "", errors.New("it listens on no TCP port")
	}
	client := &http.Client{
		Timeout:       5 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var errs []error
	for _, port := range ports {
		at := fmt.Sprintf(":%d%s", port, path)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("localhost", strconv.Itoa(port))+path, nil)
		if err != nil {
			return "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, innermost(err)))
			continue
		}
		resp.Body.Close()
		if resp.StatusCode < 400 {
			return fmt.Sprintf("%s answered %d", at, resp.StatusCode), nil
		}
		errs = append(errs, fmt.Errorf("%s answered %s", at, resp.Status))
	}
	return "", errors.Join(errs...)
}

// httpTargets splits s.HTTP into ports and path. If it has no port, these are the ports that the image declares and,
// unless the network is shared, all others that are listened on.
func (s Spec) httpTargets() (ports []int, path string, err error) {
	if rest, ok := strings.CutPrefix(s.HTTP, ":"); ok {
		port, after, _ := strings.Cut(rest, "/")
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, "", fmt.Errorf("%q is no port", port)
		}
		return []int{n}, "/" + after, nil
	}
	ports = slices.Clone(s.Ports)
	if !s.Shared {
		for _, port := range listening() {
			if !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	return ports, s.HTTP, nil
}

// innermost returns the last error that err wraps, without the address and operation around it.
func innermost(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// dial connects to a port.
func dial(ctx context.Context, port int) (string, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
	if err != nil {
		return "", fmt.Errorf("port %d: %w", port, innermost(err))
	}
	conn.Close()
	return fmt.Sprintf("port %d accepted a connection", port), nil
}

// unwellError means that the health check failed. Its output is not part of the report: Run writes it to stderr, which
// goes to the same place as what the program writes.
type unwellError struct {
	cause  error
	output string
}

func (e *unwellError) Error() string { return "the health check failed: " + e.cause.Error() }

// health runs the health check as the program's user, in its working directory.
func (s Spec) health(ctx context.Context, p process) (string, error) {
	cmd := exec.CommandContext(ctx, s.Health[0], s.Health[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(p.uid), Gid: uint32(p.gid), Groups: p.groups}}
	cmd.WaitDelay = time.Second
	if cwd, err := os.Readlink("/proc/1/cwd"); err == nil {
		cmd.Dir = cwd
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "the health check passed", nil
	}
	return "", &unwellError{err, string(out)}
}
