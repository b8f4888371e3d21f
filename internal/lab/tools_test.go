package lab_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/lab"
)

// TestProgramsReportTheirVersion: stoker shows a builder's version, so the lab's builder must have one.
func TestProgramsReportTheirVersion(t *testing.T) {
	if bin := os.Getenv(lab.EnvBin); bin != "" {
		t.Skipf("%s is set: the programs in %s are not compiled by the lab", lab.EnvBin, bin)
	}
	mod, err := os.ReadFile("tools/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`github\.com/moby/buildkit (v\S+)`).FindSubmatch(mod)
	if pinned == nil {
		t.Fatal("tools/go.mod does not pin buildkit")
	}
	buildctl, err := lab.Buildctl(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), buildctl, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := string(pinned[1]); !strings.Contains(string(out), want) {
		t.Errorf("buildctl says it is %q, want version %s", out, want)
	}
}
