package suggest_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/suggest"
)

// TestCopyCosts holds that a COPY that was never observed costs by what it takes (docs/costs.md).
func TestCopyCosts(t *testing.T) {
	files := map[string]string{
		"Dockerfile": `FROM alpine AS build
FROM alpine
COPY one.txt /a/
COPY web /web
COPY *.bin /b/
COPY . /d/
COPY --from=build /bin/sh /e/
COPY one.txt /f/
COPY <<x /g
text
x
ADD https://example.com/x.txt one.txt /h/
`,
		".dockerignore": "Dockerfile\n.dockerignore\nleft/\n",
		"one.txt":       "x\n",
		"left/out.bin":  strings.Repeat("x", 1e6),
		"a.bin":         strings.Repeat("x", 20e6),
		"b.bin":         strings.Repeat("x", 20e6),
	}
	for i := range 500 {
		files[fmt.Sprintf("web/%d.js", i)] = "x\n"
	}
	s := scenario{sections: map[string]string{"history": "2 one.txt\n", "seconds": "7 COPY one.txt /f/\n"}, files: files}
	in := s.input(t, files)
	r, err := in.Replay(in.Builds[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	// 0.05 s for any, 1.2 s for 1 GB, 0.15 s for 1,000 files.
	for i, want := range []float64{0.05, 0.05 + 0.075, 0.05 + 0.048, 0.05 + 0.048 + 0.075, 0.1, 7, 0.05, 0.1} {
		if math.Abs(r.Seconds[i]-want) > 0.006 {
			t.Errorf("%s costs %.3f s, want %.3f", r.Plan.Steps[i].Instruction, r.Seconds[i], want)
		}
	}
	if r.Costs != suggest.Prior {
		t.Errorf("costs = %s", r.Costs)
	}
}

// TestLinkedCopyIsEstimated holds that link-copy says what its seconds come from where no copy was
// observed.
func TestLinkedCopyIsEstimated(t *testing.T) {
	files := map[string]string{
		"Dockerfile":       "FROM python:3.12-slim\nWORKDIR /app\nCOPY requirements.txt ./\nRUN pip install -r requirements.txt\nRUN cp requirements.txt /installed.txt\nCOPY web /static\n",
		"requirements.txt": "flask==3\n",
	}
	for i := range 6000 {
		files[fmt.Sprintf("web/%d.js", i)] = "x\n"
	}
	s := scenario{rule: suggest.Rule{Name: "link-copy"}, files: files, sections: map[string]string{
		"history": "1 web/1.js requirements.txt\n4 requirements.txt\n4 web/1.js\n4 requirements.txt web/1.js\n",
	}}
	list := s.suggestions(t, files)
	const want = "the seconds are an estimate from what is copied, 6000 files with 12kB."
	if len(list) != 1 || !strings.HasSuffix(list[0].Evidence, want) {
		t.Errorf("%+v\nwant one whose evidence ends with %q", list, want)
	}
}

// TestRunCosts holds what a RUN that was never observed is taken to cost: of what only asks for a
// variable the start of a container, and of what compiles more than of a command that is not known
// (docs/costs.md).
func TestRunCosts(t *testing.T) {
	const start, unknown = 0.4, 3.0
	for _, c := range []struct {
		run         string
		least, most float64
	}{
		{`if [ -z "$SHOP" ]; then printf "give it SHOP\n"; exit 1; fi`, start, start},
		{`[ -n "$SHOP" ] && export SHOP && umask 022 || false`, unknown, unknown},
		{`[ -n "$SHOP" ] && export SHOP || false`, start, start},
		{"./prepare.sh", unknown, unknown},
		{"sbt stage", 30, 90},
		{"cabal update && cabal build exe:shop", 30, 90},
		{"cargo auditable build --release", 90, 90},
		{"crystal build src/shop.cr --release", 20, 60},
		{"nimble build -d:release", 10, 60},
		{"swift build -c release", 30, 90},
		{"dart pub get && dart compile exe bin/shop.dart", 10, 30},
		{"apt-get update && apt-get install -y sbt crystal", 15, 15},
	} {
		files := map[string]string{"Dockerfile": "FROM debian:12\nRUN " + c.run + "\n", "x": "x"}
		s := scenario{sections: map[string]string{"history": "2 x\n"}, files: files}
		in := s.input(t, files)
		r, err := in.Replay(in.Builds[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Seconds[0]; got < c.least || got > c.most {
			t.Errorf("%s costs %.1f s, want %.1f to %.1f", c.run, got, c.least, c.most)
		}
	}
}

// TestCostsOfBranches holds that a RUN is not taken to spend time on commands under a condition that
// does not hold in the build, and is where that is not known.
func TestCostsOfBranches(t *testing.T) {
	const extras = `if [ "$EXTRAS" ]; then apt-get update && apt-get install -y vim && pip install ipython; fi`
	for _, c := range []struct {
		text string
		want float64
	}{
		{"ARG EXTRAS\nRUN " + extras, 0.4},
		{"ARG EXTRAS=\nRUN " + extras + " && npm ci", 15},
		{"ARG EXTRAS=1\nRUN " + extras, 35},
		{"ARG EXTRAS\nENV EXTRAS=1\nRUN " + extras, 35},
		{"ARG EXTRAS\nRUN EXTRAS=$(cat /extras); " + extras, 35},
		{"RUN " + extras, 35}, // the image may set it
		{"ARG MODE=live\nRUN if [ \"$MODE\" = test ]; then pip install tox; elif [ \"$MODE\" = live ]; then npm ci; else bundle install; fi", 15},
		{"ARG MODE=live\nRUN if [ \"$MODE\" != test ]; then\\\n npm ci;\\\n elif bundle install; then pip install tox; fi", 15},
		{"ARG MODE=live\nRUN if [ -f /test ]; then pip install tox; if [ \"$MODE\" = test ]; then npm ci; fi; fi", 20},
		{"ARG MODE=live\nRUN <<EOT\nif [ \"$MODE\" = test ]; then\n  npm ci\nfi\npip install tox\nEOT", 20},
		{"ARG MODE=live\nRUN <<EOT\nif [ \"$MODE\" = test ]; then\n  npm ci\n  cat <<END\nx\nEND\nfi\nEOT", 15}, // not understood
	} {
		files := map[string]string{"Dockerfile": "FROM debian:12\n" + c.text + "\n", "x": "x"}
		s := scenario{sections: map[string]string{"history": "2 x\n"}, files: files}
		in := s.input(t, files)
		r, err := in.Replay(in.Builds[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Seconds[0]; got != c.want {
			t.Errorf("%s\ncosts %.1f s, want %.1f", c.text, got, c.want)
		}
	}
	// Another build asks for it.
	files := map[string]string{"Dockerfile": "FROM debian:12\nARG EXTRAS\nRUN " + extras + "\n", "x": "x"}
	in := scenario{sections: map[string]string{"history": "2 x\n", "builds": "plain -\nextras - EXTRAS=yes\n"}, files: files}.input(t, files)
	for i, want := range []float64{0.4, 35} {
		r, err := in.Replay(in.Builds[i], nil)
		if err != nil || r.Seconds[0] != want {
			t.Errorf("build %d: %v, %v, want %.1f s", i, r.Seconds, err, want)
		}
	}
	// A cache saves nothing of what does not run.
	saves := func(before string) float64 {
		files := map[string]string{
			"Dockerfile":       "FROM python:3.12-slim\nARG EXTRAS\nCOPY requirements.txt ./\nRUN " + before + "pip install -r requirements.txt\n",
			"requirements.txt": "flask==3\n",
		}
		s := scenario{rule: suggest.Rule{Name: "cache-mount"}, files: files, sections: map[string]string{"history": "9 requirements.txt\n"}}
		list := s.suggestions(t, files)
		if len(list) != 1 {
			t.Fatalf("with %q: %+v", before, list)
		}
		return list[0].SavesSeconds
	}
	if with, without := saves(`if [ "$EXTRAS" ]; then npm ci; fi && `), saves(""); with != without {
		t.Errorf("a mount saves %.1f s with what does not run, %.1f s without", with, without)
	}
}
