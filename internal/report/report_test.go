package report_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/report"
)

// picture makes a repository of the files in archive and pictures it.
func picture(t *testing.T, archive string) *project.Picture {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "shop"), 0o755); err != nil {
		t.Fatal(err)
	}
	root = filepath.Join(root, "shop")
	for _, f := range txtar.Parse([]byte(archive)).Files {
		name := filepath.Join(root, filepath.FromSlash(strings.TrimSuffix(f.Name, "?")))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := project.Opener{Secrets: project.NewSecretCache()}
	p, err := o.Open(context.Background(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const hundreds = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

const shop = `
-- stoker.yaml --
budget: {context: 300, file: 160}
builds:
  api: {context: ., dockerfile: docker/Dockerfile, args: {TOKEN: hunter2}}
  bad: {context: bad}
-- .dockerignore --
*.md
-- docker/Dockerfile --
FROM node:20 AS build
COPY src /src
RUN true
FROM node:20
COPY --from=build /src /src
-- bad/Dockerfile --
FROM node:20
COPPY . .
-- src/main.js --
console.log("some code")
-- src/large.js --
` + hundreds + `
-- README.md --
not in the context
`

func TestRepository(t *testing.T) {
	r := report.Repository(picture(t, shop))
	if len(r.Definitions) != 2 {
		t.Fatalf("definitions: %+v", r.Definitions)
	}
	d := r.Definitions[0]
	if d.Name != "api" || d.ContextDir != "." || d.Dockerfile != "docker/Dockerfile" || d.IgnoreFile != ".dockerignore" || d.Origin != "stoker.yaml" {
		t.Errorf("paths are not relative to the repository: %+v", d)
	}
	// stoker.yaml, .dockerignore, two Dockerfiles and two sources; of these src is asked for.
	if d.Context.Files != 6 || d.Sent.Files != 2 || d.Steps != 3 {
		t.Errorf("context %+v, sent %+v, steps %d; want 6 and 2 files, 3 steps", d.Context, d.Sent, d.Steps)
	}
	if diff := cmp.Diff([]string{"TOKEN"}, d.Args); diff != "" {
		t.Errorf("names of args (-want +got):\n%s", diff)
	}
	if len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "node:20 was not looked up") {
		t.Errorf("notes %q, want one that node:20 was not looked up", d.Notes)
	}
	if bad := r.Definitions[1]; !strings.HasPrefix(bad.Problem, "bad/Dockerfile:2: ") || !strings.Contains(bad.Problem, "COPPY") {
		t.Errorf("problem %q, want one of COPPY in bad/Dockerfile:2", bad.Problem)
	}
	if len(r.Findings) != 1 || r.Findings[0].Rule != project.RuleLarge || r.Findings[0].Path != "src/large.js" ||
		r.Findings[0].Reaches != "final" || r.Findings[0].StepLine != 2 {
		t.Errorf("findings %+v, want only src/large.js, which step 2 takes into the image", r.Findings)
	}
}

func TestRepositoryWithoutBuilds(t *testing.T) {
	r := report.Repository(picture(t, "-- main.go --\npackage main\n"))
	if r.Problem == "" || r.Hint == "" || r.Definitions == nil || r.Findings == nil {
		t.Errorf("%+v: want a problem with a hint, and lists that are empty and not null", r)
	}
}

func TestCheck(t *testing.T) {
	p := picture(t, shop)
	for _, tt := range []struct {
		names string
		ok    bool
		over  []string
	}{
		{"api", false, []string{"context", "file"}},
		{"api bad", false, []string{"context", "file"}},
		{"bad", false, nil},
		{"", false, []string{"context", "file"}},
	} {
		c, err := report.Check(p, strings.Fields(tt.names))
		if err != nil {
			t.Fatal(err)
		}
		if c.OK != tt.ok {
			t.Errorf("check of %q is OK: %v, want %v", tt.names, c.OK, tt.ok)
		}
		if diff := cmp.Diff(tt.over, c.Definitions[0].Over); diff != "" {
			t.Errorf("check of %q: limits exceeded (-want +got):\n%s", tt.names, diff)
		}
	}
	p.Config.Budget.Context, p.Config.Budget.Sent, p.Config.Budget.Files = 0, 10, 3
	c, err := report.Check(p, []string{"api"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sent", "file", "files"}, c.Definitions[0].Over); diff != "" {
		t.Errorf("limits exceeded (-want +got):\n%s", diff)
	}
}

func TestCheckFine(t *testing.T) {
	c, err := report.Check(picture(t, "-- Dockerfile --\nFROM scratch\nCOPY a /\n-- a --\nx\n"), nil)
	if err != nil || !c.OK || len(c.Findings) != 0 {
		t.Errorf("%+v, %v; want OK without findings", c, err)
	}
}

// What cannot be found is no reason to say nothing of the rest.
func TestCheckOfARest(t *testing.T) {
	c, err := report.Check(picture(t, "-- compose.yaml --\nservices: [\n-- Dockerfile --\nFROM scratch\n"), nil)
	if err != nil || c.OK || len(c.Definitions) != 1 || !strings.HasPrefix(c.Problem, "compose.yaml") {
		t.Errorf("%+v, %v; want the Dockerfile's definition, and the problem of compose.yaml", c, err)
	}
}

func TestErrors(t *testing.T) {
	broken := picture(t, "-- compose.yaml --\nservices: [\n-- Dockerfile --\nFROM scratch\n")
	p := picture(t, shop)
	for name, tt := range map[string]struct {
		err  func() error
		code api.Code
		hint string
	}{
		"unknown name":  {func() error { _, err := report.Check(p, []string{"web"}); return err }, api.NotFound, "there are: api, bad"},
		"no name":       {func() error { _, err := report.One(p, ""); return err }, api.BadInput, "there are: api, bad"},
		"broken file":   {func() error { _, err := report.Check(picture(t, "-- compose.yaml --\nservices: [\n"), nil); return err }, api.BadInput, ""},
		"no context":    {func() error { _, err := report.Context(p, p.Builds[1], api.ContextRequest{}); return err }, api.BadInput, ""},
		"broken, named": {func() error { _, err := report.Check(broken, []string{"web"}); return err }, api.NotFound, "compose.yaml"},
	} {
		var e *api.Error
		if err := tt.err(); !errors.As(err, &e) || e.Code != tt.code || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestContext(t *testing.T) {
	p := picture(t, strings.ReplaceAll(shop, "src/main.js", "src/\xff.js"))
	c, err := report.Context(p, p.Builds[0], api.ContextRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var sent []string
	for _, e := range c.Entries {
		if e.Sent && e.Type == "file" {
			sent = append(sent, e.Path)
		}
		if e.Path == "src/\uFFFD.js" && string(e.PathBytes) != "src/\xff.js" {
			t.Errorf("path bytes %q", e.PathBytes)
		}
	}
	if diff := cmp.Diff([]string{"src/large.js", "src/\uFFFD.js"}, sent); diff != "" {
		t.Error(diff)
	}
	if steps := c.Entries[len(c.Entries)-2].Steps; len(steps) != 1 || steps[0] != "[build 2/3] COPY src /src" {
		t.Errorf("steps %q", steps)
	}
}

func TestAddBuilds(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	var records []cache.Record
	for i := range 10 {
		// Newest first, the i-th newest with i of 9 steps reused.
		r := cache.Record{Ref: string(rune('a' + i)), Status: cache.Completed, Created: start, Completed: start.Add(-time.Duration(i) * time.Hour)}
		for s := range 9 {
			outcome := cache.Executed
			if s < i {
				outcome = cache.Hit
			}
			r.Steps = append(r.Steps, cache.Step{Outcome: outcome})
		}
		records = append(records, r)
	}
	d := api.Definition{Builds: 3}
	report.AddBuilds(&d, records)
	if d.Builds != 10 || d.Last == nil || d.Last.Ref != "a" || d.HitRate == nil || *d.HitRate != 0.5 {
		t.Errorf("%+v", d)
	}
	if len(d.History) != 8 || d.History[7] != 0 || d.History[0] != 7.0/9 {
		t.Errorf("history %v", d.History)
	}
	report.AddBuilds(&d, nil)
	if d.Builds != 0 || d.HitRate != nil || d.Last != nil || d.History != nil {
		t.Errorf("without builds: %+v", d)
	}
}

func TestInterruptedIsNotFailed(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	var records []cache.Record
	for i, status := range []cache.Status{cache.Completed, cache.Broken, cache.Canceled} {
		records = append(records, cache.Record{
			Ref: string(status), Definition: "api", Status: status, Completed: at.Add(time.Duration(i) * time.Minute),
		})
	}
	got := report.Stats(at, cache.Stats(slices.Values(records), nil)).Definitions[0]
	if got.Builds != 3 || got.Failed != 1 || got.Interrupted != 1 {
		t.Errorf("%d builds, %d failed, %d interrupted: want 3, 1 and 1", got.Builds, got.Failed, got.Interrupted)
	}
	var d api.Definition
	report.AddBuilds(&d, records)
	if !d.Last.Interrupted {
		t.Error("the last build was interrupted, and is not said to be")
	}
}

// While builds are still to be read, that is why a step is not known, and not that
// nobody saw them.
func TestPredictionWhileReading(t *testing.T) {
	p := picture(t, shop)
	b, _ := p.Find("api")
	nodes := make([]cache.Node, len(b.Selection.Plan.Steps))
	forecasts := make([]cache.Prediction, len(nodes))
	for i := range nodes {
		nodes[i].Steps = []int{i}
		forecasts[i] = cache.Prediction{Forecast: cache.Unknown, Reason: cache.NotObserved}
	}
	predicted := report.Predicted{Build: b, Graph: cache.Graph{Nodes: nodes}, Nodes: forecasts, Luck: make([]cache.Luck, len(nodes))}
	for reading, want := range map[bool]string{
		true: "the builder may have its result: what was built before is still being read", false: "the builder may have results of builds that stoker did not see, or not all of",
	} {
		predicted.Reading = reading
		for _, s := range report.Prediction(predicted).Steps {
			if s.Cause == nil || s.Cause.Text != want {
				t.Errorf("%s, reading %v: %+v, want %q", s.Name, reading, s.Cause, want)
			}
		}
	}
}

func TestWhyTellsEdits(t *testing.T) {
	for _, tt := range []struct{ before, after, want string }{
		{"RUN make", "RUN make -j4", "the Dockerfile was edited: line 3"},
		{"RUN npm ci", "RUN npm  ci", "the Dockerfile was edited: white space in line 3"},
		{"RUN <<E (set -e...)", "RUN <<E (set -e...)", "the Dockerfile was edited: the text of the heredoc at line 3"},
		{"COPY", "COPY", "the Dockerfile was edited: line 3 has other text than it shows here"},
	} {
		b := cache.Build{Record: cache.Record{Ref: "x3k9", Steps: []cache.Step{{Name: "[2/2] " + tt.after, Index: 2, Line: 3, Outcome: cache.Executed}}}}
		cause := cache.Cause{Kind: cache.ByDockerfile, Line: 3, Before: tt.before, After: tt.after}
		why, err := report.Why(b, []cache.Explanation{{Causes: []cache.Cause{cause}}}, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := why.Steps[0].Cause.Text; got != tt.want {
			t.Errorf("%q → %q: %q, want %q", tt.before, tt.after, got, tt.want)
		}
	}
}

// TestWhyFirst: why compares builds of one definition, and so does not say that none of
// another one made a step.
func TestWhyFirst(t *testing.T) {
	b := cache.Build{Record: cache.Record{Steps: []cache.Step{{Name: "[1/1] RUN true"}}}}
	cause, err := report.WhyNext(b, 0, cache.Explanation{Causes: []cache.Cause{{Kind: cache.ByFirst}}}, nil)
	const want = "no earlier build of this definition that was seen on this builder made it"
	if err != nil || cause == nil || cause.Text != want {
		t.Errorf("it is said %+v, %v, want %q", cause, err, want)
	}
}
