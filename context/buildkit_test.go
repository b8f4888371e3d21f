package buildctx

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/context/ignore"
	"github.com/stokerd/stoker/internal/lab"
	"github.com/stokerd/stoker/internal/randtest"
)

func TestMain(m *testing.M) { lab.Main(m) }

// TestBuildKit builds random contexts with random COPY instructions on a real
// BuildKit and compares what it does with the selection:
//
//   - the builder asks the client for exactly the sent set;
//   - a COPY . brings the effective context;
//   - each COPY, ADD and bind mount brings the files that its step is said to
//     take, and a source of which nothing is taken fails the build.
func TestBuildKit(t *testing.T) {
	c, err := client.New(t.Context(), lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	outcomes, builds := map[string]int{}, 0
	for seed := range randtest.Seeds(t, 40, 400) {
		builds++
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			outcomes[newBuildCase(t, seed).check(t, c)]++
		})
	}
	t.Logf("outcomes of %d builds: %v", builds, outcomes)
	if failed := outcomes["refused"]; builds > 20 && failed*2 > builds {
		t.Errorf("%d of %d builds were refused: the cases compare too little", failed, builds)
	}
}

// TestBuildKitOverlaid copies a file by a link to it, over which the same COPY then lays the
// link. The file is taken all the same, and BuildKit asks for it.
func TestBuildKitOverlaid(t *testing.T) {
	bk, err := client.New(t.Context(), lab.For(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer bk.Close()
	dir := lab.Dir(t)
	c := &buildCase{main: dir, text: []string{"FROM scratch", "COPY links/* /s0/"}}
	c.def = Definition{Name: "case", Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile")}
	for _, name := range []string{"files", "links"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, c.def.Dockerfile, strings.Join(c.text, "\n")+"\n")
	mustWrite(t, filepath.Join(dir, "files", "a"), "content")
	for name, target := range map[string]string{"1": "../files/a", "2": "."} {
		if err := os.Symlink(target, filepath.Join(dir, "links", name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.check(t, bk); got != "built" {
		t.Errorf("the outcome is %q, want built", got)
	}
}

// A buildCase is a context, perhaps a named one, and a Dockerfile, all random.
type buildCase struct {
	rnd   *rand.Rand
	main  string
	named string // "" for none
	def   Definition
	text  []string // of the Dockerfile
	files int
}

func newBuildCase(t *testing.T, seed uint64) *buildCase {
	c := &buildCase{rnd: rand.New(rand.NewPCG(seed, 11)), main: lab.Dir(t)}
	c.grow(t, c.main)
	c.def = Definition{Name: "case", Context: c.main, Dockerfile: filepath.Join(c.main, "Dockerfile")}
	if c.rnd.IntN(3) == 0 {
		c.def.Dockerfile = filepath.Join(t.TempDir(), "x.Dockerfile")
	}
	c.ignore(t, filepath.Join(c.main, ".dockerignore"))
	if c.rnd.IntN(6) == 0 {
		c.ignore(t, c.def.Dockerfile+".dockerignore")
	}
	if c.rnd.IntN(3) == 0 {
		c.named = lab.Dir(t)
		c.grow(t, c.named)
		c.ignore(t, filepath.Join(c.named, ".dockerignore"))
		c.def.NamedContexts = map[string]string{"other": c.named}
	}
	c.write()
	mustWrite(t, c.def.Dockerfile, strings.Join(c.text, "\n")+"\n")
	return c
}

// grow fills dir with entries of every kind. Each regular file has a unique name
// and content, so that it can be recognised wherever a build puts it.
func (c *buildCase) grow(t *testing.T, dir string) {
	dirs, all := []string{"."}, []string{"nowhere"}
	for range 4 + c.rnd.IntN(25) {
		parent := pick(c.rnd, dirs)
		c.files++
		name := path.Join(parent, fmt.Sprintf("%s%d%s", pick(c.rnd, []string{"a", "b", "src", ".h", "sp ace"}), c.files, pick(c.rnd, []string{"", ".go", ".md"})))
		abs := filepath.Join(dir, name)
		switch c.rnd.IntN(9) {
		case 0, 1, 2:
			name = path.Join(parent, pick(c.rnd, []string{"a", "b", "src", "src.d", "node_modules", ".git", "sp ace"}))
			if os.Mkdir(filepath.Join(dir, name), pick(c.rnd, []fs.FileMode{0o755, 0o700})) == nil {
				dirs = append(dirs, name)
			}
		case 3, 4, 5, 6:
			mustWrite(t, abs, "content of "+name+" "+strconv.Itoa(c.files))
			if err := os.Chmod(abs, pick(c.rnd, []fs.FileMode{0o644, 0o600, 0o755})); err != nil {
				t.Fatal(err)
			}
		case 7:
			target := pick(c.rnd, all)
			rel, err := filepath.Rel(parent, target)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(pick(c.rnd, []string{rel, "/" + target, "../" + target}), abs); err != nil {
				t.Fatal(err)
			}
		case 8:
			if c.rnd.IntN(4) == 0 {
				if err := syscall.Mkfifo(abs, 0o600); err != nil {
					t.Fatal(err)
				}
			} else if fi, err := os.Lstat(filepath.Join(dir, pick(c.rnd, all))); err == nil && fi.Mode().IsRegular() {
				if err := os.Link(filepath.Join(dir, fi.Name()), abs); err != nil {
					continue // it is not at the root
				}
			}
		}
		all = append(all, name)
	}
}

// ignore writes an ignore file of patterns that BuildKit takes.
func (c *buildCase) ignore(t *testing.T, name string) {
	var list []string
	for range c.rnd.IntN(5) {
		p := pick(c.rnd, []string{"", "", "**/", "*/", "a/"}) + pick(c.rnd, []string{"a", "b", "src", "src*", "*", "**", "*.go", "s?c", "[a-c]*", "**.md", ".*", "node_modules"})
		if c.rnd.IntN(3) == 0 {
			p += pick(c.rnd, []string{"/*", "/**", "/*.go"})
		}
		if c.rnd.IntN(3) == 0 {
			p = "!" + p
		}
		list = append(list, p)
	}
	if text := strings.Join(list, "\n") + "\n"; len(list) > 0 {
		if _, err := ignore.Parse(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, name, text)
	}
}

// paths lists what is in dir, in the form of COPY sources. Ignored files and links
// are rarely among them, since most builds would fail on those.
func (c *buildCase) paths(dir string) []string {
	list := []string{"."}
	dockerfile := c.def.Dockerfile
	if dir == c.named {
		dockerfile = ""
	}
	file, _ := ignore.Find(dir, dockerfile)
	matcher, _ := ignore.NewMatcher(file)
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		if err != nil || rel == "." || strings.Contains(rel, " ") || rel == ".dockerignore" { // see askedFor.filter
			return err
		}
		if trap := matcher.Ignored(rel) || d.Type()&fs.ModeSymlink != 0; !trap || c.rnd.IntN(12) == 0 {
			list = append(list, filepath.ToSlash(rel))
		}
		return nil
	})
	return list
}

// source draws a COPY source in dir.
func (c *buildCase) source(dir string) string {
	src := pick(c.rnd, c.paths(dir))
	switch {
	case src == "." && c.rnd.IntN(4) > 0 && len(c.paths(dir)) > 1:
		return c.source(dir)
	case c.rnd.IntN(5) == 0:
		return path.Join(path.Dir(src), pick(c.rnd, []string{"*", "a*", "*.go", "[ab]*"}))
	case c.rnd.IntN(6) == 0:
		return "./" + src + "/"
	case c.rnd.IntN(6) == 0:
		return "/" + src
	}
	return src
}

// write draws the Dockerfile. Every instruction copies into a directory of its
// own, and half of the Dockerfiles also copy the whole context.
func (c *buildCase) write() {
	var mounts, final []string
	for i := range 1 + c.rnd.IntN(5) {
		dir, from := c.main, ""
		if c.named != "" && c.rnd.IntN(2) == 0 {
			dir, from = c.named, "--from=other "
		}
		dest := fmt.Sprintf("/s%d/", i)
		src := c.source(dir)
		switch n := c.rnd.IntN(12); {
		case n == 0:
			src = strings.NewReplacer("*", "", "[ab]", "a").Replace(src) // a mount knows no wildcards
			mount := "--mount=type=bind,source=" + src + ",target=/m"
			if from != "" {
				mount += ",from=other"
			}
			mounts = append(mounts, "RUN "+mount+" cp -a /m /out"+strings.TrimSuffix(dest, "/"))
			final = append(final, "COPY --from=run /out"+strings.TrimSuffix(dest, "/")+" "+dest)
		case n == 1 && from == "":
			final = append(final, "ADD "+src+" "+dest)
		case n == 2 && path.Clean("/"+src) != "/": // BuildKit refuses --parents of the root
			final = append(final, "COPY --parents "+from+strings.TrimPrefix(src, "/")+" "+dest)
		case n == 3:
			final = append(final, "COPY --exclude="+pick(c.rnd, []string{"*.go", "**/*.md", "a*"})+" "+from+src+" "+dest)
		case n == 4:
			final = append(final, "COPY --link "+from+src+" "+dest)
		case n == 5:
			final = append(final, "COPY "+from+src+" "+c.source(dir)+" "+dest)
		default:
			final = append(final, "COPY "+from+src+" "+dest)
		}
	}
	if c.rnd.IntN(2) == 0 {
		final = append(final, "COPY . /all")
	}
	if len(mounts) > 0 {
		c.text = append(append(c.text, "FROM busybox AS run", "RUN mkdir /out"), mounts...)
	}
	c.text = append(append(c.text, "FROM scratch AS unused", "COPY . /", "FROM scratch"), final...)
}

// check builds c and compares. It returns "refused", "built", or "built whole" if
// the effective context was compared too.
func (c *buildCase) check(t *testing.T, bk *client.Client) string {
	s := c.selection(t)
	asked, out, err := c.build(t, bk)
	context := fmt.Sprintf("%s\nignore file: %q", strings.Join(c.text, "\n"), s.Main.Ignore.Patterns())
	for _, l := range s.Locals() {
		var want []string
		for f := range l.All() {
			if f.Sent {
				want = append(want, f.Path)
			}
		}
		got := asked.sorted(l.Name)
		slices.Sort(want)
		if err != nil && len(got) == 0 {
			continue // the build failed before it asked
		}
		if err != nil && !asked.whole(l.Name, len(requests(s.Plan, l.Name))) {
			// The build failed over another context and cut this request short.
			want = slices.DeleteFunc(want, func(p string) bool { return !slices.Contains(got, p) })
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("sent of %s (-BuildKit +stoker):\n%s%s", l.Name, diff, context)
		}
	}
	missing := untaken(s)
	if err != nil {
		if len(missing) == 0 && !doubtful(s) {
			t.Errorf("every source is taken, and BuildKit refuses the build: %v\n%s", err, context)
		}
		return "refused"
	}
	if len(missing) > 0 && !doubtful(s) {
		t.Errorf("BuildKit builds although nothing is taken for %v\n%s", missing, context)
	}
	for i, step := range s.Plan.Steps {
		c.checkStep(t, s, i, step, out, context)
	}
	if slices.Contains(c.text, "COPY . /all") {
		if diff := cmp.Diff(treeOf(t, filepath.Join(out, "all")), effective(s.Main)); diff != "" {
			t.Errorf("effective context (-BuildKit +stoker):\n%s%s", diff, context)
		}
		return "built whole"
	}
	return "built"
}

// checkStep compares the contents of the files that step i brought with those of
// the files that it is said to take.
func (c *buildCase) checkStep(t *testing.T, s *Selection, i int, step dockerfile.Step, out, context string) {
	dest := ""
	for _, take := range step.Takes {
		dest = take.Dest
		if take.Mount {
			fields := strings.Fields(step.Instruction)
			dest = strings.TrimPrefix(fields[len(fields)-1], "/out")
		}
	}
	if dest == "" || dest == "/all" {
		return
	}
	want := map[string]bool{}
	may := map[string]bool{} // content that may be in want, or not in the image
	for _, l := range s.Locals() {
		empty := map[uint64]bool{} // what is withheld, and its further names with it
		overlaid := overlaidBy(l, i)
		for f := range l.All() {
			empty[f.Inode] = empty[f.Inode] || f.Withheld
			if slices.Contains(f.Steps, i) && f.Mode.IsRegular() {
				content, err := os.ReadFile(filepath.Join(l.Root, f.Path))
				if err != nil {
					t.Fatal(err)
				}
				if f.Withheld || f.Linked && empty[f.Inode] {
					content = nil
				}
				if overlaid[f.Path] {
					may[string(content)] = true
				} else {
					want[string(content)] = true
				}
			}
		}
	}
	got := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(out, dest), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var content []byte
			content, err = os.ReadFile(p)
			got[string(content)] = true
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for content := range may {
		want[content] = want[content] || got[content]
	}
	maps.DeleteFunc(want, func(_ string, wanted bool) bool { return !wanted })
	if diff := cmp.Diff(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))); diff != "" {
		t.Errorf("%s takes (-BuildKit +stoker):\n%s%s", step.Name, diff, context)
	}
}

// overlaidBy returns the files that step i copies by a link to them, and then perhaps lays that
// very link over: it takes another link to the folder that the first one is in, such as one to
// ".", and copies what is in there to the same place, links as links.
func overlaidBy(l Local, i int) map[string]bool {
	links := map[string]string{} // that the step takes, and where they lead
	for f := range l.All() {
		if slices.Contains(f.Steps, i) && f.Link != "" {
			links[f.Path] = path.Join(path.Dir(f.Path), f.Link)
		}
	}
	overlaid := map[string]bool{}
	for link, target := range links {
		for other, dir := range links {
			if other != link && dir == path.Dir(link) {
				overlaid[target] = true
			}
		}
	}
	return overlaid
}

// selection computes stoker's selection for c.
func (c *buildCase) selection(t *testing.T) *Selection {
	t.Helper()
	s, err := Compute(t.Context(), c.def, nil, func(dir string) (*Tree, string, error) {
		tree, err := Scan(t.Context(), dir, nil)
		return tree, ".", err
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(c.text, "\n"))
	}
	return s
}
