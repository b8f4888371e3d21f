package project_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/checkout"
	"github.com/stokerd/stoker/internal/git"
	"github.com/stokerd/stoker/internal/project"
)

// run runs a command that sets a repository up.
func run(t *testing.T, dir string, command ...string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.org", "GIT_COMMITTER_NAME=t",
		"GIT_COMMITTER_EMAIL=t@example.org", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ALLOW_PROTOCOL=file")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func realTemp(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// contexts lists what each build takes, by paths and in git's terms.
func contexts(p *project.Picture) []string {
	var list []string
	for _, b := range p.Builds {
		if b.Problem != nil {
			list = append(list, b.Definition.Name+": "+b.Problem.Text)
			continue
		}
		for _, l := range b.Selection.Locals() {
			list = append(list, fmt.Sprintf("%s %s: %v, sent %v, ignore file %s", b.Definition.Name, l.Name, l.Context, l.Sent,
				filepath.Base(l.Ignore.Path)))
			for f := range l.All() {
				list = append(list, fmt.Sprintf("  %s %s %t %d %q %t %v", f.Path, buildctx.TypeOf(f.Mode), f.Mode&0o100 != 0, f.Bytes,
					f.Link, f.Sent, f.Steps))
			}
		}
	}
	return list
}

// A commit read from git's objects gives what its checkout gives, whatever lies
// in the work tree meanwhile.
func TestAtIsACheckout(t *testing.T) {
	dir := realTemp(t)
	script := `
set -e
git init -q -b main .
mkdir -p api/src web docs .hidden deep/er
printf 'FROM a AS build\nCOPY src /src\nCOPY --from=docs *.md /d/\nRUN --mount=type=bind,source=link,target=/x true\nFROM a\nCOPY --from=build /src /src\n' >api/Dockerfile
printf 'src/skip*\n!src/skipped-not\n' >api/Dockerfile.dockerignore
printf '*\n' >api/.dockerignore
printf 'services:\n  api:\n    build: {context: api, additional_contexts: {docs: docs}}\n  web: {build: web}\n  all: {build: {context: ., dockerfile: web/Dockerfile}}\n' >compose.yaml
printf 'FROM a\nCOPY . .\n' >web/dockerfile.real
ln -s dockerfile.real web/Dockerfile
ln -s ../shared.ignore web/.dockerignore
printf '# shared\nnot-*\n**/*.tmp\n' >shared.ignore
echo 1 >api/src/a; echo 22 >api/src/b; echo 3 >api/src/skip1; echo 4 >api/src/skipped-not
chmod +x api/src/b
ln -s src/a api/link
echo x >docs/readme.md; echo *.x >docs/.dockerignore; echo y >docs/b.x
echo one >web/not-this; echo two >web/this; echo t >deep/er/a.tmp; echo h >.hidden/h
printf 'crlf\r\n' >web/crlf
git add -A; git commit -qm one
echo changed >>api/src/a; rm api/src/b; git mv web/this web/that; printf 'src/a\n' >api/Dockerfile.dockerignore
printf 'FROM a\nCOPY that .\n' >web/dockerfile.real; rm web/.dockerignore; ln -sf src/skip1 api/link; chmod -x api/Dockerfile
git add -A; git commit -qm two
echo dirt >api/src/a; rm -r docs/b.x; echo new >web/untracked; printf '*\n' >web/.dockerignore
`
	run(t, dir, "sh", "-c", script)
	o := &project.Opener{}
	now := open(t, o, dir)
	for _, ref := range []string{"HEAD", "HEAD~1"} {
		tree := filepath.Join(realTemp(t), "w")
		run(t, dir, "git", "worktree", "add", "-q", "--detach", tree, ref)
		if err := os.Remove(filepath.Join(tree, ".git")); err != nil { // no part of the commit
			t.Fatal(err)
		}
		want := contexts(open(t, o, tree))
		repo, err := git.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := checkout.Open(t.Context(), repo, ref, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, contexts(o.At(t.Context(), now, c))); diff != "" {
			t.Errorf("%s (-checkout +objects):\n%s", ref, diff)
		}
	}
}

func open(t *testing.T, o *project.Opener, dir string) *project.Picture {
	t.Helper()
	p, err := o.Open(context.WithoutCancel(t.Context()), dir, false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
