package scaffold_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

var (
	table  = flag.Bool("table", false, "measure the samples beside naive Dockerfiles, and write the table in docs/init.md")
	sample = flag.String("samples", ".", "with -table: only samples whose name matches; the other lines of the table stay")
)

// page holds the table between two marks.
const page = "../../docs/init.md"

// naive is how an app is built by who never read about it: one stage, everything
// copied first, started by the package manager.
func naive(app api.InitApp) string {
	workspace := app.Dir != app.Context
	node := func(image, setup, install, build, each string) string {
		if workspace {
			build = each
		}
		return "FROM " + image + "\nWORKDIR /app\nCOPY . .\nRUN " + setup + install + "\nRUN " + build + "\nWORKDIR /app/" + app.Dir + "\nCMD [\"npm\", \"start\"]\n"
	}
	switch app.Tool {
	case "npm":
		return node("node:24", "", "npm install", "npm run build --if-present", "npm run build --workspaces --if-present")
	case "pnpm":
		return node("node:24", "npm install --global pnpm@10.20.0 && ", "pnpm install", "pnpm run --if-present build", "pnpm -r run --if-present build")
	case "yarn":
		if slices.ContainsFunc(app.Evidence, func(e api.InitEvidence) bool { return strings.HasPrefix(e.Says, "yarn 4") }) {
			return node("node:24", "npm install --global --force @yarnpkg/cli-dist@4.18.1 && ", "YARN_NODE_LINKER=node-modules yarn install", "YARN_NODE_LINKER=node-modules yarn run build", "true")
		}
		return node("node:24", "", "yarn install", "true", "true")
	case "bun":
		return node("oven/bun:1.3", "", "bun install", "true", "true")
	}
	main := "./" + app.Entry
	if workspace && app.Context == "." && !strings.HasPrefix(app.Entry, "cmd/") {
		main = "./" + app.Dir
	}
	return "FROM golang:1.26\nWORKDIR /src\nCOPY . .\nRUN go build -o /app " + strings.Replace(main, "./.", ".", 1) + "\nCMD [\"/app\"]\n"
}

// A measure is what one Dockerfile costs.
type measure struct {
	first, again time.Duration
	size         int64
}

func (m measure) String() string {
	return fmt.Sprintf("%.0f s | %.1f s | %d MB", m.first.Seconds(), m.again.Seconds(), m.size/1e6)
}

// TestRealImagesTable writes the table in docs/init.md. It empties the builder's
// cache, so it has a lab of its own: see the Makefile.
func TestRealImagesTable(t *testing.T) {
	if !*table {
		t.Skip("it measures only with -table: make table-init")
	}
	l := lab.For(t)
	if !l.Real() {
		t.Fatal("figures of stand-ins say nothing: run it through `labctl run --real -- go test`")
	}
	only := regexp.MustCompile(*sample)
	rows := map[string]string{}
	for _, name := range samples(t) {
		if strings.HasPrefix(name, "python-") || !only.MatchString(name) {
			continue
		}
		s, dir := newShell(t), repository(t, name)
		var made api.Init
		s.stoker(dir, &made, "init", "--all")
		app := made.Apps[0]
		for _, file := range []struct{ name, text string }{{"naive.Dockerfile", naive(app)}, {"naive.Dockerfile.dockerignore", "**/.git\n"}} {
			if err := os.WriteFile(filepath.Join(dir, file.name), []byte(file.text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		plain, ours := measured(t, l, dir, "naive.Dockerfile"), measured(t, l, dir, app.Files[0].Path)
		rows[name] = fmt.Sprintf("| %s, %s | %s | %s |", name, app.Name, plain, ours)
		t.Log(rows[name])
		rewriteTable(t, rows)
	}
}

// measured builds from nothing, and again after an edit of a source.
func measured(t *testing.T, l *lab.Lab, dir, dockerfile string) (m measure) {
	t.Helper()
	buildctl, err := lab.Buildctl(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	solve := func(args ...string) time.Duration {
		began := time.Now()
		if out, err := exec.CommandContext(t.Context(), buildctl, append([]string{"--addr", l.Address()}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("buildctl %s: %v\n%s", args[0], err, out)
		}
		return time.Since(began)
	}
	args := []string{"build", "--frontend", "dockerfile.v0", "--local", "context=" + dir, "--local", "dockerfile=" + dir, "--opt", "filename=" + dockerfile}
	solve("prune", "--all")
	m.first = solve(args...)
	edit(t, dir)
	m.again = solve(args...)
	img, _ := build(t, l, dir, dockerfile)
	m.size = size(t, img)
	return m
}

// edit adds a line to the first source that an app has.
func edit(t *testing.T, dir string) {
	t.Helper()
	names := []string{"main.go", "billing/main.go", "cmd/depot/main.go", "apps/api/src/index.js", "services/gateway/src/main.ts", "source/main.js", "src/main.js",
		"src/main.ts", "src/index.ts", "src/server.ts", "app/page.js", "server.js", "index.js"}
	for _, name := range names {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		_, err = fmt.Fprintf(f, "// %d\n", time.Now().UnixNano())
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("there is no source to edit")
}

// rewriteTable puts lines into the table, those that are there and are not measured
// anew stay.
func rewriteTable(t *testing.T, rows map[string]string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "<!-- table -->\n")
	old, after, ok2 := strings.Cut(rest, "<!-- /table -->")
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	lines := map[string]string{}
	for line := range strings.Lines(old) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), ", "); ok && strings.Contains(line, " MB |") {
			lines[name] = strings.TrimSpace(line)
		}
	}
	for name, row := range rows {
		lines[name] = row
	}
	var b strings.Builder
	b.WriteString("| app | naive: first build | rebuild | image | init: first build | rebuild | image |\n|---|---|---|---|---|---|---|\n")
	names := make([]string, 0, len(lines))
	for name := range lines {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.WriteString(lines[name] + "\n")
	}
	if err := os.WriteFile(page, []byte(before+"<!-- table -->\n"+b.String()+"<!-- /table -->"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
