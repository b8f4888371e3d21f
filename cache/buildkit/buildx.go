package buildkit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// currentBuildx returns the name of the builder that the user chose in buildx,
// "" for none: BUILDX_BUILDER, else what `docker buildx use` left for this
// docker endpoint (buildx: store/store.go, Current).
func (e Env) currentBuildx() string {
	if name := e.Getenv("BUILDX_BUILDER"); name != "" {
		return name
	}
	dir := e.buildxDir()
	if dir == "" {
		return ""
	}
	key := e.endpointKey()
	var current struct {
		Key, Name string
		Global    bool
	}
	if data, err := os.ReadFile(filepath.Join(dir, "current")); err == nil {
		// What does not parse chooses nothing, as in buildx.
		_ = json.Unmarshal(data, &current)
	}
	if current.Name != "" {
		if current.Global || current.Key == key {
			return current.Name
		}
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	name, err := os.ReadFile(filepath.Join(dir, "defaults", hex.EncodeToString(sum[:])))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

// endpointKey is what buildx files its choice under: the docker host for the
// default context, else the context's name.
func (e Env) endpointKey() string {
	if host := e.Getenv("DOCKER_HOST"); host != "" {
		return host
	}
	if name := e.dockerContext(); name != "default" {
		return name
	}
	return e.defaultEngine()
}

// A nodeGroup is a builder as buildx stores it under instances/<name>.
type nodeGroup struct {
	Name   string
	Driver string
	Nodes  []struct {
		Name       string
		Endpoint   string
		DriverOpts map[string]string
	}
}

// buildxPlace returns the nodes of the builder that buildx knows as name,
// false if it knows none. A name without an instance is that of a docker
// context, which buildx offers as a builder too.
func (e Env) buildxPlace(name string) (place, bool) {
	title := "buildx builder " + name
	if strings.ContainsAny(name, `/\`) {
		return place{}, false
	}
	data, err := os.ReadFile(filepath.Join(e.buildxDir(), "instances", name))
	if err != nil {
		if name == "default" {
			return e.dockerPlace(), true
		}
		p := e.contextPlace(name)
		return p, p.problem == ""
	}
	var group nodeGroup
	if err := json.Unmarshal(data, &group); err != nil {
		return place{name: title, problem: "its file under instances does not parse"}, true
	}
	p := place{name: title}
	for _, n := range group.Nodes {
		label := name
		if len(group.Nodes) > 1 {
			label += "/" + n.Name
		}
		c := candidate{name: label, kind: group.Driver}
		switch group.Driver {
		case "docker-container":
			c.address = containerAddress(n.Name, n.Endpoint)
			c.dockerHost = hostEndpoint(n.Endpoint)
		case "remote":
			c.address = n.Endpoint
			c.tls = tlsFiles{
				ca: n.DriverOpts["cacert"], cert: n.DriverOpts["cert"], key: n.DriverOpts["key"],
				serverName: n.DriverOpts["servername"],
			}
		case "docker":
			inner := e.contextPlace(n.Endpoint)
			if inner.problem != "" {
				return e.dockerPlace(), true
			}
			return inner, true
		default: // kubernetes, cloud: buildx itself knows the way
			c.address = "buildx://" + url.PathEscape(name)
		}
		p.nodes = append(p.nodes, c)
		if strings.HasPrefix(c.address, "buildx://") {
			break // dial-stdio picks the node
		}
	}
	if len(p.nodes) == 0 {
		p.problem = "it has no nodes"
	}
	return p, true
}

// containerAddress is the way into the container that buildx runs a node in
// (buildx: driver/docker-container).
func containerAddress(node, endpoint string) string {
	address := "docker-container://buildx_buildkit_" + node
	if endpoint != "" && endpoint != "default" && hostEndpoint(endpoint) == "" {
		address += "?context=" + url.QueryEscape(endpoint)
	}
	return address
}

// hostEndpoint returns the endpoint if it is an engine's address rather than
// the name of a context.
func hostEndpoint(endpoint string) string {
	if strings.Contains(endpoint, "://") {
		return endpoint
	}
	return ""
}
