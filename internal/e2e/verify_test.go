package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
)

// A repository whose Dockerfile has one thing to suggest.
func (u *user) slowShop(dockerfile string) {
	u.t.Helper()
	for name, text := range map[string]string{
		"Dockerfile": dockerfile, ".dockerignore": "node_modules\n.git\n", "app.js": "1",
		"package.json":      `{"name": "shop", "dependencies": {"left-pad": "1.3.0"}}`,
		"package-lock.json": `{"lockfileVersion": 3, "packages": {"": {"dependencies": {"left-pad": "1.3.0"}}, "node_modules/left-pad": {"version": "1.3.0"}}}`,
	} {
		u.write(name, text)
	}
	u.run("git", "init", "-q", "-b", "main", ".")
	u.run("git", "add", ".")
	u.run("git", "commit", "-q", "-m", "begin")
	for range 3 {
		u.append("app.js", "\n")
		u.run("git", "commit", "-q", "-a", "-m", "edit")
	}
}

const everythingFirst = "FROM node:20\nENV STANDIN_SECONDS=0\nWORKDIR /app\nCOPY . .\nRUN npm ci\nCMD [\"node\", \"app.js\"]\n"

// suggested asks for suggestions and returns them with the exit status.
func (u *user) suggested(args ...string) (api.SuggestDefinition, int) {
	u.t.Helper()
	cmd := u.command(u.t.Context(), program, append([]string{"suggest", "--json"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the status says it
	var answer api.Suggest
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil || len(answer.Definitions) != 1 {
		u.t.Fatalf("stoker suggest --json %s: %v\n%s%s", strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return answer.Definitions[0], cmd.ProcessState.ExitCode()
}

// TestVerify: with and without a daemon, a suggestion is proven by building, and
// the repository stays as it is.
func TestVerify(t *testing.T) {
	t.Parallel()
	u := newUser(t, "prewarm: {level: off}\n")
	u.slowShop(everythingFirst)
	for _, daemon := range []bool{false, true} {
		if daemon {
			u.must("up")
		}
		d, status := u.suggested("--verify", "--rule", "manifests-first")
		if status != 0 || len(d.Suggestions) != 1 || d.Suggestions[0].Proof != "verified" || len(d.Suggestions[0].Changes) > 0 {
			t.Fatalf("daemon %v: exit status %d, %+v", daemon, status, d)
		}
		v := d.Suggestions[0].Verification
		if v.Outcome != "equal" || v.Images != 1 || v.Files < 100 || v.NotCovered != 0 || len(v.Edited) != 1 || v.Edited[0].Path != "app/Dockerfile" {
			t.Errorf("daemon %v: %+v", daemon, v)
		}
	}
	if out := u.run("git", "status", "--porcelain"); out != "" {
		t.Errorf("verifying left %s", out)
	}
	// Unallowed, a change is made without being built, and that is said.
	u.must("suggest", "--apply", "--no-verify", "--rule", "manifests-first")
	u.must("suggest", "--undo")
	cmd := u.command(t.Context(), program, "suggest", "--apply", "--rule", "manifests-first")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil || !strings.Contains(stderr.String(), "not proven by a build: the repository is not allowed") {
		t.Errorf("apply, not allowed: %v, %s", err, stderr.String())
	}
	u.must("suggest", "--undo")
	u.must("allow")
	stderr.Reset()
	cmd = u.command(t.Context(), program, "suggest", "--apply", "--all", "--rule", "manifests-first")
	cmd.Stderr = &stderr
	if out, err := cmd.Output(); err != nil || string(out) != "Dockerfile: copy what npm needs before the sources\n" || !strings.Contains(stderr.String(), "building as proposed") {
		t.Errorf("apply, allowed: %v, %s%s", err, out, stderr.String())
	}
}

// TestVerifyFindsADifference: npm is a script of the base image, which here looks
// at a file that it should not, so that the move that is right for npm is wrong.
func TestVerifyFindsADifference(t *testing.T) {
	t.Parallel()
	u := newUser(t, "")
	u.slowShop(strings.Replace(everythingFirst, "WORKDIR", spyOnInstall+"WORKDIR", 1))
	before := u.run("cat", "Dockerfile")
	d, status := u.suggested("--verify", "--rule", "manifests-first")
	if status != 1 || len(d.Suggestions) != 0 || len(d.Withdrawn) != 1 {
		t.Fatalf("exit status %d, %+v", status, d)
	}
	v := d.Withdrawn[0].Verification
	if v.Outcome != "differs" || len(v.Differences) != 1 || v.Differences[0].Path != "seen" || v.Differences[0].What != "content" {
		t.Errorf("verification: %+v", v)
	}
	out, status := u.stoker(t.Context(), "suggest", "--verify", "--rule", "manifests-first")
	if status != 1 || !strings.Contains(out, "withdrawn  copy what npm needs before the sources") || !strings.Contains(out, "       seen  content  ") {
		t.Errorf("exit status %d: %s", status, out)
	}
	for _, how := range [][]string{{"--apply"}, {"--apply", "--all"}} {
		out, status = u.stoker(t.Context(), append([]string{"suggest", "--verify", "--rule", "manifests-first"}, how...)...)
		if status != 1 || !strings.Contains(out, "withdrawn") || u.run("cat", "Dockerfile") != before {
			t.Errorf("%v: exit status %d: %s\n%s", how, status, out, u.run("cat", "Dockerfile"))
		}
	}
}

// spyOnInstall has every npm count the files that are there, in a way that cannot be read
// from the Dockerfile.
var spyOnInstall = "RUN echo " + base64.StdEncoding.EncodeToString([]byte(`
mv /usr/local/bin/npm /usr/local/bin/real
printf '#!/bin/sh\nls | wc -l > /seen\nexec sh /usr/local/bin/real "$@"\n' > /usr/local/bin/npm
sed -i 's/^tool=.*/tool=npm/' /usr/local/bin/real
chmod 755 /usr/local/bin/npm
`)) + " | base64 -d | sh\n"

// TestVerifyIsInterrupted: Ctrl-C ends the build on the builder, and leaves nothing
// behind.
func TestVerifyIsInterrupted(t *testing.T) {
	t.Parallel()
	u := newUser(t, "")
	u.slowShop("FROM node:20\nWORKDIR /app\nCOPY . .\nRUN npm ci\nRUN sleep 361713\n")
	temp := filepath.Join(filepath.Dir(u.dir), "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := u.command(t.Context(), program, "suggest", "--verify")
	cmd.Env = append(cmd.Env, "TMPDIR="+temp)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitProcess(t, "sleep\x00361713\x00", true)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the status says it
	if status := cmd.ProcessState.ExitCode(); status != 130 {
		t.Errorf("exit status %d", status)
	}
	if entries, err := os.ReadDir(temp); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if out := u.run("git", "status", "--porcelain"); out != "" {
		t.Errorf("left behind: %s", out)
	}
	awaitProcess(t, "sleep\x00361713\x00", false)
}

// TestApplyAfterAnEdit: what the user writes into the Dockerfile while a change of it is being
// proven stays, and the change is not made.
func TestApplyAfterAnEdit(t *testing.T) {
	t.Parallel()
	u := newUser(t, "")
	u.slowShop("FROM node:20\nENV STANDIN_SECONDS=0\nWORKDIR /app\nCOPY . .\nRUN npm ci\nRUN sleep 3.61714\n")
	cmd := u.command(t.Context(), program, "suggest", "--apply", "--verify", "--rule", "manifests-first")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitProcess(t, "sleep\x003.61714\x00", true)
	u.append("Dockerfile", "# mine\n")
	edited := u.run("cat", "Dockerfile")
	_ = cmd.Wait() // the status says it
	if status := cmd.ProcessState.ExitCode(); status != 2 || !strings.Contains(stderr.String(), "run suggest again") {
		t.Errorf("exit status %d: %s", status, stderr.String())
	}
	if now := u.run("cat", "Dockerfile"); now != edited {
		t.Errorf("the Dockerfile became\n%s", now)
	}
}

// awaitProcess waits until a process with this command line runs, or none does.
func awaitProcess(t *testing.T, line string, runs bool) {
	t.Helper()
	deadline := time.After(patience)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		found := false
		names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range names {
			if text, err := os.ReadFile(name); err == nil && string(text) == line {
				found = true // of those that ended meanwhile nothing is read
			}
		}
		if found == runs {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %q, running: %v", line, runs)
		}
	}
}

// TestVerifyTellsABuildThatFails: nothing can be shown, nothing is withdrawn.
func TestVerifyTellsABuildThatFails(t *testing.T) {
	t.Parallel()
	u := newUser(t, "")
	u.slowShop(everythingFirst + "RUN --mount=type=secret,id=token,required=true cat /run/secrets/token\n")
	d, status := u.suggested("--verify", "--rule", "manifests-first")
	if status != 1 || len(d.Suggestions) != 1 || d.Suggestions[0].Proof != "by-construction" {
		t.Fatalf("exit status %d, %+v", status, d)
	}
	v := d.Suggestions[0].Verification
	if v.Outcome != "failed" || !strings.Contains(v.Message, "the build as it is fails: [stage-0 5/5] RUN failed") || !strings.Contains(v.Hint, "line 7 mounts a secret: offer it") {
		t.Errorf("verification: %+v", v)
	}
	if out, status := u.stoker(t.Context(), "suggest", "--apply", "--verify"); status != 1 || u.run("git", "status", "--porcelain") != "" {
		t.Errorf("exit status %d: %s", status, out)
	}
	u.write("token", "hunter2")
	d, status = u.suggested("--verify", "--rule", "manifests-first", "--secret", "id=token,src=token")
	if status != 0 || d.Suggestions[0].Proof != "verified" {
		t.Errorf("with the secret: exit status %d, %+v", status, d.Suggestions[0].Verification)
	}
}
