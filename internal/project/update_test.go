package project

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/randtest"
)

// TestUpdateEqualsOpen changes repositories at random, and after each batch of
// changes holds the picture that followed them against one made anew.
func TestUpdateEqualsOpen(t *testing.T) {
	rules := NewSecretCache()
	for seed := range randtest.Seeds(t, 40, 2000) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			w := newWorld(t, seed)
			o := &Opener{Secrets: rules.empty()}
			p, err := o.Open(t.Context(), w.root, false)
			if err != nil {
				t.Fatal(err)
			}
			for range 8 {
				for range 1 + w.rnd.IntN(3) {
					w.step()
				}
				changed := w.batch(p)
				next, err := o.Update(t.Context(), p, changed)
				fresh, openErr := (&Opener{Secrets: rules.empty()}).Open(t.Context(), w.root, false)
				if (err == nil) != (openErr == nil) {
					t.Fatalf("after %q: Update says %v, Open says %v", w.log, err, openErr)
				}
				if err != nil {
					continue // the batch stays pending, as what it changed was not seen
				}
				if diff := cmp.Diff(describe(fresh), describe(next)); diff != "" {
					t.Fatalf("after %q, reported %q (-Open +Update):\n%s", w.log, changed, diff)
				}
				// A file of no build, like one more in node_modules, is no news.
				_, was, _ := strings.Cut(describe(p), "\n")
				if _, is, _ := strings.Cut(describe(next), "\n"); is != was && next.Sequence <= p.Sequence {
					t.Errorf("after %q: sequence %d does not follow %d", w.log, next.Sequence, p.Sequence)
				}
				p, w.log, w.pending, w.overflow = next, nil, map[string]bool{}, false
			}
		})
	}
}

// empty returns an empty cache of the same rules, which take long to compile.
func (c *SecretCache) empty() *SecretCache {
	fresh := NewSecretCache()
	fresh.scanner = c.scanner
	return fresh
}

// describe lists all that a picture says.
func describe(p *Picture) string {
	var b strings.Builder
	fmt.Fprintf(&b, "files %d\n", p.Files)
	for _, n := range p.Discovery.Notes {
		fmt.Fprintf(&b, "note %+v\n", n)
	}
	for _, problem := range p.Discovery.Problems {
		fmt.Fprintf(&b, "discovery problem %+v\n", problem)
	}
	for _, build := range p.Builds {
		fmt.Fprintf(&b, "build %+v\n", build.Definition)
		if build.Problem != nil {
			fmt.Fprintf(&b, "  problem %+v\n", *build.Problem)
			continue
		}
		for _, step := range build.Selection.Plan.Steps {
			fmt.Fprintf(&b, "  step %s\n", step.Name)
		}
		for _, l := range build.Selection.Locals() {
			fmt.Fprintf(&b, "  local %s: context %+v, sent %+v\n", l.Name, l.Context, l.Sent)
			for f := range l.All() {
				fmt.Fprintf(&b, "    %s %v %d %q %d %v %v\n", f.Path, f.Mode, f.Size, f.Link, f.Bytes, f.Sent, f.Steps)
			}
		}
	}
	for _, f := range p.Findings {
		fmt.Fprintf(&b, "finding %+v\n", f)
	}
	return b.String()
}

// A world is a repository, and a directory outside it, that a test changes.
type world struct {
	t             *testing.T
	rnd           *rand.Rand
	root, outside string
	log           []string        // what was done since the last update
	pending       map[string]bool // absolute paths that a watcher would report
	overflow      bool
}

func newWorld(t *testing.T, seed uint64) *world {
	base := realPath(t.TempDir())
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 3)), root: filepath.Join(base, "repo"), outside: filepath.Join(base, "lib"), pending: map[string]bool{}}
	for name, text := range map[string]string{
		"Dockerfile": dockerfiles()[0], "src/a.js": "a", "package.json": "{}", "docker/api.Dockerfile": "FROM scratch\nCOPY api /api\n",
		"api/main.go": "package main", "node_modules/x/index.js": "x", "../lib/x.txt": "x", "../lib/Dockerfile": "FROM scratch\nCOPY . /\n",
	} {
		w.put(filepath.Join(w.root, name), text)
	}
	for range 6 {
		w.step()
	}
	w.put(filepath.Join(w.root, "stoker.yaml"), "") // Open refuses a bad one
	w.log, w.pending = nil, map[string]bool{}
	return w
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func dockerfiles() []string {
	return []string{
		"FROM node:20\nCOPY package.json ./\nCOPY . .\n", "FROM node:20\nCOPY src /src\n", "FROM scratch\nCOPPY a b\n",
		"FROM a AS b\nCOPY api /api\nFROM scratch\nCOPY --from=b /api/main.go /\n", "FROM scratch\nCOPY missing.txt src/*.js /x/\n",
		"FROM scratch\nCOPY a.js /\n", "FROM scratch\n",
	}
}

// contents of the files that mean something, by name; "" removes it. The
// secret is put together here, so that no file of ours holds one.
func contents() map[string][]string {
	secret := "token = \"ghp_" + strings.Repeat("aB3dE6gH9k", 4)[:36] + "\"\n"
	return map[string][]string{
		"Dockerfile": dockerfiles(), "docker/api.Dockerfile": append(dockerfiles(), ""), "web/Dockerfile": append(dockerfiles(), ""),
		".dockerignore":                      {"", "node_modules\n", "src\n!src/a.js\n", "*\n!src\n!package.json\n", "!\n", "a[\n", "**/*.js\n", "api\n.git\n"},
		"docker/api.Dockerfile.dockerignore": {"", "node_modules\n", "api\n"},
		"stoker.yaml":                        {"", "budget: {file: 3B}\n", "findings: {allow: [{path: \"src/**\", rule: github-pat, reason: x}]}\n", "nope: 1\n", "builds: {one: {context: src, dockerfile: ../Dockerfile}, two: {}}\n"},
		"compose.yaml":                       {"", "services: {s: {build: {context: api, dockerfile: ../Dockerfile}}}\n", "services: {l: {build: ../lib}}\n", "services: [\n", "services: {n: {build: {context: ., additional_contexts: {b: ./api}, dockerfile: Dockerfile}}}\n"},
		"src/a.js":                           {"a", secret, "longer text", "", "const x = 1\n" + secret},
		"api/.env":                           {secret, "", "A=1\n"},
		"node_modules/x/index.js":            {"x", secret, ""},
		"package.json":                       {"{}", ""},
		".git/HEAD":                          {"ref: refs/heads/main\n", ""},
		"target/out.bin":                     {"bin", ""},
		"../lib/x.txt":                       {"x", secret, "", "more"},
		"../lib/.dockerignore":               {"", "x.txt\n"},
	}
}

// step makes one change, or tries one that the system may refuse.
func (w *world) step() {
	known := contents()
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	name := pick(w.rnd, names)
	abs := filepath.Join(w.root, name)
	dir := filepath.Join(w.root, pick(w.rnd, []string{"src", "api", "docker", "web", "src/deep", "target"}))
	switch w.rnd.IntN(14) {
	case 0:
		w.note("mkdir", dir)
		os.MkdirAll(dir, 0o755)
		w.report(filepath.Dir(dir), dir)
	case 1:
		w.note("remove all", dir)
		os.RemoveAll(dir)
		w.report(dir)
	case 2:
		to := filepath.Join(w.root, pick(w.rnd, []string{"src", "api", "web", "moved"}))
		if err := os.Rename(dir, to); err == nil {
			w.note("rename to "+to, dir)
			w.report(dir, to)
		}
	case 3:
		link := filepath.Join(dir, "link")
		target := pick(w.rnd, []string{"a.js", "../package.json", "nowhere", "/src"})
		if err := os.Symlink(target, link); err == nil {
			w.note("link to "+target, link)
			w.report(link)
		}
	case 4:
		mode := pick(w.rnd, []fs.FileMode{0o755, 0o700})
		if err := os.Chmod(dir, mode); err == nil {
			w.note("chmod "+mode.String(), dir)
			w.report(dir)
		}
	case 5:
		w.overflow = w.rnd.IntN(3) == 0
	default:
		text := pick(w.rnd, known[name])
		w.note("write "+strconv.Quote(text), abs)
		w.put(abs, text)
	}
}

func (w *world) note(what, abs string) { w.log = append(w.log, what+" "+abs) }

// put writes text, or removes the file for "".
func (w *world) put(abs, text string) {
	if text == "" {
		os.Remove(abs)
		w.report(abs)
		return
	}
	parent := filepath.Dir(abs)
	if _, err := os.Lstat(parent); err != nil {
		w.report(parent)
	}
	if err := os.MkdirAll(parent, 0o755); err == nil {
		os.WriteFile(abs, []byte(text), 0o644)
	}
	w.report(abs)
}

func (w *world) report(paths ...string) {
	for _, p := range paths {
		w.pending[p] = true
	}
}

// batch returns what a watcher would report for p: paths by root, none of them
// where it has lost track.
func (w *world) batch(p *Picture) map[string][]string {
	changed := map[string][]string{}
	for abs := range w.pending {
		for _, root := range p.Roots() {
			if rel, ok := within(root, abs); ok {
				changed[root] = append(changed[root], rel)
			}
		}
	}
	for root := range changed {
		slices.Sort(changed[root])
		if w.overflow {
			changed[root] = nil
		}
	}
	return changed
}
