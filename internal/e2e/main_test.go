// Package e2e_test drives the built stoker, as a user does, against a real BuildKit: the commands
// are processes, the daemon is one, the builds come from another client.
//
// Each test has a lab of its own, because what is claimed is what the builder holds: in a shared
// one, another test's build could make a hit. Nothing waits for time to pass; what is waited for
// shows in `stoker status --watch --json`.
package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stokerd/stoker/internal/lab"
)

// program is the path of the built stoker, set once by TestMain.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "stoker-e2e")
	if err == nil {
		program = filepath.Join(dir, "stoker")
		err = compile(program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer os.RemoveAll(dir)
	lab.Main(m)
}

// compile builds stoker, with the race detector if these tests have it: the daemon is the part that
// needs it most, and the compiled packages are there already.
func compile(to string) error {
	args := []string{"build", "-o", to}
	if race {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "../../cmd/stoker")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile stoker: %w\n%s", err, out)
	}
	return nil
}
