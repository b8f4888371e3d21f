package image

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// Config says how containers of the image run. It exports no values of environment variables.
type Config struct {
	User        string // "" is root
	Entrypoint  []string
	Cmd         []string
	WorkingDir  string
	Exposed     []string // "3000/tcp"
	Volumes     []string
	Env         []string // names
	Labels      map[string]string
	StopSignal  string
	Healthcheck string // the command; "none" if it was switched off; "" if there is none
	OnBuild     int    // number of the instructions that a build from this image runs first

	env map[string]string // values by name, to compare and search for secrets; never leaves this package
}

func configOf(c dockerspec.DockerOCIImage) Config {
	out := Config{
		User: c.Config.User, Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd, WorkingDir: c.Config.WorkingDir,
		Exposed: slices.Sorted(maps.Keys(c.Config.ExposedPorts)), Volumes: slices.Sorted(maps.Keys(c.Config.Volumes)),
		Labels: c.Config.Labels, StopSignal: c.Config.StopSignal, OnBuild: len(c.Config.OnBuild), env: map[string]string{},
	}
	for _, pair := range c.Config.Env {
		name, value, _ := strings.Cut(pair, "=")
		out.Env = append(out.Env, name)
		out.env[name] = value
	}
	if h := c.Config.Healthcheck; h != nil && len(h.Test) > 0 {
		switch h.Test[0] {
		case "NONE":
			out.Healthcheck = "none"
		case "CMD", "CMD-SHELL":
			out.Healthcheck = strings.Join(h.Test[1:], " ")
		default:
			out.Healthcheck = strings.Join(h.Test, " ")
		}
	}
	return out
}

// IsRoot reports whether containers run as root unless told otherwise.
func (c Config) IsRoot() bool {
	user, _, _ := strings.Cut(c.User, ":")
	return user == "" || user == "0" || user == "root"
}

// larger orders by size, the largest first, then by name.
func larger(x, y int64, xName, yName string) int {
	return cmp.Or(cmp.Compare(y, x), strings.Compare(xName, yName))
}
