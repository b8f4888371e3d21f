package verify_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/verify"
)

var from = regexp.MustCompile(`(?im)^\s*FROM\s+(?:--\S+\s+)*(\S+).*$`)

// A proposal is a scenario of internal/suggest with an edit that is said to leave
// the image as it is.
type proposal struct {
	name  string
	files map[string]string // of the repository
	want  map[string]string // after the edit
	// differs is a part of what a proof finds to differ, for advice that a build can prove and
	// here disproves; "" for all else.
	differs string
	defs    []buildctx.Definition
}

// proposals reads the scenarios whose base images the lab has.
func proposals(t *testing.T) []proposal {
	t.Helper()
	names, err := filepath.Glob("../suggest/testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var list []proposal
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		p := proposal{files: map[string]string{}, want: map[string]string{}}
		p.name = strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(name), "../suggest/testdata/"), ".txtar")
		said := false // that it is advice, or nothing
		for _, f := range a.Files {
			switch {
			case f.Name == "advice" || f.Name == "none":
				said = true
			case f.Name == "provable":
			case f.Name == "differs":
				p.differs = strings.TrimSpace(string(f.Data))
			case strings.HasPrefix(f.Name, "want/"):
				p.want[strings.TrimPrefix(f.Name, "want/")] = string(f.Data)
			case !slices.Contains([]string{"builds", "history", "seconds", "secrets", "links", "title", "evidence", "saves", "rates", "diff"}, f.Name):
				p.files[f.Name] = string(f.Data)
			case f.Name == "builds":
				p.define(string(f.Data))
			}
		}
		if strings.HasPrefix(p.name, "several/") {
			continue // edits of advice as well
		}
		if p.defs == nil {
			p.defs = []buildctx.Definition{{Name: "app"}}
		}
		if !said && p.want["Dockerfile"] != "" && buildable(p.files["Dockerfile"]) {
			list = append(list, p)
		}
	}
	return list
}

// define reads the builds of a scenario, one a line: NAME TARGET [DIR] [shared]
// [sharer:DOCKERFILE]... [ARG=VALUE]..., "-" being the default target.
func (p *proposal) define(builds string) {
	for line := range strings.Lines(builds) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		def := buildctx.Definition{Name: words[0], Args: map[string]string{}}
		if words[1] != "-" {
			def.Target = words[1]
		}
		for _, w := range words[2:] {
			if name, value, ok := strings.Cut(w, "="); ok {
				def.Args[name] = value
			} else if w != "-" && w != "shared" && !strings.HasPrefix(w, "sharer:") {
				def.Context = w
			}
		}
		p.defs = append(p.defs, def)
	}
}

// buildable reports a Dockerfile whose images are in the lab.
func buildable(text string) bool {
	stages := map[string]bool{"scratch": true}
	for _, line := range from.FindAllStringSubmatch(text, -1) {
		image := line[1]
		if !strings.Contains(path.Base(image), ":") {
			image += ":latest"
		}
		if !stages[strings.ToLower(line[1])] && !slices.Contains(lab.StandIns(), image) {
			return false
		}
		if words := strings.Fields(line[0]); len(words) > 2 && strings.EqualFold(words[len(words)-2], "AS") {
			stages[strings.ToLower(words[len(words)-1])] = true
		}
	}
	return true
}

// quick has stand-ins take no time.
func quick(text string) string { return from.ReplaceAllString(text, "$0\nENV STANDIN_SECONDS=0") }

// unbuilt are scenarios that cannot be built with what they hold, and why.
var unbuilt = map[string]string{
	"cache-mount/pip":                   "the stand-in for pip takes --target only in front of what it is for",
	"cache-mount/poetry":                "there is no stand-in for poetry",
	"cache-mount/taken-by-variable":     "there is no stand-in for poetry",
	"cache-mount/variables-beside":      "the stand-in for pip builds no wheels",
	"late-arg/builds-differ":            "it copies programs that it does not hold",
	"manifests-first/npm-copied-over":   "it copies from an image that is not there",
	"manifests-first/pip-upgrade-first": "the python image has no npm and no make",
	"reorder/download-of-any-name":      "it downloads from an address that is not there",
	"reorder/down-to-start":             "the stand-in for npx writes dist, and not what is asked for",
}

// supply gives a scenario what its steps need and its rule does not look at.
func supply(files map[string]string) {
	text := files["Dockerfile"]
	for word, name := range map[string]string{"go ": "go.mod", "npm": "package.json", "requirements.txt": "requirements.txt"} {
		if _, ok := files[name]; strings.Contains(text, word) && !ok {
			files[name] = map[string]string{"go.mod": "module x\n", "package.json": "{}", "requirements.txt": "x\n"}[name]
		}
	}
	packages := ""
	for name, text := range files {
		dir, base := path.Split(name)
		switch {
		case strings.HasSuffix(name, ".tar.gz"):
			files[name] = tarred(text)
		case strings.HasSuffix(name, ".zip"):
			files[name] = zipped(text)
		}
		switch base {
		case "go.mod":
			files[dir+"go.sum"] = ""
			for _, require := range requires.FindAllStringSubmatch(text, -1) {
				files[dir+"go.sum"] += require[1] + " h1:x\n"
			}
		case "package.json":
			packages += text
			if !strings.Contains(text, `"build"`) {
				files[name] = strings.Replace(text, "{", `{"scripts": {"build": "x"}, `, 1)
			}
		}
	}
	for name := range files {
		// A lock file knows what the packages ask for.
		if base := path.Base(name); base == "package-lock.json" || base == "yarn.lock" || base == "pnpm-lock.yaml" {
			files[name] += "\n" + packages
		}
	}
	hasSource := slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(name string) bool { return strings.HasPrefix(name, "src/") })
	if strings.Contains(text, "run build") && !hasSource {
		files["src/index.js"] = "x\n" // else the stand-in bundles all there is, the Dockerfile too
	}
	if _, ok := files["package-lock.json"]; !ok && (strings.Contains(text, "npm ci") || strings.Contains(text, "package-lock.json")) {
		files["package-lock.json"] = packages
	}
}

// tarred returns an archive of one file.
func tarred(text string) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	err := w.WriteHeader(&tar.Header{Name: "run", Mode: 0o755, Size: int64(len(text))})
	_, werr := w.Write([]byte(text))
	if err := errors.Join(err, werr, w.Close(), z.Close()); err != nil {
		panic(err) // a buffer takes all
	}
	return out.String()
}

// zipped returns an archive of one file.
func zipped(text string) string {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.Create("run")
	if err == nil {
		_, err = f.Write([]byte(text))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return out.String()
}

var requires = regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+/\S+ v\S+)`)

// What suggest says to be the same image by construction is the same image by
// proof, wherever the lab has stand-ins for the tools.
func TestSuggestionsAreProven(t *testing.T) {
	if lab.For(t).Real() {
		t.Skip("what most scenarios install is not to be had: see TestRealImagesProveSuggestions")
	}
	list := proposals(t)
	if len(list) < 30 {
		t.Errorf("%d scenarios show little", len(list))
	}
	for _, p := range list {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			supply(p.files)
			p.build(t)
		})
	}
}

// The same for repositories of npm's, Go's and apt's whose packages are to be had, on
// real images: what the real tools read and write is what the rules say.
func TestRealImagesProveSuggestions(t *testing.T) {
	if !lab.For(t).Real() {
		t.Skip("this lab has stand-ins only: run the tests through `labctl run --real -- go test`")
	}
	built := 0
	for _, p := range proposals(t) {
		if !strings.HasPrefix(p.name, "repositories/built-") {
			continue
		}
		built++
		t.Run(p.name, p.build)
	}
	if built < 4 {
		t.Errorf("%d repositories show little", built)
	}
}

// build proves the edit for each definition.
func (p proposal) build(t *testing.T) {
	root := lab.Dir(t)
	for name, text := range p.files {
		if name == "Dockerfile" {
			text = quick(text)
		}
		put(t, filepath.Join(root, name), text)
	}
	for _, def := range p.defs {
		def.Context, def.Dockerfile = filepath.Join(root, def.Context), filepath.Join(root, "Dockerfile")
		p.prove(t, root, def)
	}
}

// prove verifies the edit for one definition.
func (p proposal) prove(t *testing.T, root string, def buildctx.Definition) {
	t.Helper()
	var changes []verify.Change
	for name, text := range p.want {
		c := verify.Change{Path: filepath.Join(root, name), New: []byte(text)}
		if name == "Dockerfile" {
			c.New = []byte(quick(text))
		}
		if old, err := os.ReadFile(c.Path); err == nil {
			c.Old = old
		}
		changes = append(changes, c)
	}
	o, err := verify.Open(t.Context(), connect(t), def, verify.Options{})
	if why, known := unbuilt[p.name]; (err != nil) != known {
		t.Fatalf("build as it is: %v; known is: %q", err, why)
	}
	if err != nil {
		return
	}
	r, err := o.Check(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	if p.differs != "" {
		if got := told(r.Differences); r.Equal() || !strings.Contains(got, p.differs) {
			t.Errorf("differences: %q, want %q", got, p.differs)
		}
		return
	}
	if !r.Equal() {
		t.Errorf("another image: %s\n%s\nnot covered:\n%s", r.Failure, told(r.Differences), told(r.Uncovered))
	}
}
