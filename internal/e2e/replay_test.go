package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/randtest"
)

// TestReplayIsWhatHappens builds each commit of a made-up history with a plain client, and compares
// how often each step was reused with what replay says of the same history. What a stage hands on
// holds the names, modes and content of all that went into it: replay does not know of content that
// comes out equal from different inputs, where BuildKit finds a hit more.
func TestReplayIsWhatHappens(t *testing.T) {
	t.Parallel()
	u := newUser(t, "")
	u.write("Dockerfile", strings.TrimLeft(`
FROM node:20 AS deps
WORKDIR /deps
COPY package.json ./
RUN stat -c '%a %n' package.json > installed && cat package.json >> installed

FROM node:20 AS build
WORKDIR /build
COPY assets assets
RUN stat -c '%a %n' assets/* > styles && cat assets/* >> styles
COPY src src
COPY --from=deps /deps/installed ./
RUN stat -c '%a %n' src/* > bundle && cat styles src/* installed >> bundle

FROM node:20
COPY --from=deps /deps/installed /app/
RUN echo installed
COPY --link assets/logo /app/logo
COPY --from=build /build/bundle /app/
WORKDIR /app
COPY . .
CMD ["cat", "bundle"]
`, "\n"))
	u.write(".dockerignore", ".git\ndocs\n")
	files := []string{"package.json", "src/a", "src/b", "src/c", "assets/logo", "assets/style", "docs/readme", "notes"}
	for _, name := range files {
		u.write(name, "0\n")
	}
	u.run("git", "init", "-q", "-b", "main", ".")
	hits, built := map[string]int{}, 0
	for seed := range randtest.Seeds(t, 12, 60) {
		if built > 0 {
			u.change(rand.New(rand.NewPCG(seed, 1)), files)
		}
		u.run("git", "add", "-A")
		u.run("git", "commit", "-q", "--allow-empty", "-m", fmt.Sprint("commit ", built))
		for name, cached := range u.build(".") {
			if cached {
				hits[name]++
			} else {
				hits[name] += 0
			}
		}
		built++
	}
	replay := read[api.Replay](u, "replay", "-n", fmt.Sprint(built), "--json")
	if replay.Builds != built {
		t.Fatalf("%d commits were replayed, %d built", replay.Builds, built)
	}
	said := map[string]int{}
	for _, s := range replay.Steps {
		said[strings.Join(strings.Fields(s.Name), " ")] = s.Hits
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(hits)) {
		plain := strings.Join(strings.Fields(name), " ")
		if got, ok := said[plain]; !ok || got != hits[name] {
			t.Errorf("%s was reused in %d of %d builds, replay says %d", plain, hits[name], built, got)
		}
		total += hits[name]
	}
	// The first build of all reuses nothing, and one after a large change little.
	if len(hits) != len(said) || total == 0 && built > 4 {
		t.Errorf("steps that were built: %v\nreplayed: %v", hits, said)
	}
}

// change edits, puts back, renames by mode, adds or removes a file or two.
func (u *user) change(rnd *rand.Rand, files []string) {
	u.t.Helper()
	for range 1 + rnd.IntN(2) {
		name := files[rnd.IntN(len(files))]
		at := filepath.Join(u.dir, name)
		switch rnd.IntN(6) {
		case 0:
			mode := os.FileMode(0o644)
			if rnd.IntN(2) == 0 {
				mode = 0o755
			}
			if err := os.Chmod(at, mode); err != nil {
				u.t.Fatal(err)
			}
		case 1:
			extra := filepath.Join(u.dir, filepath.Dir(name), "extra")
			if os.Remove(extra) != nil {
				u.write(filepath.Join(filepath.Dir(name), "extra"), "extra\n")
			}
		default:
			u.write(name, fmt.Sprint(name, rnd.IntN(3), "\n")) // few values, so that old ones come back
		}
	}
}
