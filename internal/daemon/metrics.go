package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/buildkit"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/metrics"
	"github.com/stokerd/stoker/internal/project"
)

// Metrics serves `GET /metrics`.
func (d *Daemon) Metrics() http.Handler { return d.metrics.Handler() }

// held returns what the metrics say of each definition now, beside what they count.
func (d *Daemon) held() []metrics.Held {
	var list []metrics.Held
	for _, r := range d.all() {
		wire := d.describe(r)
		for _, def := range wire.Definitions {
			list = append(list, metrics.Held{
				Definition: metrics.Definition{Repository: r.root, Name: def.Name}, ContextBytes: def.Context.Bytes, SentBytes: def.Sent.Bytes, Warmth: def.Warm.State,
			})
		}
	}
	return list
}

// told has the last prediction for each definition of a repository, until it is compared with
// a build. It is safe for concurrent use.
type told struct {
	mu     sync.Mutex // guards byName
	byName map[string]prediction
}

// A prediction is what was predicted for a build of one picture on one builder.
type prediction struct {
	picture *project.Picture
	builder string
	steps   map[string]string // outcomes, by name of the step
}

// put keeps answer, for a build of p on the builder.
func (t *told) put(p *project.Picture, builder string, answer api.Prediction) {
	a := prediction{p, builder, map[string]string{}}
	for _, s := range answer.Steps {
		a.steps[s.Name] = s.Outcome
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName == nil {
		t.byName = map[string]prediction{}
	}
	t.byName[answer.Name] = a
}

// take removes the prediction for the definition of that name, and returns its outcomes by
// step if it was for the builder and every one of pictures. Else, or if there are no
// pictures, it returns nil.
func (t *told) take(name, builder string, pictures []*project.Picture) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.byName[name]
	delete(t.byName, name)
	for _, p := range pictures {
		ok = ok && p == a.picture
	}
	if !ok || len(pictures) == 0 || a.builder != builder {
		return nil
	}
	return a.steps
}

// count counts a build that has just ended in the metrics, stored or not, and how many of its
// steps were predicted rightly. pictures are what r held while it ran.
func (d *Daemon) count(r *repository, seen buildkit.Observed, pictures []*project.Picture) {
	rec := seen.Record
	expected, _, err := d.pastOf(r, rec.Builder, rec.Definition)
	if err != nil {
		d.log.Error("count a build", "error", err)
		return
	}
	d.metrics.Built(rec, seen.Join.TransferBytes, expected.Steps)
	predicted := r.told.take(rec.Definition, rec.Builder, pictures)
	if rec.Status != cache.Completed || seen.Join.NoCache {
		return // predictions are for builds that use the cache and succeed
	}
	of := metrics.Definition{Repository: rec.Repository, Name: rec.Definition}
	for _, s := range rec.Steps {
		hit, ran := s.Outcome.Reused(), s.Outcome.Ran()
		switch outcome := predicted[s.Name]; {
		case outcome == string(cache.Unknown):
			d.metrics.Predicted(of, metrics.Unknown)
		case outcome == "" || !hit && !ran:
		case (outcome == string(cache.WillHit)) == hit:
			d.metrics.Predicted(of, metrics.Right)
		default:
			d.metrics.Predicted(of, metrics.Wrong)
		}
	}
}

// serveMetrics serves the metrics on a TCP address until ctx ends, for a Prometheus that
// cannot use the socket. It answers only requests that are addressed to this machine. If the
// address cannot be listened on, that is logged, and the error is nil. The goroutine that
// serves has ended when serveMetrics returns.
func (d *Daemon) serveMetrics(ctx context.Context, address string) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		// The rest of the daemon does without.
		d.log.Error("serve metrics", "error", err)
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", d.Metrics())
	srv := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Against DNS rebinding: a web page that has a browser ask here uses the
			// name of its own host.
			host, _, err := net.SplitHostPort(r.Host)
			if ip := net.ParseIP(strings.Trim(host, "[]")); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
				http.Error(w, "addressed to another host", http.StatusForbidden)
				return
			}
			mux.ServeHTTP(w, r)
		}),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	d.log.Info("serving metrics", "address", ln.Addr().String())
	select {
	case <-ctx.Done():
	case err := <-ended:
		d.log.Error("serve metrics", "error", err)
		return nil
	}
	err = srv.Close()
	if ended := <-ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	if err != nil {
		return fmt.Errorf("stop serving metrics: %w", err)
	}
	return nil
}
