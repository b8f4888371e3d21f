package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSecondSignalEnds: who asks a second time is not kept waiting by what does not end
// at the first, here output that nobody reads.
func TestSecondSignalEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY . /\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 { // more than a pipe holds
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(strings.Repeat("long", 20), i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd := exec.Command(program, "context", "ls", "--json", dir)
		cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + dir, "XDG_STATE_HOME=" + dir}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // it writes, and will wait
			t.Fatal(err)
		}
		ended := make(chan *os.ProcessState, 1)
		go func() {
			state, _ := cmd.Process.Wait()
			ended <- state
		}()
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(200 * time.Millisecond)
		select {
		case state := <-ended:
			t.Errorf("%v: one is enough to break the output: %v", sig, state)
			continue
		case <-tick.C:
		}
		deadline := time.After(patience)
		for state := (*os.ProcessState)(nil); state == nil; {
			_ = cmd.Process.Signal(sig) // the program may not have come to heed the next one yet
			select {
			case state = <-ended:
				if got := state.Sys().(syscall.WaitStatus); !got.Signaled() || got.Signal() != sig {
					t.Errorf("%v: after a second one the program ended with %v", sig, state)
				}
			case <-tick.C:
			case <-deadline:
				_ = cmd.Process.Kill()
				t.Fatalf("%v: a second one does not end the program", sig)
			}
		}
		tick.Stop()
	}
}
