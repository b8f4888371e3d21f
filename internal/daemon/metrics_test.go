package daemon_test

import (
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/daemon"
)

// TestMetricsPort: if the user's file names a port of this machine, metrics are served there,
// too, and nothing else is; a request that is addressed to another host gets nothing.
func TestMetricsPort(t *testing.T) {
	// The file takes a port that is given, and any that is free is good here.
	user, book := &config.File{Metrics: "127.0.0.1:0"}, &logbook{}
	r := start(t, t.TempDir(), nil, func(o *daemon.Options) { o.User, o.Log = user, slog.New(slog.NewTextHandler(book, nil)) })
	root := repository(t, shop)
	r.up(root, false)
	served := regexp.MustCompile(`serving metrics" address=(\S+)`).FindStringSubmatch(string(book.text()))
	if served == nil {
		t.Fatalf("no address is logged:\n%s", book.text())
	}
	get := func(path, host string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+served[1]+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for _, tt := range []struct {
		path, host string
		want       int
	}{
		{"/metrics", served[1], http.StatusOK},
		{"/metrics", "localhost:9469", http.StatusOK},
		{"/metrics", "example.com:9469", http.StatusForbidden},
		{"/v1/status", served[1], http.StatusNotFound},
	} {
		status, text := get(tt.path, tt.host)
		if status != tt.want || (status == http.StatusOK) != strings.Contains(text, `stoker_build_info{version="test"} 1`) {
			t.Errorf("%s for %s: status %d, want %d:\n%s", tt.path, tt.host, status, tt.want, text)
		}
	}
	if _, text := get("/metrics", served[1]); !strings.Contains(text, `stoker_context_bytes{definition="`) || !strings.Contains(text, `repository="`+root+`"`) {
		t.Errorf("no gauge of the watched repository:\n%s", text)
	}
}
