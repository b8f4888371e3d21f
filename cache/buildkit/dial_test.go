package buildkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCAThatCannotBeRead has an authority that was named, and must not be passed over
// for those of the system.
func TestCAThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	empty, folder := filepath.Join(dir, "empty.pem"), filepath.Join(dir, "folder.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for ca, want := range map[string]string{
		"": "", filepath.Join(dir, "none.pem"): "", empty: "its ca.pem holds no certificate", folder: "read its ca.pem: ",
	} {
		_, err := candidate{tls: tlsFiles{ca: ca}}.tlsDialer("engine:2376")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", ca, err, want)
		}
	}
}
