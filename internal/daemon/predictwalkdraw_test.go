package daemon_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// draw makes up a repository: a Dockerfile of two or three stages, and files.
func (w *walk) draw() {
	var b strings.Builder
	copies := []string{
		"COPY src /src\n", "COPY . /all\n", "COPY src/a src/b /two/\n", "COPY src/*.txt /texts/\n", "COPY --link conf /conf\n",
		"COPY --chmod=600 conf/one /one\n", "COPY --exclude=*.md src /some\n", "COPY --parents src/**/*.txt /par/\n", "ADD conf /added\n",
		"COPY <<EOF /here\nhello " + w.nonce + "\nEOF\n",
	}
	run := func() string {
		return []string{
			"RUN echo " + w.nonce + fmt.Sprint(w.IntN(3)) + " > /r" + fmt.Sprint(w.IntN(4)) + "\n",
			"RUN --mount=type=bind,source=src,target=/m cat /m/a > /m" + fmt.Sprint(w.IntN(4)) + " && echo " + w.nonce + "\n",
			"RUN --mount=type=cache,target=/c echo " + w.nonce + " > /c/x\n",
			"ARG V=" + fmt.Sprint(w.IntN(2)) + "\nRUN echo $V " + w.nonce + " > /v\n",
			"WORKDIR /w" + w.nonce[:4] + fmt.Sprint(w.IntN(2)) + "\n",
			"ENV E=" + fmt.Sprint(w.IntN(2)) + "\nRUN echo $E " + w.nonce + " > /e\n",
			"USER " + fmt.Sprint(1000+w.IntN(2)) + "\nRUN echo " + w.nonce + "\nUSER 0\n",
		}[w.IntN(7)]
	}
	stages := 2 + w.IntN(2)
	for s := range stages {
		fmt.Fprintf(&b, "FROM node:20 AS s%d\nLABEL nonce=%s\nRUN echo %s%d > /made\n", s, w.nonce, w.nonce, s)
		if w.IntN(4) == 0 {
			b.WriteString("WORKDIR /\n") // counts as a step, but is shown without a number
		}
		if w.IntN(6) == 0 {
			b.WriteString(strings.Repeat("WORKDIR /deeper\nWORKDIR deeper\n", 5)) // so many that numbers are padded
		}
		for range 1 + w.IntN(4) {
			if w.IntN(2) == 0 {
				b.WriteString(copies[w.IntN(len(copies))])
			} else {
				b.WriteString(run())
			}
		}
		if s > 0 && w.IntN(4) > 0 {
			fmt.Fprintf(&b, "COPY --from=s%d /made /from%d\n", w.IntN(s), s)
		}
	}
	w.dockerfile = b.String()
	w.write("Dockerfile", w.dockerfile)
	w.write(".dockerignore", "*.log\n")
	for _, name := range []string{"src/a", "src/b", "src/c.txt", "src/deep/d.txt", "src/e.md", "conf/one", "conf/two", "noise.log", places[0]} {
		w.write(name, name)
	}
}

// places are where the file is that is renamed now and then.
var places = []string{"src/moved.txt", "src/deep/moved.txt", "src/deep/other.txt", "conf/moved"}

// rename moves a file to another place, and returns from where and to which.
func (w *walk) rename() string {
	w.t.Helper()
	i := slices.IndexFunc(places, func(name string) bool { _, err := os.Stat(filepath.Join(w.dir, name)); return err == nil })
	from, to := places[i], places[(i+1+w.IntN(len(places)-1))%len(places)]
	if err := os.Rename(filepath.Join(w.dir, from), filepath.Join(w.dir, to)); err != nil {
		w.t.Fatal(err)
	}
	return "rename " + from + " to " + to
}

// declare declares the walk's args for the only definition.
func (w *walk) declare() {
	w.t.Helper()
	w.write("compose.yaml", fmt.Sprintf("services: {app: {build: {context: ., args: {V: %q}}}}\n", w.args["V"]))
}

// alter is change with what is another question to the daemon, too: the args that a build is
// given, and the images that it is based on.
func (w *walk) alter() string {
	w.t.Helper()
	switch w.IntN(12) {
	case 0:
		w.args = map[string]string{"V": fmt.Sprint(w.IntN(3))}
		w.declare()
		return "declaring V=" + w.args["V"]
	case 1:
		w.causes.moment.base = true
		image := []string{"node:20", "alpine:3.20"}[w.IntN(2)]
		stage := fmt.Sprintf(" AS s%d\n", w.IntN(2))
		w.write("Dockerfile", strings.ReplaceAll(w.dockerfile, "FROM node:20"+stage, "FROM "+image+stage))
		return "basing" + strings.TrimSpace(stage) + " on " + image
	case 2:
		return w.rename()
	}
	return w.change()
}

// change makes a random change such as people make to a repository, and says which.
func (w *walk) change() string {
	files := []string{"src/a", "src/b", "src/c.txt", "src/deep/d.txt", "src/e.md", "conf/one", "conf/two"}
	name := files[w.IntN(len(files))]
	path := filepath.Join(w.dir, name)
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	switch w.IntN(15) {
	case 13:
		return fmt.Sprint("prune of ", w.pruneSome())
	case 11:
		now := time.Now()
		must(os.Chtimes(path, now, now))
		return "touch only " + name
	case 12:
		if !w.blind {
			break
		}
		if w.IntN(2) == 0 {
			mode := []os.FileMode{0o755, 0o700}[w.IntN(2)]
			must(os.Chmod(filepath.Join(w.dir, "src"), mode))
			return fmt.Sprint("chmod the folder src ", mode)
		}
		fi, err := os.Stat(path)
		must(err)
		text, err := os.ReadFile(path)
		must(err)
		if len(text) > 0 {
			text[len(text)-1] = byte('0' + w.IntN(3))
		}
		must(os.WriteFile(path, text, fi.Mode()))
		must(os.Chtimes(path, fi.ModTime(), fi.ModTime()))
		return "edit " + name + " so that it looks the same"
	case 0, 1, 2:
		text := fmt.Sprint("text ", w.IntN(3))
		w.write(name, text)
		return "write " + text + " to " + name
	case 3:
		mode := []os.FileMode{0o644, 0o600, 0o755}[w.IntN(3)]
		must(os.Chmod(path, mode))
		return fmt.Sprint("chmod ", name, mode)
	case 4:
		now, err := os.ReadFile(path)
		must(err)
		w.write(name, string(now))
		return "touch " + name
	case 5:
		extra := filepath.Join(w.dir, "src", fmt.Sprint("extra", w.IntN(2), ".txt"))
		if os.Remove(extra) == nil {
			return "remove " + extra
		}
		w.write(filepath.Join("src", filepath.Base(extra)), "extra")
		return "add " + extra
	case 6:
		w.write("noise.log", rand.Text())
		return "change an ignored file"
	case 7:
		w.write(".dockerignore", []string{"*.log\n", "*.log\n**/*.md\n", "*.log\nconf/two\n"}[w.IntN(3)])
		return "edit the ignore file"
	case 8:
		lines := strings.SplitAfter(w.dockerfile, "\n")
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "RUN echo") && w.IntN(3) == 0 })
		if i < 0 {
			return "nothing"
		}
		edited := slices.Clone(lines)
		edited[i] = strings.TrimSuffix(lines[i], "\n") + fmt.Sprint(" # ", w.IntN(2)) + "\n"
		w.write("Dockerfile", strings.Join(edited, ""))
		return "edit " + lines[i]
	case 9:
		w.write("Dockerfile", w.dockerfile)
		return "take the Dockerfile back"
	case 10:
		w.causes.pruned = true
		must(w.builder.Prune(context.WithoutCancel(w.t.Context()), nil))
		return "prune"
	}
	return "nothing"
}
