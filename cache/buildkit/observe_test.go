package buildkit_test

import (
	"bytes"
	"crypto/rand"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/lab"
)

// canary is the value of every build arg in the scenarios: it must turn up
// nowhere in what is kept.
const canary = "canary-value-7f3a"

// TestObserve runs the scenarios of testdata/observe on a real BuildKit. A
// scenario is a txtar of files, with these commands as its comment:
//
//	build [k=v …]    build as another client; k=v are frontend attributes
//	write PATH TEXT  replace a file
//	sub OLD NEW      replace text in the Dockerfile
//
// What follows a build, indented, is what must have been observed: the status,
// then a line per step. @@ stands for a text that is new in every run, so that
// no scenario meets the cache of another, and CANARY for an arg's value.
func TestObserve(t *testing.T) {
	files, err := filepath.Glob("testdata/observe/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			scenario, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runScenario(t, scenario)
		})
	}
}

func runScenario(t *testing.T, scenario *txtar.Archive) {
	b, c, dir := connect(t), otherClient(t), lab.Dir(t)
	unique := strings.ToLower(rand.Text())
	expand := strings.NewReplacer("@@", unique, "CANARY", canary)
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(expand.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range scenario.Files {
		write(f.Name, string(f.Data))
	}
	lines := strings.Split(string(scenario.Comment), "\n")
	for i := 0; i < len(lines); i++ {
		command, rest, _ := strings.Cut(lines[i], " ")
		switch command {
		case "write":
			name, text, _ := strings.Cut(rest, " ")
			write(name, text+"\n")
		case "sub":
			old, repl, _ := strings.Cut(rest, " ")
			data, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
			if err != nil {
				t.Fatal(err)
			}
			write("Dockerfile", strings.ReplaceAll(string(data), old, repl))
		case "build":
			attrs := map[string]string{}
			for _, kv := range strings.Fields(expand.Replace(rest)) {
				k, v, _ := strings.Cut(kv, "=")
				attrs[k] = v
			}
			ref, _ := build(t.Context(), t, c, dir, attrs, nil) // how it ended is in the record
			got := observe(t, b, ref)
			noCanary(t, got)
			var want []string
			for ; i+1 < len(lines) && strings.HasPrefix(lines[i+1], "  "); i++ {
				want = append(want, strings.TrimSpace(expand.Replace(lines[i+1])))
			}
			if diff := cmp.Diff(want, describe(got.Record)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", lines[i], diff)
			}
		}
	}
}

// describe writes a record as scenarios have it.
func describe(r cache.Record) []string {
	first := string(r.Status)
	if r.Error != "" {
		first += ": " + r.Error
	}
	lines := []string{first}
	for _, s := range r.Steps {
		lines = append(lines, fmt.Sprintf("%s :%d %s", s.Outcome, s.Line, s.Name))
	}
	return lines
}

// noCanary fails the test if anything that may be kept holds the value of an
// arg.
func noCanary(t *testing.T, o buildkit.Observed) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var stored bytes.Buffer
	if err := gob.NewEncoder(&stored).Encode(o); err != nil {
		t.Fatal(err)
	}
	for form, data := range map[string][]byte{"JSON": text, "gob": stored.Bytes(), "text": fmt.Appendf(nil, "%+v", o)} {
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("an arg's value is in the %s of the observed build", form)
		}
	}
}

// A download goes by the name of the step that takes it, and starts in every build.
func TestObserveDownload(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "one") }))
	defer server.Close()
	b, c, dir := connect(t), otherClient(t), lab.Dir(t)
	text := "FROM scratch\nADD " + server.URL + "/" + rand.Text() + " /f\nADD --link " + server.URL + "/" + rand.Text() + " /g\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []cache.Outcome{cache.Executed, cache.Hit} {
		ref, err := build(t.Context(), t, c, dir, map[string]string{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range observe(t, b, ref).Record.Steps {
			if s.Outcome != want && !(s.Outcome == cache.Cascaded && want == cache.Executed) {
				t.Errorf("%s is %s, and should be %s", s.Name, s.Outcome, want)
			}
		}
	}
}
