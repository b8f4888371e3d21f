package daemon_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictNodes: of a builder with two nodes, builds of both are recorded. What is predicted is
// about the first, which stoker's own builds run on: what only the other has is no hit, and what
// goes there stays one.
func TestPredictNodes(t *testing.T) {
	home, first, second := t.TempDir(), lab.Own(t).Address(), lab.Own(t).Address()
	write(t, filepath.Join(home, ".docker", "buildx", "instances", "two"), fmt.Sprintf(
		`{"Name": "two", "Driver": "remote", "Nodes": [{"Name": "two0", "Endpoint": %q}, {"Name": "two1", "Endpoint": %q}]}`, first, second))
	r := start(t, home, map[string]string{"BUILDX_BUILDER": "two"})
	r.connected()
	nonce := strings.ToLower(rand.Text())
	dir := repository(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY src /" + nonce + "\n", "src": nonce})
	src := filepath.Join(dir, "src")
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	one, other := walk{t: t, dir: dir, builder: dial(t, first)}, walk{t: t, dir: dir, builder: dial(t, second)}
	builds := 0
	build := func(w *walk, executed bool) {
		t.Helper()
		waitForClock(t)
		if ran := w.build(); ran["[1/1]"] != executed {
			t.Errorf("build %d ran %v, want the step executed: %v", builds, ran, executed)
		}
		builds++
		if repo := r.recorded(dir, w); repo.Definitions[0].Builds != builds {
			t.Errorf("%d builds are recorded, want %d", repo.Definitions[0].Builds, builds)
		}
	}
	prune := func(w *walk) {
		t.Helper()
		if err := w.builder.Prune(t.Context(), nil, client.PruneAll); err != nil {
			t.Fatal(err)
		}
	}
	r.predicts(dir, "before any build", "miss")
	build(&other, true)
	r.predicts(dir, "after a build on the other node", "miss")
	build(&one, true)
	r.predicts(dir, "after a build on the first node", "hit")
	prune(&other)
	r.predicts(dir, "with nothing on the other node", "hit")
	build(&one, false)
	build(&other, true)
	r.predicts(dir, "after the other node made it anew", "hit")
	write(t, src, nonce+"2")
	build(&other, true)
	r.predicts(dir, "with files that only the other node has built", "miss")
	write(t, src, nonce)
	r.predicts(dir, "with the files that both have built", "hit")
	build(&one, false)
	// The first node was sent other files last, and so sees an edit that the other does not.
	write(t, src, nonce+"2")
	build(&one, true)
	write(t, src, nonce)
	build(&other, false)
	sent, err := os.Stat(src)
	if err != nil {
		t.Fatal(err)
	}
	write(t, src, strings.ToUpper(nonce))
	if err := os.Chtimes(src, sent.ModTime(), sent.ModTime()); err != nil {
		t.Fatal(err)
	}
	r.predicts(dir, "after an edit that only the other node would not see", "miss")
	build(&one, true)
	prune(&one)
	r.predicts(dir, "with nothing on the first node", "miss")
	build(&one, true)
	r.predicts(dir, "after it was built there again", "hit")
}
