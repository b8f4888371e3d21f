package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// A trap is an address that nobody may dial.
type trap struct {
	address string
	sprung  chan struct{} // closed by the first connection
}

// newTrap listens until the test ends.
func newTrap(t *testing.T) *trap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr := &trap{address: l.Addr().String(), sprung: make(chan struct{})}
	var once sync.Once
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
			once.Do(func() { close(tr.sprung) })
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return tr
}

// isSprung reports whether anybody has dialled.
func (tr *trap) isSprung() bool {
	select {
	case <-tr.sprung:
		return true
	default:
		return false
	}
}

// mustSpring waits until somebody dials: a trap that nothing springs shows nothing.
func (tr *trap) mustSpring(t *testing.T, what string) {
	t.Helper()
	select {
	case <-tr.sprung:
	case <-time.After(patience):
		t.Errorf("%s: nobody dialled, so that the test for a repository that is not allowed shows nothing", what)
	}
}

// hostile fills the repository with everything that would act if stoker let it. Git's part touches
// the file that is returned.
func (u *user) hostile(run, frontend, builder, key *trap) (touched string) {
	u.t.Helper()
	touched = filepath.Join(filepath.Dir(u.dir), "touched")
	u.write("package.json", `{"name": "hostile", "version": "1.0.0", "dependencies": {}}`)
	u.write("package-lock.json", `{"name": "hostile", "version": "1.0.0", "lockfileVersion": 3, "packages": {}}`)
	host, port, _ := net.SplitHostPort(run.address) // a listener's address is well formed
	u.write("Dockerfile", "FROM node:20\nWORKDIR /app\nCOPY . .\nRUN nc -w 1 "+host+" "+port+" </dev/null\nRUN npm ci\n")
	u.write("fetching.Dockerfile", "# syntax="+frontend.address+"/some/frontend:1\nFROM node:20\nCOPY . .\nRUN npm ci\n")
	u.write("cloning.Dockerfile", "FROM node:20\nARG SCHEME=ssh\nADD ssh://git@"+key.address+"/x.git /x\nADD ${SCHEME}://"+key.address+"/y.git /y\n")
	if builder != nil {
		u.write("stoker.yaml", "builder: tcp://"+builder.address+"\n")
	}
	u.run("git", "init", "-q", "-b", "main", ".")
	u.run("git", "add", ".")
	u.run("git", "commit", "-q", "-m", "begin")

	script := filepath.Join(u.dir, ".git", "act")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$0 $*\" >>'"+touched+"'\ncat\n"), 0o755); err != nil {
		u.t.Fatal(err)
	}
	hooks := filepath.Join(u.dir, ".git", "acting")
	if err := os.MkdirAll(hooks, 0o755); err != nil {
		u.t.Fatal(err)
	}
	for _, hook := range []string{"post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc"} {
		if err := os.Symlink(script, filepath.Join(hooks, hook)); err != nil {
			u.t.Fatal(err)
		}
	}
	u.write(".gitattributes", "* filter=act diff=act\n")
	for _, key := range []string{
		"core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "core.askPass", "diff.external", "diff.act.textconv",
		"diff.act.command", "filter.act.clean", "filter.act.smudge", "gpg.program", "credential.helper", "pager.log", "pager.diff",
	} {
		u.run("git", "config", key, script)
	}
	u.run("git", "config", "core.hooksPath", hooks)
	u.run("git", "config", "log.showSignature", "true")
	if err := os.Remove(touched); err != nil && !os.IsNotExist(err) { // git config itself may have acted
		u.t.Fatal(err)
	}
	// Stat data that differs from the index makes git look at the content.
	u.write("package.json", `{"name": "hostile", "version": "1.0.1", "dependencies": {}}`)
	return touched
}

// held returns what the builder holds.
func (u *user) held() string {
	u.t.Helper()
	buildctl, err := lab.Buildctl(u.t.Context())
	if err != nil {
		u.t.Fatal(err)
	}
	return u.run(buildctl, "du", "--verbose")
}

// settled waits until every definition was warmed as far as it may be.
func (u *user) settled() api.Repository {
	u.t.Helper()
	return u.await(func(r api.Repository) string {
		for _, d := range r.Definitions {
			if d.Warm.At.IsZero() || d.Warm.State == "warming" {
				return fmt.Sprintf("%s to be warmed: %+v", d.Name, d.Warm)
			}
		}
		return ""
	})
}

// TestNothingActsBeforeConsent is the promise to whoever clones somebody else's repository: until
// it is allowed nothing of it runs, is dialled or leaves for a builder.
func TestNothingActsBeforeConsent(t *testing.T) {
	t.Parallel()
	u := newUser(t, "prewarm: {level: all, quiet: 100ms}\n") // only consent stands in the way
	run, frontend, builder, key := newTrap(t), newTrap(t), newTrap(t), newTrap(t)
	touched := u.hostile(run, frontend, builder, key)

	u.must("up")
	if r := u.settled(); r.Allowed {
		t.Fatal("the repository counts as allowed")
	}
	for _, args := range [][]string{
		{"status"}, {"check"}, {"suggest"}, {"suggest", "--diff"}, {"stats"}, {"context", "ls", "hostile"},
	} {
		u.stoker(t.Context(), args...) // whatever comes of it: what it did on the way is looked at
	}
	u.write("package.json", `{"name": "hostile", "version": "1.0.2", "dependencies": {}}`)
	u.await(func(r api.Repository) string {
		if r.Pending || r.Sequence < 2 {
			return "the edit to be seen"
		}
		return ""
	})
	u.settled()

	for what, tr := range map[string]*trap{"RUN": run, "# syntax=": frontend, "builder: in stoker.yaml": builder, "ADD ssh://": key} {
		if tr.isSprung() {
			t.Errorf("%s of a repository that is not allowed dialled", what)
		}
	}
	if out, err := os.ReadFile(touched); err == nil {
		t.Errorf("the git configuration of a repository that is not allowed ran:\n%s", out)
	}
	held := u.held()
	if !strings.Contains(held, "docker.io/library/node:20") {
		t.Errorf("the base image was not pulled, so that this shows nothing:\n%s", held)
	}
	for _, trace := range []string{"source.local", "from exec", "exec.cachemount"} {
		if strings.Contains(held, trace) {
			t.Errorf("the builder got something of a repository that is not allowed (%s):\n%s", trace, held)
		}
	}
	u.checkTraps(run, frontend, builder, key, touched)
}

// checkTraps shows that each trap springs where stoker is allowed to act, and git's without stoker.
func (u *user) checkTraps(run, frontend, builder, key *trap, touched string) {
	u.t.Helper()
	if err := os.Remove(filepath.Join(u.dir, "stoker.yaml")); err != nil {
		u.t.Fatal(err)
	}
	u.must("allow")
	run.mustSpring(u.t, "RUN")
	frontend.mustSpring(u.t, "# syntax=")
	key.mustSpring(u.t, "ADD ssh://") // by the builder, which has the frontend too
	if _, err := os.Stat(touched); err == nil {
		u.t.Error("the git configuration of the repository ran once it was allowed: it never may")
	}
	u.settled()
	if held := u.held(); !strings.Contains(held, "source.local") || !strings.Contains(held, "from exec") {
		u.t.Errorf("an allowed repository leaves no trace either, so that none proves nothing:\n%s", held)
	}
	u.write("stoker.yaml", "builder: tcp://"+builder.address+"\n")
	builder.mustSpring(u.t, "builder: in stoker.yaml")
	u.run("git", "status", "--short")
	if _, err := os.Stat(touched); err != nil {
		u.t.Errorf("git itself does not run its configuration here, so that this shows nothing: %v", err)
	}
}
