package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/server"
)

// backend is a fake whose behaviour depends on the directory of a request.
type backend struct {
	server.Answers  // nil: no test calls it
	server.Verifier // nil
	server.Pruner   // nil
	statuses        chan string
}

func (*backend) Metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("# counted\n")) })
}

func (b *backend) StatusJSON(context.Context) []byte { return []byte(`{"schema":"stoker.status/v1"}`) }

func (b *backend) StatusAfter(ctx context.Context, seq uint64) ([]byte, uint64, error) {
	select {
	case s := <-b.statuses:
		return []byte(s), seq + 1, nil
	case <-ctx.Done():
		return nil, seq, ctx.Err()
	}
}

func (b *backend) Up(_ context.Context, req api.UpRequest) (api.Status, error) {
	switch req.Dir {
	case "panic":
		panic("a defect")
	case "defect":
		return api.Status{}, errors.New("a defect")
	case "bad":
		return api.Status{}, fmt.Errorf("stoker.yaml:3: %w", &api.Error{Code: api.BadInput, Message: "unknown key", Hint: "remove it"})
	}
	return api.Status{Schema: api.StatusSchema, Repositories: []api.Repository{{Root: req.Dir}}}, nil
}

func (b *backend) Down(context.Context, api.DownRequest) (api.Done, error) { return api.Done{}, nil }

func (b *backend) Allow(context.Context, api.AllowRequest) (api.Done, error) { return api.Done{}, nil }

func (b *backend) Warm(ctx context.Context, req api.WarmRequest, progress func(api.WarmEvent)) error {
	progress(api.WarmEvent{Definition: "api", State: "step"})
	switch req.Dir {
	case "fail":
		return &api.Error{Code: api.NoBuilder, Message: "no builder"}
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

var _ server.Backend = (*backend)(nil)

// newServer returns a server, and the buffer with its log.
func newServer() (*server.Server, *bytes.Buffer) {
	log := &bytes.Buffer{}
	return &server.Server{
		Backend: &backend{statuses: make(chan string)},
		Version: api.Version{Version: "v1.0.0", Build: "b1", PID: 7, Level: api.Level},
		Log:     slog.New(slog.NewTextHandler(log, nil)),
		Stop:    func() {},
	}, log
}

// request returns a request as stoker's client sends it.
func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "http://"+api.Host+path, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func TestRequests(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		method, path, body string
		spoil              func(*http.Request)
		status             int
		want               string // part of the body
	}{
		"status":           {"GET", "/v1/status", "", nil, 200, `{"schema":"stoker.status/v1"}`},
		"version":          {"GET", "/v1/version", "", nil, 200, `{"version":"v1.0.0","build":"b1","pid":7,"level":1}`},
		"up":               {"POST", "/v1/up", `{"dir":"/src"}`, nil, 200, `"root":"/src"`},
		"user's mistake":   {"POST", "/v1/up", `{"dir":"bad"}`, nil, 400, `{"error":"stoker.yaml:3: unknown key","hint":"remove it","code":"bad-input"}`},
		"defect":           {"POST", "/v1/up", `{"dir":"defect"}`, nil, 500, `"code":"internal"`},
		"panic":            {"POST", "/v1/up", `{"dir":"panic"}`, nil, 500, `"code":"internal"`},
		"unknown path":     {"GET", "/v1/none", "", nil, 404, "different versions"},
		"unknown method":   {"GET", "/v1/up", "", nil, 404, "GET /v1/up"},
		"unknown field":    {"POST", "/v1/up", `{"dirr":"/src"}`, nil, 400, "dirr"},
		"no body":          {"POST", "/v1/up", "", nil, 400, "does not parse"},
		"two objects":      {"POST", "/v1/up", `{"dir":"/a"}{}`, nil, 400, "more than one"},
		"oversized":        {"POST", "/v1/up", `{"dir":"` + strings.Repeat("x", 16<<20) + `"}`, nil, 400, "larger than"},
		"endless spaces":   {"POST", "/v1/up", `{"dir":"/a"}` + strings.Repeat(" ", 16<<20), nil, 400, "larger than"},
		"another host":     {"GET", "/v1/status", "", func(r *http.Request) { r.Host = "localhost:8080" }, 403, "another host"},
		"no host":          {"GET", "/v1/status", "", func(r *http.Request) { r.Host = "" }, 403, "another host"},
		"page":             {"GET", "/v1/status", "", header("Origin", "https://example.com"), 403, "browser"},
		"sandboxed page":   {"GET", "/v1/status", "", header("Origin", "null"), 403, "browser"},
		"link":             {"GET", "/v1/status", "", header("Sec-Fetch-Site", "cross-site"), 403, "browser"},
		"form":             {"POST", "/v1/stop", "", header("Content-Type", "application/x-www-form-urlencoded"), 403, "not application/json"},
		"text/plain":       {"POST", "/v1/up", `{"dir":"/src"}`, header("Content-Type", "text/plain;application/json"), 403, "not application/json"},
		"no type":          {"POST", "/v1/stop", "{}", func(r *http.Request) { r.Header.Del("Content-Type") }, 403, "not application/json"},
		"type with a form": {"POST", "/v1/up", `{"dir":"/src"}`, header("Content-Type", "application/json; charset=utf-8"), 200, "/src"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newServer()
			s.Stop = func() { t.Error("the daemon was stopped") }
			r, w := request(c.method, c.path, c.body), httptest.NewRecorder()
			if c.spoil != nil {
				c.spoil(r)
			}
			s.Handler().ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("status %d, body %s\nwant status %d and %s in the body", w.Code, w.Body, c.status, c.want)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("the body is not JSON: %s", w.Body)
			}
			if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options is %q, want nosniff", got)
			}
		})
	}
}

func TestPanicIsLogged(t *testing.T) {
	s, log := newServer()
	s.Handler().ServeHTTP(httptest.NewRecorder(), request("POST", "/v1/up", `{"dir":"panic"}`))
	if !strings.Contains(log.String(), "a defect") || !strings.Contains(log.String(), "server_test.go") {
		t.Errorf("the log lacks the panic or its place:\n%s", log)
	}
}

// TestWithoutALog lets requests fail in ways that are logged, on a server without a log.
func TestWithoutALog(t *testing.T) {
	s, _ := newServer()
	s.Log = nil
	for _, dir := range []string{"defect", "panic"} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, request("POST", "/v1/up", `{"dir":"`+dir+`"}`))
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%s: status %d, want 500", dir, w.Code)
		}
	}
}

func TestStopIsAnsweredFirst(t *testing.T) {
	s, _ := newServer()
	w, stopped := httptest.NewRecorder(), false
	s.Stop = func() {
		stopped = true
		if w.Body.Len() == 0 {
			t.Error("stopped before the answer")
		}
	}
	s.Handler().ServeHTTP(w, request("POST", "/v1/stop", "{}"))
	if w.Code != 200 || !stopped {
		t.Errorf("status %d, stopped %t; want 200, true", w.Code, stopped)
	}
}

// A served is a server on a real socket, with a client of it.
type served struct {
	*http.Client
	backend *backend
	end     context.CancelFunc // shuts the server down
	ended   chan error         // what Serve returned
}

// serve starts a server. It is shut down when the test ends, if not before.
func serve(t *testing.T) *served {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := newServer()
	ctx, cancel := context.WithCancel(t.Context())
	sv := &served{backend: s.Backend.(*backend), end: cancel, ended: make(chan error, 1)}
	sv.Client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	go func() { sv.ended <- s.Serve(ctx, ln) }()
	t.Cleanup(cancel)
	return sv
}

func (sv *served) do(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	r := request(method, path, body)
	r.RequestURI = ""
	resp, err := sv.Do(r.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestWarmStreams(t *testing.T) {
	sv := serve(t)
	for dir, want := range map[string]string{
		"ok":   `{"event":{"definition":"api","state":"step"}}` + "\n" + `{"done":true}` + "\n",
		"fail": `{"event":{"definition":"api","state":"step"}}` + "\n" + `{"error":{"error":"no builder","code":"no-builder"}}` + "\n",
	} {
		raw, err := io.ReadAll(sv.do(t, "POST", "/v1/warm", `{"dir":"`+dir+`"}`).Body)
		if err != nil || string(raw) != want {
			t.Errorf("%s: got %s (%v), want %s", dir, raw, err, want)
		}
	}
}

func TestWatchSendsEachChangeAtOnce(t *testing.T) {
	sv := serve(t)
	go func() { sv.backend.statuses <- `{"n": 1}` }() // do returns when the first one is sent
	lines := bufio.NewScanner(sv.do(t, "GET", "/v1/watch", "").Body)
	for n := 1; n <= 3; n++ {
		if n > 1 {
			sv.backend.statuses <- fmt.Sprintf("{\n\"n\": %d}", n)
		}
		if want := fmt.Sprintf(`{"event":{"n":%d}}`, n); !lines.Scan() || lines.Text() != want {
			t.Fatalf("line %d is %q, want %q", n, lines.Text(), want)
		}
	}
	sv.end()
	if !lines.Scan() || !strings.Contains(lines.Text(), "stopping") {
		t.Errorf("the last line is %q, want that the daemon is stopping", lines.Text())
	}
}

// TestShutdown shuts a server down that has an open stream and an idle connection.
func TestShutdown(t *testing.T) {
	sv := serve(t)
	_, _ = io.ReadAll(sv.do(t, "GET", "/v1/status", "").Body)
	lines := bufio.NewScanner(sv.do(t, "POST", "/v1/warm", `{"dir":"hang"}`).Body)
	if !lines.Scan() {
		t.Fatal("no first event")
	}
	begin := time.Now()
	sv.end()
	if err := <-sv.ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the shutdown took %v, want at most a second", took)
	}
}

// TestRoutesAreSorted reads the source, since a map has no order.
func TestRoutesAreSorted(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "routes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	ast.Inspect(file, func(n ast.Node) bool {
		if pair, ok := n.(*ast.KeyValueExpr); ok {
			if pattern, ok := pair.Key.(*ast.BasicLit); ok {
				patterns = append(patterns, pattern.Value)
			}
		}
		return true
	})
	if len(patterns) < 10 || !slices.IsSorted(patterns) {
		t.Errorf("the routes are not sorted: %q", patterns)
	}
}

// TestMetrics checks that metrics are served as text, and not to browsers.
func TestMetrics(t *testing.T) {
	s := &server.Server{Backend: &backend{}, Version: api.Version{}}
	for _, tt := range []struct {
		host, origin string
		status       int
	}{{api.Host, "", http.StatusOK}, {"example.com", "", http.StatusForbidden}, {api.Host, "http://example.com", http.StatusForbidden}} {
		r := httptest.NewRequest("GET", "http://"+tt.host+"/metrics", nil)
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if ok := w.Body.String() == "# counted\n"; w.Code != tt.status || ok != (tt.status == http.StatusOK) {
			t.Errorf("%+v: status %d, %q", tt, w.Code, w.Body)
		}
	}
}
