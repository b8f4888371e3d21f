package buildkit

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A Discovery is the outcome of looking for a builder.
type Discovery struct {
	// Builders are the nodes that answered, of the first place where one did; the
	// first of them is the one to solve on. Empty if no builder was found.
	Builders []*Builder
	// Attempts are the places that were tried in vain, in order.
	Attempts []Attempt
	// Sockets are the paths of the sockets that were tried. Where one appears, a
	// builder may have come up, or one that goes before the one that was found.
	Sockets []string
	// Unseen reports that an address was tried which is no such socket: only another
	// Discover can tell whether a builder has come up there.
	Unseen bool
}

// An Attempt is one place where no builder answered.
type Attempt struct {
	Place  string // such as "docker context default" or "buildx builder ci"
	Reason string // in a few words
}

// Problem says in one line which places were tried, and why in vain; "" if a builder was
// found.
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

// Hint says what the user can do about it; "" if a builder was found.
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

// Discover finds the builder that the user's builds run on and connects to it. explicit
// is what the user asked for: docker, buildx:NAME or an address; for "" or auto it tries
// what the docker command and buildx would use, then BUILDKIT_HOST, then the usual
// sockets. It returns an error if explicit is malformed or ctx ends, but not if there is
// no builder. The caller closes the builders.
func Discover(ctx context.Context, env Env, explicit string) (Discovery, error) {
	places, err := env.places(explicit)
	if err != nil {
		return Discovery{}, err
	}
	var d Discovery
	tried := map[string]bool{} // by candidate.id
	for _, p := range places {
		if err := d.try(ctx, env, p, tried); err != nil {
			return Discovery{}, err
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

// try connects to the nodes of a place that were not tried yet, and notes them as such. An
// error means that ctx has ended; then no builder is left open.
func (d *Discovery) try(ctx context.Context, env Env, p place, tried map[string]bool) error {
	d.addSockets(p)
	if p.problem != "" {
		d.Attempts = append(d.Attempts, Attempt{p.name, p.problem})
		return nil
	}
	for _, c := range p.nodes {
		if tried[c.id()] {
			continue
		}
		tried[c.id()] = true
		b, err := connect(ctx, env, c)
		switch {
		case err == nil:
			d.Builders = append(d.Builders, b)
		case ctx.Err() != nil:
			d.close()
			return context.Cause(ctx)
		case !p.quiet || !isAbsent(err):
			d.Attempts = append(d.Attempts, Attempt{c.place(p), reason(err)})
		}
	}
	return nil
}

// close closes the connections to all builders.
func (d *Discovery) close() {
	for _, b := range d.Builders {
		b.Close()
	}
}

// addSockets adds the place to Sockets and Unseen.
func (d *Discovery) addSockets(p place) {
	for _, c := range p.nodes {
		path, ok := strings.CutPrefix(c.address, "unix://")
		if ok && !slices.Contains(d.Sockets, path) {
			d.Sockets = append(d.Sockets, path)
		}
		d.Unseen = d.Unseen || !ok
	}
}

// A place is where a builder may be found. One that buildx manages has an address for
// each of its nodes.
type place struct {
	name    string // shown to the user
	nodes   []candidate
	problem string // why it cannot be tried; "" if it can
	quiet   bool   // the user did not choose it, and need not hear that nothing is there
}

// places returns the places to try, in order: see [Discover].
func (e Env) places(explicit string) ([]place, error) {
	switch {
	case explicit == "" || explicit == "auto":
		return e.usualPlaces(), nil
	case explicit == "docker":
		return []place{e.dockerPlace()}, nil
	case strings.HasPrefix(explicit, "buildx:"):
		name := strings.TrimPrefix(explicit, "buildx:")
		if p, ok := e.buildxPlace(name); ok {
			return []place{p}, nil
		}
		return []place{{name: "buildx builder " + name, problem: "buildx knows no such builder"}}, nil
	}
	c, err := addressCandidate(explicit, explicit, "buildkit")
	if err != nil {
		return nil, err
	}
	return []place{{name: c.address, nodes: []candidate{c}}}, nil
}

// usualPlaces returns the places to try if the user named none. `docker build` uses the
// builder that was chosen in buildx, or the Engine itself if none was.
func (e Env) usualPlaces() []place {
	var all []place
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
	return append(all, e.wellKnown()...)
}

// wellKnown returns the sockets at which BuildKit and common distributions of the Docker
// Engine listen by default.
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
