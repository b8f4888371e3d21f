package daemon_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

// serveDownloads serves text below /files/, and the git repositories in a folder below /git/.
func serveDownloads(t *testing.T, text *atomic.Value, repositories string) *httptest.Server {
	t.Helper()
	execPath, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/files/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text.Load()) })
	mux.Handle("/git/", &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"), Root: "/git",
		Env: []string{"GIT_PROJECT_ROOT=" + repositories, "GIT_HTTP_EXPORT_ALL=1"},
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// TestWhyDownload: if the file or commit at a URL is another one than before, that is the cause
// of an ADD. The builder records which one it got, so that equal ones are not blamed.
func TestWhyDownload(t *testing.T) {
	var text atomic.Value
	text.Store("one")
	repositories := t.TempDir()
	server := serveDownloads(t, &text, repositories)
	source := filepath.Join(repositories, "app")
	commit := func(text string) {
		t.Helper()
		write(t, filepath.Join(source, "file"), text)
		git(t, source, "add", ".")
		git(t, source, "commit", "-qm", text)
	}
	write(t, filepath.Join(source, "file"), "")
	git(t, source, "init", "-q")
	commit("one")

	nonce := strings.ToLower(rand.Text())
	dockerfile := "FROM busybox\nARG NAME=a\nADD " + server.URL + "/files/$NAME /file\nRUN echo 1 " + nonce +
		"\nFROM busybox\nADD " + server.URL + "/git/app/.git#main /app\nRUN echo 2 " + nonce + "\nCOPY --from=0 /file /file\n"
	root := repository(t, map[string]string{"Dockerfile": dockerfile})
	env, change := onLab(t, "prewarm: {level: off}\n", &logbook{})
	r := start(t, t.TempDir(), env, change)
	r.up(root, false)
	r.connected()
	n := 0
	built := func(attrs map[string]string) map[string]string {
		t.Helper()
		if err := build(t, root, "", attrs); err != nil {
			t.Fatal(err)
		}
		n++
		return causes(r.why(root, n, api.WhyRequest{}))
	}
	fetch, clone := "ADD "+server.URL+"/files/$NAME /file", "ADD "+server.URL+"/git/app/.git#main /app"
	built(nil)
	for _, step := range []struct {
		what string
		do   func() map[string]string
		want string
	}{
		{"nothing", func() map[string]string { return nil }, "map[]"},
		{"another file", func() map[string]string { text.Store("two"); return nil }, fmt.Sprint(map[string]string{fetch: "download"})},
		{"another commit", func() map[string]string { commit("two"); return nil }, fmt.Sprint(map[string]string{clone: "download"})},
		{"another name", func() map[string]string { return map[string]string{"build-arg:NAME": "b"} }, fmt.Sprint(map[string]string{fetch: "arg NAME"})},
		{"another command", func() map[string]string {
			write(t, filepath.Join(root, "Dockerfile"), strings.Replace(dockerfile, "echo 2", "echo 3", 1))
			return map[string]string{"build-arg:NAME": "b"}
		}, fmt.Sprint(map[string]string{"RUN echo 3 " + nonce: "dockerfile"})},
	} {
		if got := fmt.Sprint(built(step.do())); got != step.want {
			t.Errorf("after %s the causes are %s, want %s", step.what, got, step.want)
		}
	}
}
