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

// currentBuildx returns the name of the builder that the user chose in buildx, "" if there
// is none: BUILDX_BUILDER, or else the choice that `docker buildx use` stored for the
// current docker endpoint (buildx: store/store.go, Current).
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
		// buildx ignores a file that does not parse, too.
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

// endpointKey returns the key under which buildx stores the choice: the address of the
// Docker Engine for the default docker context, or else the context's name.
func (e Env) endpointKey() string {
	if host := e.Getenv("DOCKER_HOST"); host != "" {
		return host
	}
	if name := e.dockerContext(); name != "default" {
		return name
	}
	return e.defaultEngine()
}

// A nodeGroup is a builder as buildx stores it in the file instances/<name>.
type nodeGroup struct {
	Name   string
	Driver string
	Nodes  []buildxNode
}

// A buildxNode is one node of a [nodeGroup]. Its endpoint is the name of a docker context
// or an address.
type buildxNode struct {
	Name       string
	Endpoint   string
	DriverOpts map[string]string
}

// buildxScheme begins the address of a builder that only buildx can reach. Its name
// follows, escaped. No user writes such an address.
const buildxScheme = "buildx://"

// buildxPlace returns the builder that buildx knows by this name; false if there is none.
// A docker context is one too, by the context's name.
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
	if len(group.Nodes) == 0 {
		return place{name: title, problem: "it has no nodes"}, true
	}
	if group.Driver == "docker" {
		inner := e.contextPlace(group.Nodes[0].Endpoint)
		if inner.problem != "" {
			return e.dockerPlace(), true
		}
		return inner, true
	}
	return place{name: title, nodes: group.candidates(name)}, true
}

// candidates returns the nodes of the builder with this name, which has another driver than
// docker.
func (g nodeGroup) candidates(name string) []candidate {
	var list []candidate
	for _, n := range g.Nodes {
		c := candidate{name: name, kind: g.Driver}
		if len(g.Nodes) > 1 {
			c.name += "/" + n.Name
		}
		switch g.Driver {
		case "docker-container":
			c.address = containerAddress(n.Name, n.Endpoint)
			c.dockerHost = hostEndpoint(n.Endpoint)
		case "remote":
			c.address = n.Endpoint
			c.tls = tlsFiles{
				ca: n.DriverOpts["cacert"], cert: n.DriverOpts["cert"], key: n.DriverOpts["key"],
				serverName: n.DriverOpts["servername"],
			}
		default: // kubernetes, cloud and others, of which buildx chooses the node
			c.address = buildxScheme + url.PathEscape(name)
			return []candidate{c}
		}
		list = append(list, c)
	}
	return list
}

// containerAddress returns the address of the container in which buildx runs a node
// (buildx: driver/docker-container).
func containerAddress(node, endpoint string) string {
	address := "docker-container://buildx_buildkit_" + node
	if endpoint != "" && endpoint != "default" && hostEndpoint(endpoint) == "" {
		address += "?context=" + url.QueryEscape(endpoint)
	}
	return address
}

// hostEndpoint returns the endpoint if it is an Engine's address, "" if it is the name of
// a docker context.
func hostEndpoint(endpoint string) string {
	if strings.Contains(endpoint, "://") {
		return endpoint
	}
	return ""
}
