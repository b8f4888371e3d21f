package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/internal/api"
)

// canary is the value of a build arg and of a secret, which nothing may show.
const canary = "Zq7canaryZq7"

// site is an image that serves a folder, as somebody who is not root, and stops when it is told to.
const site = `FROM busybox AS build
ARG GREETING
WORKDIR /www
COPY . .
RUN --mount=type=secret,id=token test -s /run/secrets/token && echo ${#GREETING} >length

FROM busybox
COPY --from=build /www /www
COPY --chmod=755 serve /serve
USER 65532
EXPOSE 8080
CMD ["/serve"]
`

// serve is a process 1 that hands on SIGTERM.
const serve = `#!/bin/sh
httpd -f -p 8080 -h /www & child=$!
trap 'kill $child; exit 0' TERM
wait $child
`

// buildReport runs stoker build with --json, and returns the report with what was said beside it and the exit status.
func (u *user) buildReport(args ...string) (api.BuildReport, string, int) {
	u.t.Helper()
	cmd := u.command(u.t.Context(), program, append([]string{"build", "--json"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		u.t.Fatal(err)
	}
	var report api.BuildReport
	if stdout.Len() > 0 {
		if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
			u.t.Fatalf("%v\n%s", err, stdout.String())
		}
	}
	said := stdout.String() + stderr.String()
	if strings.Contains(said, canary) {
		u.t.Errorf("a value is shown:\n%s", said)
	}
	return report, said, cmd.ProcessState.ExitCode()
}

// tool puts a program in front of the user's PATH.
func (u *user) tool(name, script string) {
	u.t.Helper()
	dir := filepath.Join(filepath.Dir(u.dir), "tools")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		u.t.Fatal(err)
	}
	for i, pair := range u.env {
		if path, ok := strings.CutPrefix(pair, "PATH="); ok && !strings.HasPrefix(path, dir) {
			u.env[i] = "PATH=" + dir + string(filepath.ListSeparator) + path
		}
	}
}

// site writes the sample and returns the flags that it is built with.
func (u *user) site() []string {
	u.t.Helper()
	u.write("Dockerfile", site)
	u.write(".dockerignore", "Dockerfile\n.git\n")
	u.write("serve", serve)
	u.write("index.html", "<p>hello</p>\n")
	u.run("git", "init", "-q", ".")
	u.run("git", "add", ".")
	u.run("git", "commit", "-q", "-m", "Serve a page")
	u.env = append(u.env, "TOKEN="+canary)
	return []string{".", "--build-arg", "GREETING=" + canary, "--secret", "id=token,env=TOKEN"}
}

// TestBuild checks the report of a build that is looked at, judged and pushed, on a BuildKit.
func TestBuild(t *testing.T) {
	t.Parallel()
	newUser(t, "prewarm: {level: off}\n").builds()
}

// TestBuildEngine does the same on a Docker Engine.
func TestBuildEngine(t *testing.T) {
	t.Parallel()
	newEngineUser(t, "prewarm: {level: off}\n").builds()
}

// TestBuildOldEngine checks a build on an Engine that stores images as those before Docker 29 do, so that it can load
// but not push them.
func TestBuildOldEngine(t *testing.T) {
	t.Parallel()
	u := newOldEngineUser(t, "prewarm: {level: off}\n")
	flags := append(u.site(), "--scanner", "off", "--http", "/index.html", "--probe", u.probe())
	first, said, status := u.buildReport(append(flags, "--tag", "site:1", "--load")...)
	if status != 0 || !first.OK || !first.Loaded || first.Hits != 0 || first.Needed != 5 {
		t.Fatalf("build --load: exit status %d, %d/%d steps hit, loaded %v; want 0, 0/5 and true\n%s", status, first.Hits, first.Needed, first.Loaded, said)
	}
	if a := first.Image; a == nil || len(a.Layers) != 3 || a.Config.User != "65532" {
		t.Errorf("the image is %+v; want 3 layers and the user 65532", a)
	}
	if s := first.Smoke; s == nil || len(s.Checks) != 4 || s.Checks[0].State != "passed" {
		t.Errorf("the smoke test is %+v; want 4 checks, of which the first passed", s)
	}
	stored := read[api.Image](u, "image", "docker-daemon:site:1")
	if stored.ID != first.Image.ID || len(stored.Layers) != 3 {
		t.Errorf("Docker has %s with %d layers, and the report has %s; want the same, with 3 layers", stored.ID, len(stored.Layers), first.Image.ID)
	}
	again, said, status := u.buildReport(append(flags, "--tag", u.lab.Registry()+"/site:1", "--push")...)
	if status != 1 || again.Hits != 5 || again.Pushed || !strings.Contains(said, "does not push what it builds: use --load") {
		t.Errorf("build --push: exit status %d, %d steps hit, pushed %v; want 1, 5 and false, with a hint to use --load\n%s", status, again.Hits, again.Pushed, said)
	}
}

// probe compiles the program that looks at containers from within.
func (u *user) probe() string {
	u.t.Helper()
	name := filepath.Join(filepath.Dir(u.dir), "probe")
	cmd := exec.CommandContext(u.t.Context(), "go", "build", "-o", name, "../smoke/testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		u.t.Fatalf("compile the probe: %v\n%s", err, out)
	}
	return name
}

// builds builds the site, again from the cache, with limits, reports and signatures, and once so that it fails.
func (u *user) builds() {
	t := u.t
	flags := u.site()
	probe := u.probe()
	tag := u.lab.Registry() + "/shop/site:1"

	first, said, status := u.buildReport(append(flags, "--http", "/index.html", "--probe", probe, "--max-size", "100MB", "--tag", tag, "--push")...)
	if status != 0 || !first.OK || !first.Pushed || first.Hits != 0 || first.Needed != 5 {
		t.Fatalf("build --push: exit status %d, %d/%d steps hit, pushed %v; want 0, 0/5 and true\n%s", status, first.Hits, first.Needed, first.Pushed, said)
	}
	if got, want := first.Steps[0].Name, "[build 2/4] WORKDIR /www"; got != want {
		t.Errorf("the first step is %q, want %q", got, want)
	}
	if a := first.Image; a == nil || len(a.Layers) != 3 || a.Unpacked <= a.Stored || a.Config.User != "65532" {
		t.Errorf("the image is %+v; want 3 layers that are larger unpacked, and the user 65532", a)
	}
	checks := map[string]string{}
	for _, c := range first.Smoke.Checks {
		checks[c.Name] = c.State
	}
	if len(checks) != 4 || checks["starts"] != "passed" || checks["user"] != "passed" || checks["stops"] != "passed" || first.Smoke.Memory == 0 {
		t.Errorf("the smoke test is %+v; want 4 checks, with starts, user and stops passed, and the memory", first.Smoke)
	}
	if pushed := manifest(t, u.lab.Registry(), "1"); pushed != first.Digest {
		t.Errorf("the registry has the digest %s, and the report %s; want the same", pushed, first.Digest)
	}

	again, _, status := u.buildReport(flags...)
	if status != 0 || again.Hits != 5 || again.Needed != 5 || again.Image.ID != first.Image.ID {
		t.Errorf("the same build again: exit status %d, %d/%d steps hit, image %s; want 0, 5/5 and %s", status, again.Hits, again.Needed, again.Image.ID, first.Image.ID)
	}
	u.checkGates(flags)
	u.checkFiles(flags)
	u.checkSigned(flags)

	u.write("Dockerfile", strings.Replace(site, "test -s", "echo gone; ! test -s", 1))
	broken, _, status := u.buildReport(flags...)
	if status != 1 || broken.OK || broken.Status != "failed" || broken.Error != "[build 4/4] RUN failed, exit code 1" || broken.Image != nil {
		t.Errorf("a build that fails: exit status %d, %+v; want 1, and the step that failed as its error", status, broken)
	}
	if n := len(broken.Steps); n < 3 || broken.Steps[2].Outcome != "failed" || !strings.HasPrefix(broken.Steps[2].Name, "[build 4/4] RUN --mount=type=secret,id=token echo gone") {
		t.Errorf("the steps of a build that fails are %+v; want the third one, the RUN, to have failed", broken.Steps)
	}
}

// checkGates checks that an image which does not keep a limit, or could not be scanned, is not pushed.
func (u *user) checkGates(flags []string) {
	u.t.Helper()
	u.tool("trivy", `case "$1" in
image) echo '{"SchemaVersion": 2, "Results": [{"Class": "os-pkgs", "Vulnerabilities": [{"VulnerabilityID": "CVE-2099-1", "PkgName": "box", "InstalledVersion": "1", "Severity": "HIGH"}]}]}' ;;
*) echo '{"Version": "0.60", "VulnerabilityDB": {"UpdatedAt": "2026-01-01T00:00:00Z"}}' ;;
esac`)
	tag := u.lab.Registry() + "/shop/site:held"
	got, said, status := u.buildReport(append(flags, "--fail-on", "critical,high", "--max-size", "1kB", "--min-efficiency", "0.1", "--tag", tag, "--push")...)
	failed := map[string]bool{}
	for _, g := range got.Gates {
		failed[g.Gate] = !g.OK
	}
	if status != 1 || got.OK || got.Pushed || !failed["fail-on"] || !failed["max-size"] || failed["min-efficiency"] || len(failed) != 3 {
		u.t.Errorf("exit status %d, gates %+v; want 1, with fail-on and max-size failed and min-efficiency kept\n%s", status, got.Gates, said)
	}
	if got.Scan == nil || got.Scan.High != 1 || got.Scan.Version != "0.60" || got.Scan.Database == nil {
		u.t.Errorf("the scan is %+v; want 1 finding that is high, of version 0.60, with the time of the database", got.Scan)
	}
	if there := manifest(u.t, u.lab.Registry(), "held"); there != "" {
		u.t.Errorf("the registry has %s, an image that does not keep its limits", there)
	}
	got, _, status = u.buildReport(append(flags, "--fail-on", "critical")...)
	if status != 0 || !got.OK {
		u.t.Errorf("--fail-on critical with nothing critical: exit status %d, gates %+v; want 0, and all kept", status, got.Gates)
	}
	u.tool("trivy", "echo no database >&2; exit 1")
	got, _, status = u.buildReport(append(flags, "--fail-on", "critical", "--scanner", "trivy")...)
	if status != 1 || got.OK || got.Scan.Scanner != "" || len(got.Gates) != 1 || got.Gates[0].Text != "the image was not scanned" {
		u.t.Errorf("with a scanner that fails: exit status %d, scan %+v, gates %+v; want 1, and a gate that the image was not scanned", status, got.Scan, got.Gates)
	}
}

// checkFiles checks the report as Markdown, HTML and SARIF, of an image in which texts try to inject markup.
func (u *user) checkFiles(flags []string) {
	u.t.Helper()
	u.tool("trivy", `case "$1" in
image) echo '{"SchemaVersion": 2, "Results": [{"Class": "os-pkgs", "Vulnerabilities": [{"VulnerabilityID": "CVE-2099-1", "PkgName": "<script>alert(1)</script>", "InstalledVersion": "1", "Severity": "HIGH", "PrimaryURL": "javascript:alert(1)", "Title": "|x|`+"`y`"+`"}]}]}' ;;
esac`)
	markdown, status := u.stoker(u.t.Context(), append([]string{"build", "--progress", "quiet", "--markdown", "--html", "out.html", "--sarif", "out.sarif"}, flags...)...)
	if status != 0 || !strings.HasPrefix(markdown, "## ✅ repo\n") || strings.Contains(markdown, "<script>") || !strings.Contains(markdown, "| high | CVE-2099-1 |") {
		u.t.Errorf("build --markdown: exit status %d; want 0, a heading that it passed, and the finding without markup\n%s", status, markdown)
	}
	page, err := os.ReadFile(filepath.Join(u.dir, "out.html"))
	if err != nil {
		u.t.Fatal(err)
	}
	for _, bad := range []string{"<script", "javascript:", canary, "https://cdn"} {
		if bytes.Contains(page, []byte(bad)) {
			u.t.Errorf("the HTML page has %q", bad)
		}
	}
	for _, want := range []string{"CVE-2099-1", "&lt;script&gt;", "[build 2/4] WORKDIR /www", "</html>"} {
		if !bytes.Contains(page, []byte(want)) {
			u.t.Errorf("the HTML page does not have %q", want)
		}
	}
	sarif, err := os.ReadFile(filepath.Join(u.dir, "out.sarif"))
	if err != nil || !json.Valid(sarif) || !bytes.Contains(sarif, []byte(`"uri": "Dockerfile"`)) {
		u.t.Errorf("SARIF: %v; want JSON with a finding in the Dockerfile\n%s", err, sarif)
	}
	for _, name := range []string{"out.html", "out.sarif"} {
		if err := os.Remove(filepath.Join(u.dir, name)); err != nil {
			u.t.Error(err)
		}
	}
}

// checkSigned checks that an image is pushed with a list of packages and a signature, and that image --signed-by
// accepts that signature only.
func (u *user) checkSigned(flags []string) {
	u.t.Helper()
	// This cosign remembers which image was signed with which key, and verifies only these.
	u.tool("cosign", `case "$1" in
sign) shift 2; echo "$@" | sed 's/:signed@/@/' >>"`+u.dir+`.signed" ;;
verify) shift; grep -qxF -e "$*" "`+u.dir+`.signed" || { echo "Error: no matching signatures" >&2; exit 10; } ;;
esac`)
	u.write("cosign.pub", "a key\n")
	name := u.lab.Registry() + "/shop/site:signed"
	got, said, status := u.buildReport(append(flags, "--tag", name, "--push", "--sbom", "--sign=cosign.pub")...)
	if status != 0 || !got.Pushed || !got.Signed {
		u.t.Fatalf("build --push --sign: exit status %d, pushed %v, signed %v; want 0, true and true\n%s", status, got.Pushed, got.Signed, said)
	}
	index, lists := fetch[ocispec.Index](u.t, u.lab.Registry(), "manifests/signed"), 0
	for _, m := range index.Manifests {
		if m.Annotations["vnd.docker.reference.type"] != "attestation-manifest" {
			continue
		}
		for _, l := range fetch[ocispec.Manifest](u.t, u.lab.Registry(), "manifests/"+m.Digest.String()).Layers {
			if l.Annotations["in-toto.io/predicate-type"] == "https://spdx.dev/Document" {
				list := fetch[struct {
					Predicate struct{ Packages []struct{ Name string } }
				}](u.t, u.lab.Registry(), "blobs/"+l.Digest.String())
				if lists++; !slices.Contains(list.Predicate.Packages, struct{ Name string }{"./serve"}) {
					u.t.Errorf("the list of packages has %v, want ./serve among them", list.Predicate.Packages)
				}
			}
		}
	}
	if lists != 1 {
		u.t.Errorf("the registry has %d lists of packages for the image, want 1: %+v", lists, index)
	}
	u.write("other.pub", "another key\n")
	for key, want := range map[string]string{"cosign.pub": "pass  signature: by ", "other.pub": "FAIL  signature: none by "} {
		out, status := u.stoker(u.t.Context(), "image", "docker://"+name, "--secrets", "off", "--signed-by", key)
		if !strings.Contains(out, want) || (status == 0) != (key == "cosign.pub") {
			u.t.Errorf("image --signed-by %s: exit status %d, want the line %q\n%s", key, status, want, out)
		}
	}
	for _, file := range []string{"cosign.pub", "other.pub"} {
		if err := os.Remove(filepath.Join(u.dir, file)); err != nil {
			u.t.Error(err)
		}
	}
}

// fetch returns a document that the registry has of the site.
func fetch[T any](t *testing.T, registry, what string) (document T) {
	t.Helper()
	resp, err := http.DefaultClient.Do(request(t, http.MethodGet, registry, what))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&document); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", what, resp.Status, err)
	}
	return document
}

func request(t *testing.T, method, registry, what string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://%s/v2/shop/site/%s", registry, what), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", strings.Join([]string{ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, "*/*"}, ", "))
	return req
}

// manifest returns the digest of what a registry has under a tag, "" for nothing.
func manifest(t *testing.T, registry, tag string) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(request(t, http.MethodHead, registry, "manifests/"+tag))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return ""
	}
	return resp.Header.Get("Docker-Content-Digest")
}

// TestBuildTellsWhy: where a daemon watches, the report has the causes of what ran.
func TestBuildTellsWhy(t *testing.T) {
	t.Parallel()
	u := newUser(t, "prewarm: {level: off}\n")
	u.write("Dockerfile", "FROM busybox\nCOPY a /a\nRUN cat /a\n")
	u.write("a", "1")
	u.must("up", "--allow")
	u.await(func(r api.Repository) string {
		if len(r.Definitions) == 0 {
			return "the build"
		}
		return ""
	})
	u.awaitStatus(func(s api.Status) string { return connected(s, true) })
	u.must("build", "--progress", "quiet", "--scanner", "off")
	u.awaitBuilds("repo", 1)
	u.write("a", "2")
	got, said, status := u.buildReport("--scanner", "off")
	if status != 0 || len(got.Steps) != 2 || got.Steps[0].Cause == nil || got.Steps[0].Cause.Kind != "files" || len(got.Steps[0].Cause.Paths) != 1 || got.Steps[0].Cause.Paths[0].Path != "a" {
		t.Errorf("exit status %d, steps %+v\n%s", status, got.Steps, said)
	}
}

// TestBuildInterrupted: Ctrl-C ends what runs on the builder, and leaves nothing on this machine.
func TestBuildInterrupted(t *testing.T) {
	t.Parallel()
	u := newUser(t, "prewarm: {level: off}\n")
	const mark = "Zq7-sleeps-Zq7"
	u.write("Dockerfile", "FROM busybox\nRUN echo begun; sh -c 'sleep 600; : "+mark+"'\n")
	temp := filepath.Join(filepath.Dir(u.dir), "tmp")
	if err := os.Mkdir(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	u.env = append(u.env, "TMPDIR="+temp)
	cmd := u.command(t.Context(), program, "build", "--scanner", "off")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	for buf := make([]byte, 4096); !strings.Contains(said.String(), " begun"); {
		n, err := stderr.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v\n%s", err, said.String())
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_, _ = said.ReadFrom(stderr)
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 {
		t.Errorf("exit status %d\n%s", status, said.String())
	}
	for deadline := time.Now().Add(patience); runs(t, mark); {
		if time.Now().After(deadline) {
			t.Fatal("the step still runs")
		}
		<-time.After(50 * time.Millisecond)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// runs looks for a process with the mark among its arguments.
func runs(t *testing.T, mark string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil && bytes.Contains(data, []byte(mark)) {
			return true
		}
	}
	return false
}
