package buildkit

import (
	"os"
	"path/filepath"
	"runtime"
)

// An Env is the environment in which builders are looked for. It is passed in, so that nothing
// in this package reads that of the process but [SystemEnv].
type Env struct {
	Getenv func(string) string
	Home   string // the user's home directory; "" if there is none
	OS     string // as runtime.GOOS
	UID    int    // -1 on systems without user IDs
}

// SystemEnv returns the environment of the process.
func SystemEnv() Env {
	home, err := os.UserHomeDir()
	if err != nil {
		home = ""
	}
	return Env{Getenv: os.Getenv, Home: home, OS: runtime.GOOS, UID: os.Getuid()}
}

// dockerDir returns the directory of the docker command's configuration, "" if there is none.
func (e Env) dockerDir() string {
	if dir := e.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	return e.inHome(".docker")
}

// buildxDir returns the directory of buildx's state (buildx: util/confutil), "" if there is
// none.
func (e Env) buildxDir() string {
	if dir := e.Getenv("BUILDX_CONFIG"); dir != "" {
		return dir
	}
	if dir := e.dockerDir(); dir != "" {
		return filepath.Join(dir, "buildx")
	}
	return ""
}

// inHome joins elem to the home directory, and returns "" if there is none.
func (e Env) inHome(elem ...string) string {
	if e.Home == "" {
		return ""
	}
	return filepath.Join(append([]string{e.Home}, elem...)...)
}
