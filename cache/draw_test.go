package cache_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A drawn is a definition made at random. All it names is there, so that only a
// link that leads nowhere makes a build of it fail.
type drawn struct {
	rnd   *rand.Rand
	dir   string // the context
	named string // the context "other"

	dockerfile string // the directory of the Dockerfile
	text       strings.Builder
	args       map[string]string
	platforms  []string
	target     string
	remote     remote
	number     int   // of what has a name so far
	failed     error // of its build
}

// A stage is what earlier instructions say about one.
type stage struct {
	name  string
	shell bool // RUN works
	users bool // names of users are known
}

func draw(t *testing.T, seed uint64, from remote) *drawn {
	d := &drawn{
		rnd: rand.New(rand.NewPCG(seed, 7)), dir: t.TempDir(), named: t.TempDir(), dockerfile: t.TempDir(),
		args: map[string]string{}, remote: from,
	}
	for _, dir := range []string{d.dir, d.named} {
		d.grow(t, dir)
	}
	if d.some(4) {
		d.file(t, d.dir, ".dockerignore", "*.log\nsrc/sub/*.tmp\n!src/sub/keep.tmp\n", 0o644)
	}
	if d.some(2) {
		d.args["WORD"] = d.word()
	}
	d.text.WriteString("# syntax=docker/dockerfile:1\nARG WORD\n")
	both := d.some(6)
	if both {
		d.platforms = []string{"linux/amd64", "linux/arm64"}
	}
	var stages []stage
	for i := range 1 + d.rnd.IntN(3) {
		stages = append(stages, d.stage(i, stages, both))
	}
	if d.some(4) {
		d.target = stages[d.rnd.IntN(len(stages))].name
	}
	d.file(t, d.dockerfile, "Dockerfile", d.text.String(), 0o644)
	return d
}

func (d *drawn) some(n int) bool { return d.rnd.IntN(n) == 0 }

func (d *drawn) word() string { return fmt.Sprintf("w%d", d.rnd.IntN(1e9)) }

// next numbers what must not collide.
func (d *drawn) next() int { d.number++; return d.number }

func (d *drawn) pick(list ...string) string { return list[d.rnd.IntN(len(list))] }

// grow fills a context with files of every kind that the instructions name.
func (d *drawn) grow(t *testing.T, dir string) {
	for _, name := range []string{"a.txt", "b.txt", "c.log", "src/x.go", "src/y.go", "src/sub/z.md", "src/sub/old.tmp", "src/sub/keep.tmp", "doc/a.md", "doc/deep/er/b.md"} {
		d.file(t, dir, name, d.word(), [...]fs.FileMode{0o644, 0o755, 0o600}[d.rnd.IntN(3)])
	}
	links := map[string]string{"link": "a.txt", "dirlink": "src", "abs": "/src/sub", "src/up": "../b.txt"}
	if d.some(4) {
		links["dangling"] = "nowhere" // some instructions fail on it
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	text := d.word()
	if err := w.WriteHeader(&tar.Header{Name: "packed", Mode: 0o640, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d.file(t, dir, "t.tar", buf.String(), 0o644)
}

func (d *drawn) file(t *testing.T, dir, name, data string, mode fs.FileMode) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// stage writes one, on an image, on nothing or on one before. For two
// platforms there is no RUN but in what is for the builder's own.
func (d *drawn) stage(i int, before []stage, both bool) stage {
	s := stage{name: fmt.Sprintf("s%d", i)}
	switch dice := d.rnd.IntN(8); {
	case dice == 0 || both && dice < 6:
		fmt.Fprintf(&d.text, "FROM scratch AS %s\n", s.name)
	case dice == 1:
		fmt.Fprintf(&d.text, "FROM other AS %s\n", s.name)
	case dice < 4 && len(before) > 0 && !both:
		base := before[d.rnd.IntN(len(before))]
		s.shell, s.users = base.shell, base.users
		fmt.Fprintf(&d.text, "FROM %s AS %s\n", base.name, s.name)
	case both:
		s.shell, s.users = true, true
		fmt.Fprintf(&d.text, "FROM --platform=$BUILDPLATFORM %s AS %s\n", d.image(), s.name)
	default:
		s.shell, s.users = true, true
		fmt.Fprintf(&d.text, "FROM %s AS %s\n", d.image(), s.name)
	}
	// What others copy from it.
	fmt.Fprintf(&d.text, "COPY src /out/dir\nCOPY a.txt /out/file\n")
	ran := false // each takes its time
	for range 1 + d.rnd.IntN(6) {
		line := d.copy(s, before)
		if d.some(3) {
			line = d.meta(s)
		} else if s.shell && !ran && d.some(3) {
			ran, line = true, d.run(before)
		}
		d.text.WriteString(line + "\n")
	}
	return s
}

func (d *drawn) image() string { return d.pick("busybox", "alpine:3.20", "node:20") }

// meta is an instruction that changes what later ones mean.
func (d *drawn) meta(s stage) string {
	n := d.next()
	list := []string{
		"WORKDIR /w/" + d.word(), "WORKDIR rel", "ENV K" + fmt.Sprint(n) + "=" + d.word(), "ARG A" + fmt.Sprint(n) + "=" + d.word(),
		"ARG WORD", "LABEL a=" + d.word(), "USER 1000", "USER 0", "CMD true", `SHELL ["/bin/sh", "-ec"]`, "EXPOSE 80",
	}
	if s.users {
		list = append(list, "USER nobody", "USER root:root")
	}
	return d.pick(list...)
}

// copy is a COPY or an ADD in one of their forms.
func (d *drawn) copy(s stage, before []stage) string {
	dest := fmt.Sprintf("/c%d/", d.next())
	sources := d.pick(
		"a.txt", "a.txt b.txt", "src", "src/", ".", "*.txt", "src/*.go", "s?c", "src/sub doc/*.md", "link", "dirlink", "dirlink/x.go", "abs/z.md",
		"src src/x.go", "b.txt a.txt", "src/../doc", "[ab].txt", "nothing*", "src/up",
	)
	flags := d.flags(s)
	switch dice := d.rnd.IntN(14); {
	case dice == 0:
		return fmt.Sprintf("COPY%s <<ONE <<\"TWO\" %s\n%s $WORD\nONE\n%s\nTWO", flags, dest, d.word(), d.word())
	case dice == 1:
		return fmt.Sprintf("ADD%s %s %s", flags, d.pick("t.tar", "t.tar a.txt", "src", "*.tar"), dest)
	case dice == 2:
		if d.some(2) {
			return fmt.Sprintf("ADD%s %s#%s%s %s", d.pick("", " --keep-git-dir"), d.remote.repository, d.remote.head, d.pick("", ":sub"), dest)
		}
		return fmt.Sprintf("ADD --checksum=%s %s %s", d.remote.sum, d.remote.file, dest)
	case dice == 3:
		return fmt.Sprintf("COPY --parents%s %s %s", flags, d.pick("src/./sub/*.md", "doc/deep", "**/*.md", "./src/x.go", "doc/*/er a.txt"), dest)
	case dice == 4:
		return fmt.Sprintf("COPY --exclude=%s%s %s %s", d.pick("*.go", "**/*.md", "sub", "x.*"), flags, d.pick("src", ".", "src doc", "s*"), dest)
	case dice == 5:
		return fmt.Sprintf("COPY --from=other%s %s %s", flags, sources, dest)
	case dice < 9 && len(before) > 0:
		from := before[d.rnd.IntN(len(before))]
		return fmt.Sprintf("COPY --from=%s%s %s %s", from.name, flags, d.pick("/out", "/out/", "/out/dir/*.go", "/out/file", "/out/file /out/dir/sub", "/o?t", "/"), dest)
	}
	return fmt.Sprintf("COPY%s %s %s", flags, sources, dest)
}

func (d *drawn) flags(s stage) string {
	var b strings.Builder
	link := d.some(4)
	if link {
		b.WriteString(" --link")
	}
	if d.some(4) {
		owner := d.pick("1", "1:2", "1000:0")
		if s.users && !link && d.some(2) {
			owner = d.pick("root:root", "nobody", "nobody:1")
		}
		b.WriteString(" --chown=" + owner)
	}
	if d.some(5) {
		b.WriteString(" --chmod=" + d.pick("640", "0755", "u=rwX,go=rX"))
	}
	return b.String()
}

// run is a RUN that does nothing, with mounts.
func (d *drawn) run(before []stage) string {
	var b strings.Builder
	b.WriteString("RUN")
	for range d.rnd.IntN(4) {
		at := fmt.Sprintf("target=/m%d", d.next())
		mount := d.pick(
			"type=cache,"+at, "type=cache,id="+d.word()+","+at, "type=cache,sharing=locked,"+at, "type=tmpfs,"+at, "type=secret,id=s,"+at,
			"source=src,"+at, "source=src,rw,"+at, at, at+",rw", "source=a.txt,"+at, "source=dirlink/x.go,"+at, "from=other,source=doc,"+at, "from=other,"+at,
		)
		if len(before) > 0 && d.some(3) {
			mount = "from=" + before[d.rnd.IntN(len(before))].name + "," + d.pick("source=/out,", "source=/out/file,", "") + at + d.pick("", ",rw")
		}
		b.WriteString(" --mount=" + mount)
	}
	if d.some(6) {
		b.WriteString(" --network=none")
	}
	return b.String() + d.pick(" true", " : $WORD", ` ["true"]`, " <<EOT\ntrue "+d.word()+"\nEOT", " true && \\\n  true")
}
