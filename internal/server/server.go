package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/stokerd/stoker/internal/api"
)

const (
	// maxBody bounds the body of a request, in bytes. The largest are those of verify,
	// with the texts of some changes, and secrets of up to 500 kB each.
	maxBody = 16 << 20
	// shutdownWait is how long requests may take to end at a shutdown. It leaves the
	// rest of a second to the daemon's other parts.
	shutdownWait = 700 * time.Millisecond
	// headerWait is how long a connection may take to send the headers of a request.
	headerWait = 5 * time.Second
)

// A Server answers requests. All fields but Log must be set, and must not be changed
// once it serves.
type Server struct {
	Backend Backend
	Version api.Version  // of this daemon
	Stop    func()       // called when a client asks the daemon to end; must not block
	Log     *slog.Logger // nil discards
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Serve answers requests on ln until ctx ends or ln fails, and closes ln. When ctx
// ends, the contexts of requests under way end too, and Serve returns once all of their
// handlers have. Handlers that take longer than shutdownWait are left behind, with
// their connections closed. The error is nil if Serve returned because ctx ended and
// all connections could be closed.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var handlers sync.WaitGroup
	handler := s.Handler()
	hs := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handlers.Add(1)
			defer handlers.Done()
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerWait,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log().Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- hs.Serve(ln) }()
	select {
	case err := <-failed:
		return errors.Join(fmt.Errorf("serve the socket: %w", err), hs.Close())
	case <-ctx.Done():
	}
	// The requests' own contexts have ended with ctx. This one bounds the wait for them.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownWait)
	defer cancel()
	err := hs.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log().Warn("a request did not end in time and is cut off")
		err = hs.Close()
	} else {
		handlers.Wait()
	}
	if serveErr := <-failed; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// Handler returns the handler for all routes, with its guards.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range routes {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h(s, w, r) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &api.Error{Code: api.NotFound, Message: "no such request: " + r.Method + " " + r.URL.Path,
			Hint: "client and daemon may be of different versions: stoker down --all, then stoker up"})
	})
	return s.recovered(s.guarded(mux))
}
