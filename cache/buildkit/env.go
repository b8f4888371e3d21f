package buildkit

import (
	"os"
	"path/filepath"
	"runtime"
)

// Env is what discovery knows of the user's surroundings. It is handed in so
// that nothing here reads the process's own.
type Env struct {
	Getenv func(string) string
	Home   string // the user's home directory; "" if there is none
	OS     string // as runtime.GOOS
	UID    int    // -1 where there is none
}

// SystemEnv returns the process's own surroundings.
func SystemEnv() Env {
	home, err := os.UserHomeDir()
	if err != nil {
		home = ""
	}
	return Env{Getenv: os.Getenv, Home: home, OS: runtime.GOOS, UID: os.Getuid()}
}

// dockerDir is the directory of the docker command's configuration.
func (e Env) dockerDir() string {
	if dir := e.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	return e.inHome(".docker")
}

// buildxDir is the directory of buildx's state (buildx: util/confutil).
func (e Env) buildxDir() string {
	if dir := e.Getenv("BUILDX_CONFIG"); dir != "" {
		return dir
	}
	if dir := e.dockerDir(); dir != "" {
		return filepath.Join(dir, "buildx")
	}
	return ""
}

// inHome joins elem to the home directory, and gives "" without one.
func (e Env) inHome(elem ...string) string {
	if e.Home == "" {
		return ""
	}
	return filepath.Join(append([]string{e.Home}, elem...)...)
}
