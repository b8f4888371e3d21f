package e2e_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/api"
)

// shop makes the sample repository that `make demo` shows.
func (u *user) shop() {
	u.t.Helper()
	script, err := filepath.Abs("../../testdata/demo/repository.sh")
	if err != nil {
		u.t.Fatal(err)
	}
	u.run("sh", script, u.dir)
}

// TestLoop is the main job from the first look to a warm cache.
func TestLoop(t *testing.T) {
	t.Parallel()
	newUser(t, "prewarm: {level: off}\n").loop() // or else the first build would find things warm
}

// TestLoopEngine is that with `docker build`, on a Docker Engine.
func TestLoopEngine(t *testing.T) {
	t.Parallel()
	u := newEngineUser(t, "prewarm: {level: off}\n")
	u.loop()
	s := u.awaitStatus(func(s api.Status) string { return connected(s, true) })
	if b := s.Builder; b.Name != "docker" || b.Kind != "docker" || !strings.HasPrefix(b.Version, "v0.") {
		t.Errorf("the builder is called %+v", b)
	}
}

func (u *user) loop() {
	t := u.t
	u.shop()
	if out := u.must("up", "--allow"); !strings.Contains(out, "api") {
		t.Errorf("stoker up does not name the build:\n%s", out)
	}
	repo := u.await(func(api.Repository) string { return "" })
	u.checkPicture(repo)

	// The order of the Dockerfile is poor: an edit runs the install again.
	u.checkBuild("a first build", "api", steps{
		"[2/6] WORKDIR /app": false,
		"[3/6] RUN apt-get update && apt-get install -y --no-install-recommends tini": false,
		"[4/6] COPY . .": false, "[5/6] RUN npm ci": false, "[6/6] RUN npm run build": false,
	})
	u.checkBuild("the same again", "api", steps{
		"[2/6] WORKDIR /app": true,
		"[3/6] RUN apt-get update && apt-get install -y --no-install-recommends tini": true,
		"[4/6] COPY . .": true, "[5/6] RUN npm ci": true, "[6/6] RUN npm run build": true,
	})
	u.write("src/tax.js", "module.exports = 0.19;\n")
	u.checkBuild("after an edit", "api", steps{
		"[2/6] WORKDIR /app": true,
		"[3/6] RUN apt-get update && apt-get install -y --no-install-recommends tini": true,
		"[4/6] COPY . .": false, "[5/6] RUN npm ci": false, "[6/6] RUN npm run build": false,
	})
	u.checkBreakers()

	u.checkSuggestion()

	u.must("warm", "--level", "all")
	warm := u.build(".")
	if len(warm) != 6 || warm.hits() != 6 {
		t.Errorf("after stoker warm, another client gets %v; want six hits", warm)
	}
	u.awaitBuilds("api", 4)
	u.write("src/tax.js", "module.exports = 0.07;\n")
	u.checkBuild("an edit after the suggestion", "api", steps{
		"[2/7] WORKDIR /app": true,
		"[3/7] RUN apt-get update && apt-get install -y --no-install-recommends tini": true,
		"[4/7] COPY package.json package-lock.json ./":                                true,
		"[5/7] RUN npm ci": true, "[6/7] COPY . .": false, "[7/7] RUN npm run build": false,
	})
	u.checkRestart()
}

// checkPicture holds the numbers and findings of the first status against the disk.
func (u *user) checkPicture(repo api.Repository) {
	u.t.Helper()
	shop, web := definition(u.t, repo, "api"), definition(u.t, repo, "web")
	all, front := u.size("."), u.size("web")
	dockerfile, err := os.Stat(filepath.Join(u.dir, "web/Dockerfile"))
	if err != nil {
		u.t.Fatal(err)
	}
	// web takes all of its folder but the Dockerfile itself.
	frontSent := api.Size{Files: front.Files - 1, Bytes: front.Bytes - dockerfile.Size()}
	for _, c := range []struct {
		what      string
		got, want api.Size
	}{
		{"the context of api", shop.Context, all}, {"what api sends", shop.Sent, all},
		{"the context of web", web.Context, front}, {"what web sends", web.Sent, frontSent},
	} {
		if c.got != c.want {
			u.t.Errorf("%s: %+v, want %+v", c.what, c.got, c.want)
		}
	}
	found := map[string]api.Finding{}
	for _, f := range repo.Findings {
		found[f.Rule+" "+f.Path] = f
	}
	if f := found["stripe-access-token .env"]; f.Line != 3 || f.Reaches != "final" || f.StepLine != 7 {
		u.t.Errorf("the key in .env: %+v; want line 3, taken by line 7 of the Dockerfile, in the final image", f)
	}
	if f := found["large-file assets/demo.mp4"]; f.Size != 40_000_000 || f.Reaches != "final" {
		u.t.Errorf("the video: %+v; want 40 MB in the final image", f)
	}
	if out := u.must("status", "--json"); strings.Contains(out, "sk_live") {
		u.t.Error("the status holds the secret that it warns of")
	}
}

// size counts the files below a folder of the repository.
func (u *user) size(dir string) api.Size {
	u.t.Helper()
	var s api.Size
	err := filepath.WalkDir(filepath.Join(u.dir, dir), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s.Files++
		s.Bytes += info.Size()
		return nil
	})
	if err != nil {
		u.t.Fatal(err)
	}
	return s
}

// checkBuild builds with another client, and holds what BuildKit says of the steps against what is
// expected, and what stoker counted against what BuildKit says.
func (u *user) checkBuild(what, name string, want steps) {
	u.t.Helper()
	before, builds := u.counted(name)
	got := u.build(".")
	if diff := cmp.Diff(want, got); diff != "" {
		u.t.Errorf("%s: steps from the cache (-want +got):\n%s", what, diff)
	}
	d := u.awaitBuilds(name, builds+1)
	if d.Last == nil || d.Last.Hits != got.hits() || d.Last.Steps != len(got) {
		u.t.Errorf("%s: the last build is %+v, want %d of %d steps", what, d.Last, got.hits(), len(got))
	}
	after, _ := u.counted(name)
	counted := steps{}
	for step, n := range after {
		if n != before[step] {
			counted[step] = n.hits > before[step].hits
		}
	}
	if diff := cmp.Diff(got, counted); diff != "" {
		u.t.Errorf("%s: BuildKit and stoker's stats differ (-BuildKit +stoker):\n%s", what, diff)
	}
}

// awaitBuilds waits until n builds of a definition are counted.
func (u *user) awaitBuilds(name string, n int) api.Definition {
	u.t.Helper()
	r := u.await(func(r api.Repository) string {
		if d := definition(u.t, r, name); d.Builds < n {
			return fmt.Sprintf("build %d of %s, which has %d", n, name, d.Builds)
		}
		return ""
	})
	d := definition(u.t, r, name)
	if d.Builds != n {
		u.t.Errorf("%s has %d builds, want %d", name, d.Builds, n)
	}
	return d
}

// count is how often a step hit and missed.
type count struct{ hits, misses int }

// counted returns what stats knows of a definition: its steps and its builds.
func (u *user) counted(name string) (map[string]count, int) {
	u.t.Helper()
	counts := map[string]count{}
	for _, d := range read[api.Stats](u, "stats").Definitions {
		if d.Name != name {
			continue
		}
		for _, s := range d.Steps {
			counts[s.Name] = count{s.Hits, s.Misses}
		}
		return counts, d.Builds
	}
	return counts, 0
}

// checkBreakers: the first build broke at its first step, the edit at COPY, and what ran because of
// it is no breaker.
func (u *user) checkBreakers() {
	u.t.Helper()
	got := map[string]int{}
	for _, d := range read[api.Stats](u, "stats").Definitions {
		for _, b := range d.Breakers {
			got[b.Name] = b.Times
		}
	}
	if got["[4/6] COPY . ."] != 1 || got["[5/6] RUN npm ci"] != 0 || got["[6/6] RUN npm run build"] != 0 {
		u.t.Errorf("breakers: %v; want COPY once, and no step that ran only because of it", got)
	}
}

// checkSuggestion asks for suggestions, and applies the one that the repository is made for.
func (u *user) checkSuggestion() {
	u.t.Helper()
	var found []api.Suggestion
	for _, d := range read[api.Suggest](u, "suggest", "api").Definitions {
		found = append(found, d.Suggestions...)
	}
	if len(found) == 0 || found[0].Rule != "manifests-first" {
		u.t.Fatalf("suggestions: %+v; want manifests-first on top", found)
	}
	s := found[0]
	if s.Proof != "by-construction" || s.SavesSeconds <= 0 || s.HitRate.After <= s.HitRate.Before || !strings.Contains(s.Diff, "+COPY package") {
		u.t.Errorf("suggestion: %+v; want a diff with a saving and a better hit rate", s)
	}
	u.must("suggest", "api", "--apply")
	text, err := os.ReadFile(filepath.Join(u.dir, "Dockerfile"))
	if err != nil {
		u.t.Fatal(err)
	}
	const comment = "# Everything first: simple, and slow"
	if first, install := strings.Index(string(text), "\nCOPY package"), strings.Index(string(text), "\nRUN npm ci"); first < 0 || first > install {
		u.t.Errorf("the Dockerfile does not copy the manifests before the install:\n%s", text)
	}
	if !strings.Contains(string(text), comment) {
		u.t.Errorf("the Dockerfile lost a comment:\n%s", text)
	}
	u.await(func(r api.Repository) string {
		if d := definition(u.t, r, "api"); d.Steps != 6 {
			return fmt.Sprintf("the edited Dockerfile: api has %d steps, want 6", d.Steps)
		}
		return ""
	})
}

// checkRestart: what was counted outlives the daemon.
func (u *user) checkRestart() {
	u.t.Helper()
	before := read[api.Stats](u, "stats").Definitions
	u.must("down", "--all")
	if s := read[api.Status](u, "status"); s.Daemon != nil {
		u.t.Errorf("a daemon runs after down --all: %+v", s.Daemon)
	}
	u.must("up")
	u.await(func(r api.Repository) string { return "" })
	if diff := cmp.Diff(before, read[api.Stats](u, "stats").Definitions); diff != "" {
		u.t.Errorf("stats after a restart (-before +after):\n%s", diff)
	}
}
