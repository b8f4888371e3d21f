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
	// maxBody is the most a request may send: the texts of some changes that
	// are to be verified, and secrets for their builds, of at most 500 kB each.
	maxBody = 16 << 20
	// shutdownWait leaves the rest of a second to the daemon's other parts.
	shutdownWait = 700 * time.Millisecond
	// headerWait ends connections that say nothing.
	headerWait = 5 * time.Second
)

// A Server answers requests. All fields but Log must be set; they are not
// changed once it serves.
type Server struct {
	Backend Backend
	Version api.Version
	// Stop is called when a client asks the daemon to end. It returns at once.
	Stop func()
	Log  *slog.Logger // nil for silence
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Serve answers on ln until ctx ends or ln fails, closes ln, and returns once
// every handler has. Requests under way see their context end, and are cut
// off if they do not heed it.
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
	// The requests' own contexts have ended with ctx; this is for the rest.
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

// Handler returns the routes behind what guards them.
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
