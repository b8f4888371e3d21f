package buildkit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stokerd/stoker/cache/buildkit"
)

// loader serves POST /images/load as an engine does, and is found by DOCKER_HOST.
func loader(t *testing.T, handle http.HandlerFunc) buildkit.Env {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handle}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() { server.Close(); <-done })
	env := emptyEnv(t)
	env.Getenv = func(name string) string { return map[string]string{"DOCKER_HOST": "unix://" + socket}[name] }
	return env
}

func feed(text string, err error) func(io.WriteCloser) error {
	return func(w io.WriteCloser) error {
		if _, werr := io.WriteString(w, text); werr != nil {
			return werr
		}
		if err != nil {
			return err // the builder closes nothing where it fails
		}
		return w.Close()
	}
}

func TestLoadArchive(t *testing.T) {
	var got string
	env := loader(t, func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.Path + " " + string(data)
		if err != nil {
			got += " " + err.Error()
		}
		_, _ = io.WriteString(w, `{"stream":"Loaded image: shop:1\n"}`+"\n")
	})
	const want = "POST /images/load archive"
	if err := env.LoadArchive(t.Context(), feed("archive", nil)); err != nil || got != want {
		t.Errorf("the engine was asked %q, %v; want %q", got, err, want)
	}
}

func TestLoadArchiveFails(t *testing.T) {
	broken := errors.New("the build failed")
	tests := []struct {
		name  string
		serve http.HandlerFunc
		feed  func(io.WriteCloser) error
		want  string
	}{
		{"within the answer", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"stream":"x"}`+"\n"+`{"errorDetail":{"message":"no space"},"error":"no space"}`+"\n")
		}, feed("archive", nil), "load the image into Docker: no space"},
		{"at once", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"message":"invalid archive"}`)
		}, feed("archive", nil), "load the image into Docker: invalid archive"},
		{"the build", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }, feed("arch", broken), broken.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := loader(t, test.serve).LoadArchive(t.Context(), test.feed)
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	env := emptyEnv(t)
	env.Getenv = func(name string) string { return map[string]string{"DOCKER_HOST": "unix:///no/such"}[name] }
	called := false
	err := env.LoadArchive(t.Context(), func(io.WriteCloser) error { called = true; return nil })
	if err == nil || !strings.HasPrefix(err.Error(), "the Docker Engine does not answer: ") || called {
		t.Errorf("without an engine: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	env = loader(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	err = env.LoadArchive(ctx, func(w io.WriteCloser) error {
		_, err := io.Copy(w, endless{})
		return err
	})
	if err == nil {
		t.Error("a load that is cancelled succeeds")
	}
}

// TestLoadArchiveInterrupted: the builder is done, and the Engine still takes in what it was
// sent when the user gives up. Nobody knows then that the image is there.
func TestLoadArchiveInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	env := loader(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	if err := env.LoadArchive(ctx, feed("archive", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the load was cancelled", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
