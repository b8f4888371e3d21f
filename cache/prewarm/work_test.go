package prewarm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/cache/prewarm"
	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
)

// A notebook is a builder that writes down what it is asked for.
type notebook struct {
	lines []string
	fail  string // prefix of a line that fails
}

func (n *notebook) note(line string) error {
	n.lines = append(n.lines, line)
	if n.fail != "" && strings.HasPrefix(line, n.fail) {
		return errors.New("registry says no to " + line)
	}
	return nil
}

func (n *notebook) PullBase(_ context.Context, ref, platform string) error {
	return n.note("pull " + ref + " " + platform)
}

func (n *notebook) Warm(_ context.Context, r buildkit.Request) error {
	return n.note("warm " + string(r.Dockerfile) + " target=" + r.Definition.Target)
}

func work(t *testing.T, level prewarm.Level) prewarm.Work {
	t.Helper()
	dir := t.TempDir()
	def := buildctx.Definition{Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Target: "app"}
	const text = "FROM node:20 AS app\nRUN npm ci\nRUN npm test\n"
	if err := os.WriteFile(def.Dockerfile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	plan, err := dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: def.Dockerfile, Context: dir, Target: "app", Platforms: []string{"linux/amd64"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return prewarm.Work{Definition: def, Plan: plan, Level: level}
}

func TestWork(t *testing.T) {
	const pull = "pull docker.io/library/node:20 linux/amd64"
	tests := []struct {
		level    prewarm.Level
		describe string
		want     []string
	}{
		{prewarm.Base, "pull the base images", []string{pull}},
		{prewarm.Deps, "run the steps up to [2/3] RUN npm ci", []string{pull, "warm FROM node:20 AS app\nRUN npm ci\n target="}},
		{prewarm.All, "run the steps up to [3/3] RUN npm test", []string{pull, "warm FROM node:20 AS app\nRUN npm ci\nRUN npm test\n target=app"}},
	}
	for _, tt := range tests {
		w, n := work(t, tt.level), &notebook{}
		if got := w.Describe(); got != tt.describe {
			t.Errorf("%s: Describe() = %q, want %q", tt.level, got, tt.describe)
		}
		if _, err := w.Do(t.Context(), n, func(string) {}); err != nil {
			t.Error(err)
		}
		if !slices.Equal(n.lines, tt.want) {
			t.Errorf("%s: asked for %q, want %q", tt.level, n.lines, tt.want)
		}
	}
}

// TestWorkTellsNoNames: an image's name may hold an arg's value, and a builder
// repeats it in its errors.
func TestWorkTellsNoNames(t *testing.T) {
	w, n := work(t, prewarm.All), &notebook{fail: "pull"}
	_, err := w.Do(t.Context(), n, func(string) {})
	if err == nil || strings.Contains(err.Error(), "node") || !strings.Contains(err.Error(), "Dockerfile:1") {
		t.Errorf("error = %v, want the line of the Dockerfile and not the name", err)
	}
	w.Pulls = func(dockerfile.Base) bool { return false }
	if _, err := w.Do(t.Context(), n, func(string) {}); err != nil {
		t.Errorf("an image that may not be pulled by name is left to the steps: %v", err)
	}
}

// What a builder is to run is told in one line, however long a RUN is.
func TestWorkTellsLongStepsInShort(t *testing.T) {
	w := work(t, prewarm.All)
	long := "FROM node:20 AS app\nRUN apt-get update && \\\n    apt-get install -y ca-certificates curl git make gcc && \\\n    rm -rf /var/lib/apt/lists/*\n"
	if err := os.WriteFile(w.Definition.Dockerfile, []byte(long), 0o644); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.Plan, err = dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: w.Definition.Dockerfile, Context: w.Definition.Context, Platforms: []string{"linux/amd64"}}, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := w.Describe(), "run the steps up to [2/2] RUN apt-get update && apt-get install -y ca-certificates curl g…"; got != want {
		t.Errorf("Describe() = %q, want %q", got, want)
	}
}

// A refusing builder has no image.
type refusing struct{ notebook }

func (r *refusing) PullBase(context.Context, string, string) error {
	return fmt.Errorf("pull: %w", &buildkit.SolveError{Kind: "build failed, not found"})
}

func TestWorkTellsWhyAnImageIsMissing(t *testing.T) {
	_, err := work(t, prewarm.Base).Do(t.Context(), &refusing{}, func(string) {})
	var cause *buildkit.SolveError
	if want := "the image of Dockerfile:1 cannot be pulled: not found"; err == nil || err.Error() != want || !errors.As(err, &cause) {
		t.Errorf("error = %v, want %q, and its cause", err, want)
	}
}

// TestCheckCaches: what a cache elsewhere is of no use to is told before anything runs.
func TestCheckCaches(t *testing.T) {
	some := []buildkit.Cache{{Type: "registry"}}
	with := func(level prewarm.Level, from, to []buildkit.Cache) prewarm.Work {
		w := work(t, level)
		w.CacheFrom, w.CacheTo = from, to
		return w
	}
	two := with(prewarm.Deps, nil, some)
	const text = "FROM node:20 AS a\nRUN npm ci\nFROM node:20\nCOPY --from=a /x /\nRUN pip install x\n"
	if err := os.WriteFile(two.Definition.Dockerfile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	plan, err := dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: two.Definition.Dockerfile, Context: two.Definition.Context}, nil)
	if err != nil {
		t.Fatal(err)
	}
	two.Plan = plan
	for _, tt := range []struct {
		works []prewarm.Work
		want  string // of the error
	}{
		{works: []prewarm.Work{with(prewarm.Base, nil, nil), with(prewarm.All, some, nil)}},
		{works: []prewarm.Work{with(prewarm.All, some, some)}},
		{works: []prewarm.Work{with(prewarm.Deps, nil, some)}},
		{[]prewarm.Work{with(prewarm.Base, some, nil)}, "level base runs no step"},
		{[]prewarm.Work{with(prewarm.All, nil, some), with(prewarm.All, nil, some)}, "a cache keeps one build, and 2 are warmed"},
		{[]prewarm.Work{two}, "a cache keeps one build, and level deps makes 2 of"},
	} {
		err := prewarm.CheckCaches(tt.works)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("of %d works: %v, want %q", len(tt.works), err, tt.want)
		}
	}
}
