package bench_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// commits is the length of the history that is replayed.
const commits = 10_000

// BenchmarkReplay measures stoker replay for 10,000 commits and 40 steps, for which the rules of stoker
// suggest run over all of them, once without a daemon, so that it reads the history, and once with a
// daemon that has read it already. It compares that with the time that git needs for the log from which
// the history is made. stoker suggest itself looks at fewer commits.
func BenchmarkReplay(b *testing.B) {
	user := newUser(b)
	root := longHistory(b, user)
	replay := []string{"replay", "-n", strconv.Itoa(commits), "--json"}
	b.Run("git-log", func(b *testing.B) {
		for b.Loop() {
			user.run(b, root, "git", "log", "--first-parent", "-m", "--raw", "-z", "--no-renames", "--no-abbrev")
		}
	})
	b.Run("stoker-replay", func(b *testing.B) {
		most := 0.0
		for b.Loop() {
			_, state := user.ended(b, root, user.stoker, replay...)
			most = max(most, peakMB(state))
		}
		b.ReportMetric(most, "MB-peak")
	})
	b.Run("stoker-suggest", func(b *testing.B) {
		for b.Loop() {
			user.run(b, root, user.stoker, "suggest", "--json")
		}
	})
	b.Run("stoker-replay-known", func(b *testing.B) {
		user.run(b, root, user.stoker, "up")
		pid := user.daemon(b)
		b.Cleanup(func() { user.run(b, root, user.stoker, "down", "--all") })
		user.run(b, root, user.stoker, replay...)
		for b.Loop() {
			user.run(b, root, user.stoker, replay...)
		}
		b.ReportMetric(residentMB(b, pid), "MB-resident")
	})
}

// longHistory makes a repository with many commits, each of a few files, and a Dockerfile of 40 steps.
func longHistory(b *testing.B, u user) string {
	b.Helper()
	root := b.TempDir()
	u.run(b, root, "git", "init", "-q", "-b", "main")
	dockerfile := "FROM node:20\nWORKDIR /app\n"
	for i := range 19 {
		dockerfile += fmt.Sprintf("COPY area%02d /app/area%02d\nRUN mkdir -p /data/%02d\n", i, i, i)
	}
	dockerfile += "COPY . .\nRUN npm ci\n"
	rnd := rand.New(rand.NewPCG(1, 1))
	var in bytes.Buffer
	for i := range commits {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Ada <ada@shop.example> %d +0000\ndata 1\nc\n", 1_700_000_000+i*600)
		file := func(name, text string) {
			fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
		}
		if i == 0 {
			file("Dockerfile", dockerfile)
			file(".dockerignore", ".git\nnode_modules\n")
			file("package.json", "{}")
			file("package-lock.json", "{}")
			for area := range 19 {
				file(fmt.Sprintf("area%02d/main.js", area), "0")
			}
		}
		for range 1 + rnd.IntN(8) {
			file(fmt.Sprintf("area%02d/part%02d/file%02d.js", rnd.IntN(19), rnd.IntN(20), rnd.IntN(20)), strconv.Itoa(rnd.IntN(1000)))
		}
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Env, cmd.Stdin = root, append(os.Environ(), u.env...), &in
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("git fast-import: %v\n%s", err, out)
	}
	u.run(b, root, "git", "reset", "-q", "--hard")
	u.run(b, root, "git", "gc", "-q")
	return filepath.Clean(root)
}
