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

// pause is the time between two looks.
const pause = 50 * time.Millisecond

// Run waits as the spec says and reports. It looks at the program whether it became ready or not.
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
			last = err // the last look of all is cut short and says less
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

// check returns the look that is taken again and again.
func (s Spec) check(p process) func(context.Context) (string, error) {
	switch {
	case s.HTTP != "":
		return s.http
	case s.TCP != 0:
		return func(ctx context.Context) (string, error) { return dial(ctx, []int{s.TCP}) }
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

// http asks for the path on the port given, else on the ports that the image declares, else on all that its
// processes listen on.
func (s Spec) http(ctx context.Context) (string, error) {
	path := s.HTTP
	var ports []int
	if rest, ok := strings.CutPrefix(path, ":"); ok {
		port, after, _ := strings.Cut(rest, "/")
		n, err := strconv.Atoi(port)
		if err != nil {
			return "", fmt.Errorf("%q is no port", port)
		}
		ports, path = []int{n}, "/"+after
	} else {
		ports = slices.Clone(s.Ports)
		if !s.Shared {
			for _, port := range listening() {
				if !slices.Contains(ports, port) {
					ports = append(ports, port)
				}
			}
		}
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
			errs = append(errs, fmt.Errorf("%s: %w", at, root(err)))
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

func root(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// dial connects to the first port that answers.
func dial(ctx context.Context, ports []int) (string, error) {
	var errs []error
	d := net.Dialer{Timeout: 5 * time.Second}
	for _, port := range ports {
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
		if err == nil {
			conn.Close()
			return fmt.Sprintf("port %d accepted a connection", port), nil
		}
		errs = append(errs, fmt.Errorf("port %d: %w", port, root(err)))
	}
	return "", errors.Join(errs...)
}

// unwellError says that the health check failed. What it wrote is the image's own word, and goes where its logs go.
type unwellError struct {
	cause  error
	output string
}

func (e *unwellError) Error() string { return "the health check failed: " + e.cause.Error() }

// health runs the health check as the program's user.
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
