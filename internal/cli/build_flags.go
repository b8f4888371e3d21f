package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/image"
	"github.com/stokerd/stoker/internal/scan"
	"github.com/stokerd/stoker/internal/smoke"
)

// gateFlags are the limits that a build must keep.
type gateFlags struct {
	maxSize, minEfficiency string
	failOn                 []string

	image      image.Gates
	severities []scan.Severity
}

func (g *gateFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.maxSize, "max-size", "", "limit for the unpacked size of the image, as in 200MB")
	f.StringVar(&g.minEfficiency, "min-efficiency", "", "lowest efficiency of the layers, from 0 to 1, as dive counts it")
	f.StringSliceVar(&g.failOn, "fail-on", nil, "severities that no vulnerability may have, as in critical,high")
}

func (g *gateFlags) check(scanners []string) error {
	if g.maxSize != "" {
		n, err := config.ParseSize(g.maxSize)
		if err != nil {
			return usage("write it like 200MB or 1.5GiB", "--max-size: %v", err)
		}
		g.image.MaxSize = &n
	}
	if g.minEfficiency != "" {
		n, err := strconv.ParseFloat(g.minEfficiency, 64)
		if err != nil || !(n >= 0 && n <= 1) {
			return usage("for example 0.95", "--min-efficiency: %q is not between 0 and 1", g.minEfficiency)
		}
		g.image.LowestEfficiency = &n
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

// judge checks the limits. What could not be looked at has not passed.
func (g *gateFlags) judge(answer *api.BuildReport, a *image.Analysis) {
	add := func(name string, ok bool, format string, args ...any) {
		answer.Gates = append(answer.Gates, api.BuildGate{Gate: name, OK: ok, Text: fmt.Sprintf(format, args...)})
	}
	for _, r := range g.image.Check(a) {
		switch r.Name {
		case "maxSize":
			add("max-size", r.OK, "%s unpacked, of %s at most", bytes(int64(r.Actual)), bytes(int64(r.Limit)))
		case "lowestEfficiency":
			add("min-efficiency", r.OK, "%.1f%%, of %.1f%% at least", r.Actual*100, r.Limit*100)
		}
	}
	if len(g.severities) > 0 {
		count := map[string]int{}
		for _, f := range answer.Scan.Findings {
			count[f.Severity]++
		}
		total, words := 0, []string{}
		for _, s := range g.severities {
			total += count[string(s)]
			words = append(words, fmt.Sprintf("%d %s", count[string(s)], s))
		}
		if answer.Scan.Scanner == "" {
			add("fail-on", false, "the image was not scanned")
		} else {
			add("fail-on", total == 0, "%s", strings.Join(words, ", "))
		}
	}
	if answer.Smoke != nil {
		var failed []string
		for _, c := range answer.Smoke.Checks {
			if c.State == string(smoke.Failed) {
				failed = append(failed, c.Name)
			}
		}
		switch {
		case answer.Smoke.Problem != "":
			add("smoke", false, "it could not be run")
		case len(failed) > 0:
			add("smoke", false, "failed: %s", strings.Join(failed, ", "))
		default:
			add("smoke", true, "passed")
		}
	}
}

// smokeFlags say how the image is tried.
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
