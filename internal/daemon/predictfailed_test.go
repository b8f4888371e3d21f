package daemon_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictAfterFailures: the steps that a build made before it failed are predicted to hit,
// whatever else the Dockerfile copies, mounts or downloads, and for whatever reason it failed.
func TestPredictAfterFailures(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a") }))
	defer server.Close()
	const made = "RUN echo NONCE\n"
	for _, tt := range []struct {
		name, fails, mended, want string
	}{
		{"an image that is copied from", made + "COPY --from=busybox /bin/busybox /NONCE\nRUN false # NONCE\n", "", "hit hit miss"},
		{"a link", made + "COPY --link Dockerfile /NONCE\nRUN false # NONCE\n", "", "hit hit miss"},
		{"a mount of an image", made + "RUN --mount=from=busybox,target=/m false # NONCE\n", "", "hit miss"},
		{"a download", made + "ADD " + server.URL + "/a /NONCE\nRUN false # NONCE\n", made + "RUN true # NONCE\n", "hit miss"},
		{"files that are not there", made + "RUN echo 2 NONCE\nCOPY none /NONCE\n", made + "RUN echo 2 NONCE\nRUN true # NONCE\n", ""},
	} {
		dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
		text := func(lines string) string { return "FROM node:20\n" + strings.ReplaceAll(lines, "NONCE", nonce) }
		write(t, filepath.Join(dir, "Dockerfile"), text(tt.fails))
		if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		other := walk{t: t, dir: dir, builder: dial(t, lab.For(t).Address())}
		failed, err := other.try(client.SolveOpt{})
		if err == nil {
			t.Fatalf("%s: the build succeeded, want that it fails", tt.name)
		}
		r.recorded(dir, &other)
		if tt.mended != "" {
			write(t, filepath.Join(dir, "Dockerfile"), text(tt.mended))
		}
		if tt.want != "" {
			r.predicts(dir, tt.name, tt.want)
			continue
		}
		// BuildKit may or may not have run the steps above by then.
		why, err := r.Why(t.Context(), api.WhyRequest{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range why.Steps[:2] {
			if s.Outcome == "hit" {
				t.Errorf("%s: %s is told to be reused, but no build made it before; the client saw %v", tt.name, s.Name, failed)
			}
		}
	}
}
