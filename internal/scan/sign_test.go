package scan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/scan"
)

// TestCosign: what cosign is asked, in a folder of its own, and what its answers mean.
func TestCosign(t *testing.T) {
	const image = "registry.example/shop@sha256:0123"
	o := tools(t, map[string]string{"cosign": `echo "$PWD $*" >>"$LOG"
case "$*" in *stranger*) echo "Error: none of the expected identities matched" >&2; exit 12 ;; esac`})
	ask := map[string]func() error{
		"sign --yes " + image:                  func() error { return scan.Sign(t.Context(), o.Environ, image, "") },
		"sign --yes --key k.key " + image:      func() error { return scan.Sign(t.Context(), o.Environ, image, "k.key") },
		"verify --key awskms:///ours " + image: func() error { return scan.Verify(t.Context(), o.Environ, image, scan.Signer{By: "awskms:///ours"}) },
		"verify --certificate-identity ada@shop.example --certificate-oidc-issuer https://id.example " + image: func() error {
			return scan.Verify(t.Context(), o.Environ, image, scan.Signer{By: "ada@shop.example", Issuer: "https://id.example"})
		},
	}
	log := filepath.Join(filepath.SplitList(strings.TrimPrefix(o.Environ[0], "PATH="))[0], "log")
	for want, do := range ask {
		if err := os.RemoveAll(log); err != nil {
			t.Fatal(err)
		}
		if err := do(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		said, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		dir, args, _ := strings.Cut(strings.TrimSpace(string(said)), " ")
		if args != want || !strings.Contains(filepath.Base(dir), "stoker-sign-") {
			t.Errorf("cosign was asked %q in %s, want %q", args, dir, want)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
	err := scan.Verify(t.Context(), o.Environ, image, scan.Signer{By: "stranger", Issuer: "https://id.example"})
	if err == nil || err.Error() != "cosign verify: failed with exit status 12: Error: none of the expected identities matched" {
		t.Errorf("signed by another one: %v", err)
	}
	if err := scan.CanSign([]string{"PATH=" + t.TempDir()}); err == nil {
		t.Error("there is no cosign, and it could sign")
	}
}
