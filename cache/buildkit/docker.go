package buildkit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
)

// dockerPlace is the engine that the docker command talks to: DOCKER_HOST,
// else DOCKER_CONTEXT, else the configured context, else the default socket
// (docker/cli: cli/command/cli.go).
func (e Env) dockerPlace() place {
	if host := e.Getenv("DOCKER_HOST"); host != "" {
		return e.enginePlace("DOCKER_HOST", "docker", host, e.envTLS())
	}
	name := e.dockerContext()
	if name == "default" {
		return e.enginePlace("docker", "docker", e.defaultEngine(), "")
	}
	return e.contextPlace(name)
}

// dockerContext returns the name of the current docker context.
func (e Env) dockerContext() string {
	if e.Getenv("DOCKER_HOST") != "" {
		return "default"
	}
	if name := e.Getenv("DOCKER_CONTEXT"); name != "" {
		return name
	}
	var file struct {
		CurrentContext string `json:"currentContext"`
	}
	if data, err := os.ReadFile(filepath.Join(e.dockerDir(), "config.json")); err == nil {
		// A file that does not parse names no context; docker warns of it.
		_ = json.Unmarshal(data, &file)
	}
	if file.CurrentContext == "" {
		return "default"
	}
	return file.CurrentContext
}

func (e Env) defaultEngine() string {
	if e.OS == "windows" {
		return "npipe:////./pipe/docker_engine"
	}
	return "unix:///var/run/docker.sock"
}

// envTLS is the directory of certificates that goes with DOCKER_HOST.
func (e Env) envTLS() string {
	if e.Getenv("DOCKER_TLS_VERIFY") == "" && e.Getenv("DOCKER_TLS") == "" {
		return ""
	}
	if dir := e.Getenv("DOCKER_CERT_PATH"); dir != "" {
		return dir
	}
	return e.dockerDir()
}

// contextPlace reads a docker context from where the docker command stores it:
// under the digest of its name (docker/cli: cli/context/store).
func (e Env) contextPlace(name string) place {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	title := "docker context " + name
	data, err := os.ReadFile(filepath.Join(e.dockerDir(), "contexts", "meta", id, "meta.json"))
	if err != nil {
		return place{name: title, problem: "docker knows no such context"}
	}
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := json.Unmarshal(data, &meta); err != nil {
		return place{name: title, problem: "its meta.json does not parse"}
	}
	host := meta.Endpoints["docker"].Host
	if host == "" {
		return place{name: title, problem: "it has no docker endpoint"}
	}
	tls := filepath.Join(e.dockerDir(), "contexts", "tls", id, "docker")
	if _, err := os.Stat(tls); err != nil {
		tls = ""
	}
	return e.enginePlace(title, name, host, tls)
}

func (e Env) enginePlace(title, name, host, tls string) place {
	c, err := addressCandidate(name, host, "docker")
	if err != nil {
		return place{name: title, problem: err.Error()}
	}
	if tls != "" {
		c.tls = tlsFiles{
			ca:   filepath.Join(tls, "ca.pem"),
			cert: filepath.Join(tls, "cert.pem"),
			key:  filepath.Join(tls, "key.pem"),
		}
	}
	return place{name: title, nodes: []candidate{c}}
}
