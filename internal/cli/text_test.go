package cli

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/api"
)

// TestText holds the text that commands make of an answer. A file of testdata/text
// has the answer as JSON; each other part of it is the text for that many columns,
// 0 for a pipe. What it begins with, up to the first dash of its name, is the
// command. -update writes the texts.
func TestText(t *testing.T) {
	here := time.Local
	t.Cleanup(func() { time.Local = here })
	time.Local = time.UTC // texts have times of day
	files, err := filepath.Glob(filepath.Join("testdata", "text", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal("no cases:", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { holdText(t, name) })
	}
}

func holdText(t *testing.T, name string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	command, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".txtar"), "-")
	render, ok := renderers[command]
	if !ok || len(archive.Files) < 2 || archive.Files[0].Name != "answer" {
		t.Fatalf("%s: no command %q, or no answer and texts", name, command)
	}
	update := flag.Lookup("update").Value.String() == "true"
	for i, f := range archive.Files[1:] {
		width, err := strconv.Atoi(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		var out, hints strings.Builder
		o := &options{Process: Process{Dir: "/work/shop"}, out: printer{w: &out, width: width}, err: printer{w: &hints, width: width}}
		render(t, o, archive.Files[0].Data)
		got := out.String() + hints.String()
		for line := range strings.Lines(got) {
			if n := lipgloss.Width(line); width > 0 && n > width {
				t.Errorf("%d columns: a line has %d:\n%s", width, n, line)
			}
		}
		if update {
			archive.Files[i+1].Data = []byte(got)
		} else if got != string(f.Data) {
			t.Errorf("%d columns: got\n%s\nwant\n%s", width, got, f.Data)
		}
	}
	if update {
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var renderers = map[string]func(*testing.T, *options, []byte){
	"check":   rendered(func(o *options, a api.Check) { (&checkOptions{options: o}).print(a) }),
	"predict": rendered(func(o *options, a api.Predict) { (&predictOptions{options: o}).print(a) }),
	"replay":  rendered(func(o *options, a api.Replay) { (&replayOptions{options: o}).print(a) }),
	"stats":   rendered(func(o *options, a api.Stats) { (&statsOptions{options: o}).print(a) }),
	"suggest": rendered(func(o *options, a api.Suggest) { (&suggestOptions{options: o}).print(a) }),
	"status":  rendered(func(o *options, a api.Status) { o.out.status(a) }),
	"ls":      rendered(func(o *options, a api.Context) { (&lsOptions{options: o}).print(a) }),
	"steps":   rendered(func(o *options, a api.Context) { (&stepsOptions{options: o}).print(a) }),
	"explain": rendered(func(o *options, a api.ContextExplain) { (&explainOptions{options: o}).print(a) }),
	"why":     rendered(func(o *options, a api.Why) { (&whyOptions{options: o}).print(a) }),
}

// rendered reads an answer strictly, so that no case holds what is no field.
func rendered[T any](show func(*options, T)) func(*testing.T, *options, []byte) {
	return func(t *testing.T, o *options, data []byte) {
		var answer T
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.DisallowUnknownFields()
		if err := d.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		show(o, answer)
	}
}
