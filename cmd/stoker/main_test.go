package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// asStoker makes the test binary run as stoker.
const asStoker = "STOKER_TEST_AS_STOKER"

func TestMain(m *testing.M) {
	if os.Getenv(asStoker) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestNoForeignLog reads a compose file about which the library that parses it logs
// warnings, and checks that they are not printed.
func TestNoForeignLog(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"compose.yaml": "version: \"3\"\nservices:\n  web:\n    build: .\n    privileged: yes\n",
		"Dockerfile":   "FROM scratch\nCOPY Dockerfile /\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "context", "ls", "web")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = []string{asStoker + "=1", "HOME=" + dir, "XDG_RUNTIME_DIR=" + dir, "XDG_STATE_HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	if !bytes.HasPrefix(stdout.Bytes(), []byte("web ")) || stderr.Len() > 0 {
		t.Errorf("stdout:\n%s\nstderr:\n%s\nwant a line about web, and nothing on stderr", stdout.Bytes(), stderr.Bytes())
	}
}
