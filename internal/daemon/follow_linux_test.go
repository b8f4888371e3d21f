package daemon_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/daemon"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/internal/report"
)

// TestFollowsAnything makes random changes to repositories on disk while the daemon watches
// them. Its answers, which must not miss a change, have to be those of a newly opened
// repository: definitions, problems, totals, files, steps and findings.
func TestFollowsAnything(t *testing.T) {
	r := start(t, t.TempDir(), nil, func(o *daemon.Options) { o.Log = slog.New(slog.DiscardHandler) })
	fresh := &project.Opener{Secrets: project.NewSecretCache()}
	for seed := range randtest.Seeds(t, 30, 2000) {
		f := newFollowed(t, seed)
		r.up(f.root, false)
		for range 5 {
			f.change(r)
			want, got := f.fresh(fresh), f.watched(r)
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(answer{}, "Why"), sameText); diff != "" {
				t.Fatalf("seed %d, after\n  %s\n(-fresh +watched):\n%s\nfresh: %v\nwatched: %v", seed, strings.Join(f.log, "\n  "), diff, want.Why, got.Why)
			}
		}
		if _, err := r.Down(t.Context(), api.DownRequest{Dir: f.root}); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Dir(f.root)); err != nil {
			t.Fatal(err)
		}
	}
}

// sameText compares texts as JSON expresses them, which the watched ones went through, and without
// what BuildKit's parser proposes instead of an unknown instruction, as it takes any one of those
// that are equally similar.
var sameText = cmp.Comparer(func(a, b string) bool {
	proposal := regexp.MustCompile(`\(did you mean \w+\?\)`)
	plain := func(s string) string { return proposal.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "") }
	return a == b || plain(a) == plain(b)
})

// A followed is a repository that a test changes at random.
type followed struct {
	*rand.Rand
	t      *testing.T
	root   string
	beside string   // a build context that is not in the repository
	apart  string   // a folder that nobody watches, to and from which things are moved
	log    []string // what was done
}

// newFollowed returns the repository that follows from seed.
func newFollowed(t *testing.T, seed uint64) *followed {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base = filepath.Join(base, fmt.Sprint(seed))
	f := &followed{
		Rand: rand.New(rand.NewPCG(seed, 17)), t: t,
		root: filepath.Join(base, "repo"), beside: filepath.Join(base, "lib"), apart: filepath.Join(base, "apart"),
	}
	for _, dir := range []string{f.root, f.beside, f.apart} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	texts := meaning()
	for _, name := range []string{"Dockerfile", "api/Dockerfile", "src/a.js", "package.json", "node_modules/x/index.js", "../lib/x.txt"} {
		write(t, filepath.Join(f.root, name), texts[name][0])
	}
	for range 12 {
		f.step()
	}
	if fi, err := os.Lstat(f.root); err != nil || !fi.IsDir() {
		f.did("remove", os.RemoveAll(f.root), f.root)
		write(t, filepath.Join(f.root, "Dockerfile"), texts["Dockerfile"][0])
	}
	f.log = nil
	return f
}

// meaning returns contents for the files that mean something to stoker, by path. The secret
// among them is put together here, so that no file of this repository holds one.
func meaning() map[string][]string {
	secret := "token = \"ghp_" + strings.Repeat("aB3dE6gH9k", 4)[:36] + "\"\n"
	dockerfiles := []string{
		"FROM node:20\nCOPY package.json ./\nCOPY . .\n", "FROM scratch\nCOPY src /src\nADD link* api/** /x/\n", "FROM scratch\nCOPPY a b\n",
		"FROM a AS b\nCOPY api /api\nFROM scratch\nCOPY --from=b /api/a.js /\nRUN --mount=type=bind,source=src ls\n",
		"FROM scratch\nCOPY --exclude=*.md missing.txt src/*.js /x/\n", "FROM scratch\n", "# escape=`\nFROM scratch\nCOPY --parents src/deep/*.js .env /\n",
	}
	return map[string][]string{
		"Dockerfile": dockerfiles, "api/Dockerfile": dockerfiles, "web/b.Dockerfile": dockerfiles,
		".dockerignore": {
			"node_modules\n", "src\n!src/a.js\n", "*\n!src\n!package.json\n!api\n!web\n", "!\n", "a[\n", "**/*.js\n", "api/*.js\n.git\n", "src/*\n!**/*.md\n", "\n",
		},
		"api/Dockerfile.dockerignore": {"node_modules\n", "api\n"},
		"stoker.yaml":                 {"budget: {file: 3B}\n", "nope: 1\n", "builds: {one: {context: src, dockerfile: ../Dockerfile}, two: {}}\n", "\n"},
		"compose.yaml": {
			"services: {s: {build: {context: api, dockerfile: ../Dockerfile}}}\n", "services: {l: {build: ../lib}}\n", "services: [\n",
			"services: {n: {build: {context: ., additional_contexts: {b: ./api}, dockerfile: Dockerfile}}}\n",
		},
		"src/a.js": {"a", secret, "longer text", "const x = 1\n" + secret}, "api/.env": {secret, "A=1\n"}, ".env": {"B=1\n", secret},
		"node_modules/x/index.js": {"x", secret}, "package.json": {"{}", "{\"name\": \"shop\"}"}, "src/deep/b.md": {"text"},
		"../lib/x.txt": {"x", secret, "more"}, "../lib/Dockerfile": {"FROM scratch\nCOPY . /\n"}, "../lib/.dockerignore": {"x.txt\n"},
	}
}

// change makes some changes, half of the time while the daemon is asked again and again, so
// that it reads files which are being changed.
func (f *followed) change(r *running) {
	n := 1 + f.IntN(8)
	if f.IntN(2) == 0 {
		for range n {
			f.step()
		}
		return
	}
	var asking sync.WaitGroup
	done := make(chan struct{})
	asking.Go(func() {
		for {
			_, _ = r.Check(f.t.Context(), api.CheckRequest{Query: api.Query{Dir: f.root}}) // compared later
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range 2 * n {
		f.step()
	}
	close(done)
	asking.Wait()
}

// pick returns a random element of list.
func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// place returns a random path, often one that means something to stoker.
func (f *followed) place() string {
	dir := pick(f.Rand, []string{".", "src", "src/deep", "api", "web", "node_modules", "target", ".git", "../lib", "../lib/sub"})
	switch f.IntN(5) {
	case 0:
		return filepath.Join(f.root, dir, pick(f.Rand, []string{"a.js", "b.md", "c", "link", "link2", "x.txt", "a\nb", "\xff"}))
	case 1:
		return filepath.Join(f.root, dir)
	}
	names := make([]string, 0, 20)
	for name := range meaning() {
		names = append(names, name)
	}
	slices.Sort(names)
	return filepath.Join(f.root, pick(f.Rand, names))
}

// content returns a random content for the file at name.
func (f *followed) content(name string) string {
	rel, _ := filepath.Rel(f.root, name)
	if texts := meaning()[filepath.ToSlash(rel)]; texts != nil {
		return pick(f.Rand, texts)
	}
	return strings.Repeat("x", f.IntN(30))
}

// step makes one random change, such as people and tools make. A change that the system
// refuses is not made.
func (f *followed) step() {
	a, b := f.place(), f.place()
	longAgo := time.Unix(1_700_000_000, 0) // a time such as unpacking an archive sets
	switch f.IntN(24) {
	case 0, 1, 2, 3, 4:
		f.did("write", f.write(a, f.content(a)), a)
	case 5, 6:
		f.did("save", f.save(a, f.content(a)), a)
	case 7:
		f.did("append", f.extend(a), a)
	case 8:
		f.did("chmod", os.Chmod(a, pick(f.Rand, []fs.FileMode{0o700, 0o755, 0o711})), a)
	case 9:
		f.did("remove", os.Remove(a), a)
	case 10:
		f.remove(a)
	case 11:
		f.did("mkdir", os.MkdirAll(a, 0o755), a)
	case 12, 13:
		f.did("rename", os.Rename(a, b), a, b)
	case 14:
		f.did("exchange", unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE), a, b)
	case 15:
		f.did("link", os.Symlink(f.target(a, b), a), a, b)
	case 16, 17:
		f.did("swap link", f.swap(f.target(a, b), a), a, b)
	case 18:
		f.did("hard link", os.Link(a, b), a, b)
	case 19:
		away := filepath.Join(f.apart, fmt.Sprint(f.IntN(3)))
		f.did("put away", os.Rename(a, away), a, away)
	case 20:
		away := filepath.Join(f.apart, fmt.Sprint(f.IntN(3)))
		f.did("bring back", os.Rename(away, a), away, a)
	case 21:
		f.did("replace", f.replace(a), a)
	case 22:
		f.did("touch", os.Chtimes(a, longAgo, longAgo), a)
	case 23:
		if f.IntN(200) == 0 {
			f.did("flood", f.flood())
		}
	}
}

// did adds to the log what was done to paths, unless it failed: then nothing changed.
func (f *followed) did(what string, err error, paths ...string) {
	if err == nil {
		f.log = append(f.log, fmt.Sprintf("%s %q", what, paths))
	}
}

// write writes a file, and makes the folders that it is in.
func (f *followed) write(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644)
}

// save writes a file as editors do: it writes a new one, which it then renames.
func (f *followed) save(name, text string) error {
	beside := name + "~"
	if err := f.write(beside, text); err != nil {
		return err
	}
	if err := os.Rename(beside, name); err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	return nil
}

// extend appends a line to an existing file.
func (f *followed) extend(name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString("\n")
	return errors.Join(err, file.Close())
}

// remove removes a file, or a directory with all that is in it, but not the repository.
func (f *followed) remove(name string) {
	if name != f.root {
		f.did("remove all", os.RemoveAll(name), name)
	}
}

// replace removes a directory and makes one of the same name with a file in it.
func (f *followed) replace(name string) error {
	if fi, err := os.Lstat(name); err != nil || !fi.IsDir() || name == f.root {
		return fs.ErrInvalid
	}
	if err := os.RemoveAll(name); err != nil {
		return err
	}
	return f.write(filepath.Join(name, "a.js"), "new")
}

// target returns a random target for a symbolic link at name, perhaps the path to.
func (f *followed) target(name, to string) string {
	rel, err := filepath.Rel(filepath.Dir(name), to)
	if err != nil {
		return to
	}
	return pick(f.Rand, []string{rel, to, "a.js", "..", "nowhere"})
}

// swap replaces the file at name by a symbolic link in one step, as deployments do.
func (f *followed) swap(target, name string) error {
	beside := name + ".new"
	if err := os.Symlink(target, beside); err != nil {
		return err
	}
	if err := os.Rename(beside, name); err != nil {
		return errors.Join(err, os.Remove(beside))
	}
	return nil
}

// flood causes so many events that the kernel drops some if the daemon is slow.
func (f *followed) flood() error {
	for i := range 20_000 {
		name := filepath.Join(f.root, "flood", fmt.Sprint(i%2))
		if err := os.MkdirAll(name, 0o755); err != nil {
			return err
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// An answer is all that stoker tells of a repository.
type answer struct {
	None     bool  // there is no picture of it
	Why      error // for which reason; the words are not compared
	Check    api.Check
	Contexts map[string]api.Context // by definition
	Problems map[string]string      // of definitions that have no context
}

// watched returns the daemon's answer.
func (f *followed) watched(r *running) answer {
	f.t.Helper()
	query := func(names ...string) api.Query { return api.Query{Dir: f.root, Names: names} }
	check, err := r.Check(f.t.Context(), api.CheckRequest{Query: query()})
	return f.answer(check, err, func(name string) (api.Context, error) {
		return r.Context(f.t.Context(), api.ContextRequest{Query: query(name)})
	})
}

// fresh returns the answer from a newly opened repository.
func (f *followed) fresh(o *project.Opener) answer {
	f.t.Helper()
	p, err := o.Open(f.t.Context(), f.root, false)
	if err != nil {
		return answer{None: true, Why: err}
	}
	check, err := report.Check(p, nil)
	return f.answer(check, err, func(name string) (api.Context, error) {
		b, ok := p.Find(name)
		if !ok {
			f.t.Fatalf("no build %s", name)
		}
		return report.Context(p, b, api.ContextRequest{})
	})
}

// answer returns the answer with this check, or with its error, and with the contexts of its
// definitions.
func (f *followed) answer(check api.Check, err error, context func(name string) (api.Context, error)) answer {
	f.t.Helper()
	if err != nil {
		return answer{None: true, Why: err}
	}
	a := answer{Check: check, Contexts: map[string]api.Context{}, Problems: map[string]string{}}
	for _, d := range check.Definitions {
		c, err := context(d.Name)
		if err != nil {
			a.Problems[d.Name] = err.Error()
			continue
		}
		a.Contexts[d.Name] = c
	}
	return a
}

// TestFollowsOtherNames: if a file with two names is written by the one outside of the
// repository, no event tells. Its size must be told as it is all the same.
func TestFollowsOtherNames(t *testing.T) {
	r := start(t, t.TempDir(), nil)
	root := repository(t, map[string]string{"Dockerfile": "FROM scratch\nCOPY src /src\n", "src/a": "one"})
	outside := filepath.Join(t.TempDir(), "store")
	if err := os.Link(filepath.Join(root, "src", "a"), outside); err != nil {
		t.Fatal(err)
	}
	r.up(root, false)
	for _, text := range []string{"one", "longer than one", "one"} {
		write(t, outside, text)
		answer, err := r.Context(t.Context(), api.ContextRequest{Query: api.Query{Dir: root}})
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.Sent.Bytes; got != int64(len(text)) {
			t.Errorf("%d bytes are sent, want %d", got, len(text))
		}
	}
}
