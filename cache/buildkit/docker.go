package buildkit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
)

// dockerPlace returns the Docker Engine that the docker command talks to: that of DOCKER_HOST,
// of DOCKER_CONTEXT, of the configured docker context, or at the default socket, in this order
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
		// docker ignores a file that does not parse, too, and warns of it.
		_ = json.Unmarshal(data, &file)
	}
	if file.CurrentContext == "" {
		return "default"
	}
	return file.CurrentContext
}

// defaultEngine returns the address at which a Docker Engine listens by default.
func (e Env) defaultEngine() string {
	if e.OS == "windows" {
		return "npipe:////./pipe/docker_engine"
	}
	return "unix:///var/run/docker.sock"
}

// envTLS returns the directory of the certificates for DOCKER_HOST, "" to connect without TLS.
func (e Env) envTLS() string {
	if e.Getenv("DOCKER_TLS_VERIFY") == "" && e.Getenv("DOCKER_TLS") == "" {
		return ""
	}
	if dir := e.Getenv("DOCKER_CERT_PATH"); dir != "" {
		return dir
	}
	return e.dockerDir()
}

// contextPlace returns the Docker Engine of a docker context, which the docker command stores
// in a directory named by the digest of its name (docker/cli: cli/context/store).
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

// enginePlace returns the Docker Engine at host, with the certificates in the directory tls
// unless that is "". title is the place's name, and name that of the builder.
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
