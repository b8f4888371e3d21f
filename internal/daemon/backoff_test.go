package daemon

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stokerd/stoker/cache/buildkit"
)

// TestBuilderBackoff checks when a builder is looked for again that does not answer: after waits
// that grow up to a minute, and at once where another one is asked for.
func TestBuilderBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var looks []int // in seconds since began
		d := newDaemon(Options{Log: slog.New(slog.DiscardHandler), Builder: buildkit.Env{OS: "windows", Home: t.TempDir(), Getenv: func(name string) string {
			if name == "BUILDKIT_HOST" {
				looks = append(looks, int(time.Since(began).Seconds()))
				return "tcp://127.0.0.1:1" // nothing listens
			}
			return ""
		}}}, nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.builder.run(ctx, d) }()
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if got, want := slices.Compact(looks), []int{0, 1, 3, 7, 15, 31, 63, 123, 183}; !slices.Equal(got, want) {
			t.Errorf("it was looked for after %v seconds, want %v", got, want)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run ended with %v", err)
		}
	})
}

// TestReconnectBackoff checks the waits after connections that broke.
func TestReconnectBackoff(t *testing.T) {
	var wait backoff
	for i, tt := range []struct{ lasted, want int }{ // in seconds
		{0, 1}, {5, 2}, {60, 4}, {0, 8}, {0, 16}, {0, 32}, {0, 60}, {60, 60}, {61, 1}, {0, 2}, {3600, 1},
	} {
		if got := wait.after(time.Duration(tt.lasted) * time.Second); got != time.Duration(tt.want)*time.Second {
			t.Errorf("after connection %d, which lasted %d s: wait %v, want %d s", i, tt.lasted, got, tt.want)
		}
	}
}
