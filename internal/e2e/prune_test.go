package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

// TestPrune makes two states of a build and one of a stranger's, and has what is cold removed: the
// state that nothing needs any more, and nothing else.
func TestPrune(t *testing.T) {
	t.Parallel()
	newUser(t, `prewarm: {level: "off"}`+"\n").prunes()
}

// TestPruneEngine is that on a Docker Engine.
func TestPruneEngine(t *testing.T) {
	t.Parallel()
	newEngineUser(t, `prewarm: {level: "off"}`+"\n").prunes()
}

// TestPruneOldEngine: where images are kept as before Docker 29, too, what they are made of stays while they are there.
func TestPruneOldEngine(t *testing.T) {
	t.Parallel()
	u := newOldEngineUser(t, `prewarm: {level: "off"}`+"\n")
	u.shop()
	u.must("up", "--allow")
	for n, text := range []string{"console.log('one');\n", "console.log('two');\n"} {
		u.write("src/index.js", text)
		u.build(".")
		u.awaitBuilds("api", n+1)
	}
	kept := read[api.Prune](u, "prune", "--older", "1ms")
	if kept.Remove.Records != 0 || kept.Shared.Records < 8 || kept.Shared.Bytes == 0 {
		t.Errorf("while the images are there: %+v", summary(kept))
	}
	if text := u.must("prune", "--older", "1ms"); !strings.Contains(text, "are in images of Docker, too") {
		t.Errorf("prune prints\n%s", text)
	}
	u.engineAPI(http.MethodPost, "/images/prune") // those without a name, as docker build left them
	shown := read[api.Prune](u, "prune", "--older", "1ms")
	if shown.Remove.Records != 3 || shown.Shared.Records != 0 {
		t.Errorf("without the images: %+v", summary(shown))
	}
	gone := read[api.Prune](u, "prune", "--older", "1ms", "--yes")
	if gone.Removed == nil || gone.Removed.Records != 3 || gone.Remove.Records != 0 {
		t.Errorf("three records went, it says %+v", summary(gone))
	}
	if got := u.build("."); got.hits() != len(got) || len(got) != 5 {
		t.Errorf("after pruning, the build of what is there: %v; want five hits", got)
	}
}

func (u *user) prunes() {
	t := u.t
	u.shop()
	u.must("up", "--allow")
	old, err := os.ReadFile(filepath.Join(u.dir, "src/index.js"))
	if err != nil {
		t.Fatal(err)
	}
	u.buildOnly(".")
	u.awaitBuilds("api", 1)
	u.write("src/index.js", "console.log('the second state');\n")
	u.buildOnly(".")
	u.awaitBuilds("api", 2)
	stranger := filepath.Join(filepath.Dir(u.dir), "stranger")
	if err := os.MkdirAll(stranger, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(stranger, "Dockerfile"), []byte("FROM node:20\nRUN echo of somebody else\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	u.buildOnly(stranger)

	if cold := read[api.Prune](u, "prune"); cold.Remove.Records != 0 || cold.Held.Records == 0 || cold.Needed.Records < 5 {
		t.Errorf("a cache of the last minute: %+v", summary(cold))
	}
	shown := read[api.Prune](u, "prune", "--older", "1ms")
	steps := map[string]int{} // that go, by instruction
	for _, r := range shown.Records {
		if r.Remove && (r.Owner == nil || r.Owner.Definition != "api" || r.Owner.Repository != u.dir || r.Needed || r.InUse) {
			t.Errorf("%+v goes", r)
		}
		if r.Remove {
			_, instruction, _ := strings.Cut(r.Owner.Step, "] ")
			steps[instruction]++
		}
	}
	// What comes before COPY . . is equal in both states.
	if len(steps) != 3 || steps["COPY . ."] != 1 || steps["RUN npm ci"] != 1 || steps["RUN npm run build"] != 1 {
		t.Errorf("these go: %v", steps)
	}
	if !slices.ContainsFunc(shown.Others, func(k api.PruneKind) bool { return k.Kind == "step" }) {
		t.Errorf("the stranger's step is not among others: %+v", shown.Others)
	}
	text := u.must("prune", "--older", "1ms")
	t.Log("\n" + text)
	if !strings.Contains(text, "would remove") || !strings.Contains(text, "RUN npm ci") {
		t.Errorf("prune prints\n%s", text)
	}

	if out, status := u.stoker(t.Context(), "prune", "--all", "--older", "1ms", "--yes"); status != 2 || !strings.Contains(out, "nothing was removed") {
		t.Errorf("without a typed yes: exit status %d\n%s", status, out)
	}
	gone := read[api.Prune](u, "prune", "--older", "1ms", "--yes")
	if gone.Removed == nil || gone.Removed.Records != 3 || gone.Remove.Records != 0 {
		t.Errorf("three records went, it says %+v", summary(gone))
	}
	if got := u.buildOnly("."); got.hits() != len(got) || len(got) != 5 {
		t.Errorf("after pruning, the build of what is there: %v; want five hits", got)
	}
	if got := u.buildOnly(stranger); got.hits() != len(got) {
		t.Errorf("the stranger's build: %v; want hits", got)
	}
	u.write("src/index.js", string(old))
	if got := u.buildOnly("."); got.hits() != 2 {
		t.Errorf("the state that was pruned: %v; want two hits", got)
	}
	u.checkKeep()
	u.checkTypedYes(stranger)
}

// checkKeep has no more removed than makes the cache as small as asked for, and nothing that the next
// build takes, however small that is. One state is cold: that of the build before.
func (u *user) checkKeep() {
	u.t.Helper()
	u.awaitBuilds("api", 4)
	if large := read[api.Prune](u, "prune", "--keep", "1TB", "--yes"); large.Remove.Records != 0 || large.Removed != nil {
		u.t.Errorf("a cache that is small enough: %+v", summary(large))
	}
	before := read[api.Prune](u, "prune", "--keep", "1B")
	after := read[api.Prune](u, "prune", "--keep", "1B", "--yes")
	if after.Removed == nil || after.Removed.Records != 3 || after.Held.Bytes != before.Held.Bytes-after.Removed.Bytes {
		u.t.Errorf("of %+v went %+v, which left %+v", summary(before), after.Removed, summary(after))
	}
	if got := u.buildOnly("."); got.hits() != len(got) {
		u.t.Errorf("after pruning to nothing, the build of what is there: %v; want hits", got)
	}
}

// checkTypedYes has what nothing explains removed, which the stranger's build then misses.
func (u *user) checkTypedYes(stranger string) {
	u.t.Helper()
	u.awaitBuilds("api", 5)
	cmd := u.command(u.t.Context(), program, "prune", "--all", "--older", "1ms", "--yes")
	cmd.Stdin = strings.NewReader("yes\n")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "type yes to remove") || !strings.Contains(string(out), "\nremoved ") {
		u.t.Errorf("with a typed yes: %v\n%s", err, out)
	}
	if got := u.buildOnly("."); got.hits() != len(got) {
		u.t.Errorf("after everything else was pruned: %v; want hits", got)
	}
	if got := u.buildOnly(stranger); got.hits() != 0 {
		u.t.Errorf("the stranger's build, which was pruned: %v; want no hit", got)
	}
}

// buildOnly builds, and on an Engine removes the image, which would keep what it is made of from being pruned.
func (u *user) buildOnly(dir string) steps {
	u.t.Helper()
	seen := u.build(dir)
	if u.engine {
		u.engineAPI(http.MethodPost, "/images/prune")
	}
	return seen
}

// summary leaves the records out.
func summary(p api.Prune) api.Prune {
	p.Records = nil
	return p
}
