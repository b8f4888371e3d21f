package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/image"
	"github.com/stokerd/stoker/internal/scan"
	"github.com/stokerd/stoker/internal/smoke"
)

// gateFlags are the flags for limits that an image must keep.
type gateFlags struct {
	maxSize, minEfficiency string
	failOn                 []string

	// Parsed by check.
	image      image.Gates
	severities []scan.Severity
}

func (g *gateFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.maxSize, "max-size", "", "limit for the unpacked size of the image, as in 200MB")
	f.StringVar(&g.minEfficiency, "min-efficiency", "", "lowest efficiency of the layers, from 0 to 1, as dive counts it")
	f.StringSliceVar(&g.failOn, "fail-on", nil, "severities that no vulnerability may have, as in critical,high")
}

// check parses the flags. It returns an error for a value that makes no sense, or if
// the limits need a scanner and scanners has none.
func (g *gateFlags) check(scanners []string) error {
	if err := setSize(&g.image.MaxSize, "max-size", g.maxSize); err != nil {
		return err
	}
	if err := setRatio(&g.image.LowestEfficiency, "min-efficiency", g.minEfficiency); err != nil {
		return err
	}
	if len(scanners) == 0 {
		return usage("trivy, grype, scout or off", "--scanner names none")
	}
	for _, name := range g.failOn {
		s, ok := scan.ParseSeverity(name)
		if !ok {
			return usage("critical, high, medium, low or unknown", "--fail-on: there is no severity %q", name)
		}
		g.severities = append(g.severities, s)
	}
	if len(g.severities) > 0 && scanners[0] == "off" {
		return usage("", "--fail-on needs a scanner")
	}
	return nil
}

// judge adds to answer whether each limit is kept. A limit on what could not be looked
// at is not.
func (g *gateFlags) judge(answer *api.BuildReport, a *image.Analysis) {
	for _, r := range g.image.Check(a) {
		gate := api.BuildGate{OK: r.OK}
		switch r.Name {
		case "maxSize":
			gate.Gate = "max-size"
			gate.Text = fmt.Sprintf("%s unpacked, of %s at most", bytes(int64(r.Actual)), bytes(int64(r.Limit)))
		case "lowestEfficiency":
			gate.Gate = "min-efficiency"
			gate.Text = fmt.Sprintf("%.1f%%, of %.1f%% at least", r.Actual*100, r.Limit*100)
		default:
			continue
		}
		answer.Gates = append(answer.Gates, gate)
	}
	if len(g.severities) > 0 {
		answer.Gates = append(answer.Gates, g.scanGate(*answer.Scan))
	}
	if answer.Smoke != nil {
		answer.Gates = append(answer.Gates, smokeGate(*answer.Smoke))
	}
}

// scanGate judges --fail-on by what a scanner found.
func (g *gateFlags) scanGate(found api.BuildScan) api.BuildGate {
	if found.Scanner == "" {
		return api.BuildGate{Gate: "fail-on", Text: "the image was not scanned"}
	}
	counts := map[string]int{} // by severity
	for _, f := range found.Findings {
		counts[f.Severity]++
	}
	var total int
	var words []string
	for _, s := range g.severities {
		n := counts[string(s)]
		total += n
		words = append(words, fmt.Sprintf("%d %s", n, s))
	}
	return api.BuildGate{Gate: "fail-on", OK: total == 0, Text: strings.Join(words, ", ")}
}

// smokeGate judges how the image ran.
func smokeGate(tried api.BuildSmoke) api.BuildGate {
	var failed []string
	for _, c := range tried.Checks {
		if c.State == string(smoke.Failed) {
			failed = append(failed, c.Name)
		}
	}
	switch {
	case tried.Problem != "":
		return api.BuildGate{Gate: "smoke", Text: "it could not be run"}
	case len(failed) > 0:
		return api.BuildGate{Gate: "smoke", Text: "failed: " + strings.Join(failed, ", ")}
	}
	return api.BuildGate{Gate: "smoke", OK: true, Text: "passed"}
}

// smokeFlags are the flags that say how the image is run to see whether it works.
type smokeFlags struct {
	smoke    bool
	http     string
	tcp      int
	log      string
	readOnly bool
	network  bool
	timeout  time.Duration
	grace    time.Duration
	probe    string
}

func (s *smokeFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&s.smoke, "smoke", false, "run the image and see whether it works; so do --http, --tcp, --log and --read-only")
	f.StringVar(&s.http, "http", "", "wait until this path answers, as in /healthz or :8080/healthz")
	f.IntVar(&s.tcp, "tcp", 0, "wait until this port accepts a connection")
	f.StringVar(&s.log, "log", "", "wait until the program writes this text")
	f.BoolVar(&s.readOnly, "read-only", false, "fail if it writes outside of its volumes")
	f.BoolVar(&s.network, "smoke-network", false, "give it the network that build steps have, and not one of its own")
	f.DurationVar(&s.timeout, "timeout", time.Minute, "how long it may take to be ready")
	f.DurationVar(&s.grace, "grace", 10*time.Second, "how long it may take to stop")
	f.StringVar(&s.probe, "probe", "", "stoker for Linux, static, that looks from inside of the container (default: this one)")
}

// check returns an error if flags exclude each other, or have a value that makes no
// sense. It sets smoke if another flag implies it, and makes probe an absolute path.
func (s *smokeFlags) check(o *options) error {
	waits := 0
	for _, given := range []bool{s.http != "", s.tcp != 0, s.log != ""} {
		if given {
			waits++
		}
	}
	s.smoke = s.smoke || waits > 0 || s.readOnly
	switch {
	case waits > 1:
		return usage("", "--http, --tcp and --log exclude each other")
	case s.http != "" && !strings.HasPrefix(s.http, "/") && !strings.HasPrefix(s.http, ":"):
		return usage("for example --http /healthz or --http :8080/healthz", "--http: %q is no path", s.http)
	case s.tcp < 0 || s.tcp > 65535:
		return usage("", "--tcp: %d is no port", s.tcp)
	case s.timeout <= 0 || s.grace <= 0:
		return usage("", "--timeout and --grace must be more than nothing")
	}
	if s.probe == "" {
		s.probe = o.Executable
	}
	s.probe = o.absolute(s.probe)
	if !s.smoke {
		return nil
	}
	if err := smoke.CheckTool(s.probe); err != nil {
		return usage("", "--smoke: %v", err)
	}
	return nil
}

func (s *smokeFlags) options() smoke.Options {
	return smoke.Options{
		HTTP: s.http, TCP: s.tcp, Log: s.log, Timeout: s.timeout, Grace: s.grace, ReadOnly: s.readOnly, Network: s.network, Tool: s.probe,
	}
}
