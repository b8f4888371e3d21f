package daemon_test

import (
	"testing"

	"github.com/moby/buildkit/client"
)

// TestPredictPartial: a COPY --link on an imported result does not have the layers of that fetched.
// A build that does not import them does not find it, and nothing promises that it does.
func TestPredictPartial(t *testing.T) {
	for _, form := range []string{"a cache of its own", "an image that carries it"} {
		t.Run(form, func(t *testing.T) { testPartial(t, form == "an image that carries it") })
	}
}

// testPartial is TestPredictPartial with a cache that is in an image if inline is true.
func testPartial(t *testing.T, inline bool) {
	b := newBringer(t, inline, "FROM node:20", "RUN echo NONCE > /one", "COPY --link src /src")
	b.write("src", "edited "+b.nonce)
	ran := b.solve(client.SolveOpt{CacheImports: b.kept})
	if ran["[2/3]"] || !ran["[3/3]"] {
		t.Fatalf("executed with the import: %v, want the COPY alone", ran)
	}
	b.recorded()
	b.predicts("with nothing fetched", "unknown unknown")
	if ran = b.solve(client.SolveOpt{}); !ran["[2/3]"] || !ran["[3/3]"] {
		t.Fatalf("executed without the import: %v, want both", ran)
	}
	b.recorded()
	b.predicts("after a build without the import", "hit hit")
}
