package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A Discovery says what came of looking for a builder.
type Discovery struct {
	// Builders are those that answered: the nodes of the first place where
	// one did, the one to solve on first. Empty if there is none.
	Builders []*Builder
	// Attempts are the places that were tried in vain, in order.
	Attempts []Attempt
	// Sockets are the paths of sockets at which a better or the first builder
	// may appear: what is worth waiting for, instead of asking again.
	Sockets []string
	// Unseen reports that an address was tried which is no socket: nothing
	// shows when a builder comes up there.
	Unseen bool
}

// An Attempt is one place where no builder answered.
type Attempt struct {
	Place  string // "docker context default", "buildx builder ci", …
	Reason string // in a few words
}

// Problem says in one line what was tried; "" if a builder was found.
func (d Discovery) Problem() string {
	if len(d.Builders) > 0 {
		return ""
	}
	if len(d.Attempts) == 0 {
		return "no builder: no place to look at"
	}
	tried := make([]string, len(d.Attempts))
	for i, a := range d.Attempts {
		tried[i] = fmt.Sprintf("%s (%s)", a.Place, a.Reason)
	}
	return "no builder answers: tried " + strings.Join(tried, ", ")
}

// Hint says how to mend it; "" if a builder was found.
func (d Discovery) Hint() string {
	if len(d.Builders) > 0 {
		return ""
	}
	for _, a := range d.Attempts {
		switch {
		case strings.Contains(a.Reason, "permission denied"):
			return "your user may not open " + a.Place + ": join its group (often `docker`), then log in again"
		case strings.Contains(a.Reason, "certificate"):
			return "check the certificates of " + a.Place
		}
	}
	return "start Docker, or a BuildKit and set BUILDKIT_HOST to its address; stoker takes it up by itself"
}

// Discover looks for the builder that the user's builds run on and connects.
// explicit is what the user asked for: docker, buildx:NAME or an address; with
// "" or auto it looks where the docker command and buildx would, then at
// BUILDKIT_HOST and the usual sockets. An error means that explicit makes no
// sense; that no builder is there is none. The caller closes the builders.
func Discover(ctx context.Context, env Env, explicit string) (Discovery, error) {
	places, err := env.places(explicit)
	if err != nil {
		return Discovery{}, err
	}
	var d Discovery
	tried := map[string]bool{}
	for _, p := range places {
		d.addSockets(p)
		if p.problem != "" {
			d.Attempts = append(d.Attempts, Attempt{p.name, p.problem})
			continue
		}
		for _, c := range p.nodes {
			if tried[c.id()] {
				continue
			}
			tried[c.id()] = true
			b, err := connect(ctx, env, c)
			if err != nil {
				if ctx.Err() != nil {
					d.close()
					return Discovery{}, context.Cause(ctx)
				}
				if !p.quiet || !errors.Is(err, fs.ErrNotExist) && !isAbsent(err) {
					d.Attempts = append(d.Attempts, Attempt{c.place(p), reason(err)})
				}
				continue
			}
			d.Builders = append(d.Builders, b)
		}
		if len(d.Builders) > 0 {
			return d, nil
		}
	}
	if !slices.ContainsFunc(places, func(p place) bool { return !p.quiet }) || len(d.Attempts) == 0 {
		d.Attempts = append(d.Attempts, Attempt{"the usual sockets", "none is there"})
	}
	return d, nil
}

func (d *Discovery) close() {
	for _, b := range d.Builders {
		b.Close()
	}
}

func (d *Discovery) addSockets(p place) {
	for _, c := range p.nodes {
		path, ok := strings.CutPrefix(c.address, "unix://")
		if ok && !slices.Contains(d.Sockets, path) {
			d.Sockets = append(d.Sockets, path)
		}
		d.Unseen = d.Unseen || !ok
	}
}

// A place is one way to a builder, with the addresses of its nodes.
type place struct {
	name    string // for people
	nodes   []candidate
	problem string // why it cannot be tried
	quiet   bool   // nobody asked for it: not worth a word if it is absent
}

// places returns where to look, in order.
func (e Env) places(explicit string) ([]place, error) {
	switch {
	case explicit == "" || explicit == "auto":
	case explicit == "docker":
		return []place{e.dockerPlace()}, nil
	case strings.HasPrefix(explicit, "buildx:"):
		name := strings.TrimPrefix(explicit, "buildx:")
		if p, ok := e.buildxPlace(name); ok {
			return []place{p}, nil
		}
		return []place{{name: "buildx builder " + name, problem: "buildx knows no such builder"}}, nil
	default:
		c, err := addressCandidate(explicit, explicit, "buildkit")
		if err != nil {
			return nil, err
		}
		return []place{{name: c.address, nodes: []candidate{c}}}, nil
	}
	var all []place
	// A builder that the user chose in buildx is what `docker build` uses;
	// with none chosen it uses the engine itself.
	if name := e.currentBuildx(); name != "" {
		if p, ok := e.buildxPlace(name); ok {
			all = append(all, p)
		}
	}
	docker := e.dockerPlace()
	if e.Getenv("DOCKER_HOST") != "" {
		all = append([]place{docker}, all...)
	} else {
		all = append(all, docker)
	}
	if host := e.Getenv("BUILDKIT_HOST"); host != "" {
		p := place{name: "BUILDKIT_HOST"}
		c, err := addressCandidate(host, host, "buildkit")
		if err != nil {
			p.problem = err.Error()
		} else {
			p.nodes = []candidate{c}
		}
		all = append(all, p)
	}
	return append(all, e.wellKnown()...), nil
}

// wellKnown are the sockets at which BuildKit and Docker listen when nobody
// says otherwise.
func (e Env) wellKnown() []place {
	var all []place
	add := func(kind string, paths ...string) {
		for _, path := range paths {
			if path != "" {
				c := candidate{name: "unix://" + path, kind: kind, address: "unix://" + path}
				all = append(all, place{name: path, nodes: []candidate{c}, quiet: true})
			}
		}
	}
	if e.OS == "windows" {
		return nil
	}
	add("buildkit", "/run/buildkit/buildkitd.sock")
	if run := e.Getenv("XDG_RUNTIME_DIR"); run != "" {
		add("buildkit", run+"/buildkit/buildkitd.sock")
		add("docker", run+"/docker.sock")
	} else if e.UID > 0 {
		add("buildkit", fmt.Sprintf("/run/user/%d/buildkit/buildkitd.sock", e.UID))
		add("docker", fmt.Sprintf("/run/user/%d/docker.sock", e.UID))
	}
	add("docker", "/var/run/docker.sock", e.inHome(".docker", "run", "docker.sock"), e.inHome(".docker", "desktop", "docker.sock"),
		e.inHome(".colima", "default", "docker.sock"), e.inHome(".orbstack", "run", "docker.sock"),
		e.inHome(".rd", "docker.sock"), e.inHome(".lima", "default", "sock", "docker.sock"))
	return all
}
