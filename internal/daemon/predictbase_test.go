package daemon_test

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictAfterBaseMoved: once a build has used another image than the tag had when it was
// looked up, predictions go by the image of the build.
func TestPredictAfterBaseMoved(t *testing.T) {
	shared := lab.For(t)
	r := startOn(t, shared.Address())
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	base := "stokertest/moves:" + nonce
	push := func(text string) {
		t.Helper()
		img, err := lab.StandIn("node:20")
		if err == nil {
			img, err = lab.WithFiles(img, map[string]string{"/base": text})
		}
		if err == nil {
			_, err = shared.Push(t.Context(), base, img)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	push("one")
	write(t, filepath.Join(dir, "Dockerfile"), "FROM "+base+"\nRUN echo "+nonce+"\nCOPY src /"+nonce+"/\n")
	write(t, filepath.Join(dir, "src", "a"), "one")
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	other := walk{t: t, dir: dir, builder: dial(t, shared.Address())}
	built := func(want string) {
		t.Helper()
		ran := other.solve(client.SolveOpt{})
		r.recorded(dir, &other)
		var got []string
		for _, step := range []string{"[2/3]", "[3/3]"} {
			got = append(got, map[bool]string{true: "miss", false: "hit"}[ran[step]])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("built: %v, want %s", ran, want)
		}
	}
	r.predicts(dir, "at first", "miss miss")
	built("miss miss")
	push("two")
	built("miss miss")
	r.predicts(dir, "as built on another image", "hit hit")
	write(t, filepath.Join(dir, "src", "a"), "two")
	r.predicts(dir, "with another file", "hit miss")
	built("hit miss")
	r.predicts(dir, "as built with that file", "hit hit")
}
