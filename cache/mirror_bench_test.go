package cache_test

import (
	"fmt"
	"testing"

	"github.com/stokerd/stoker/cache"
)

// ranAll is a build of steps on a base image, of that name, in which all ran.
func ranAll(name string, steps int) (cache.Graph, []cache.Fate) {
	g, fates := cache.Graph{Nodes: []cache.Node{{Digests: []string{"base"}}}, Targets: []int{steps}}, []cache.Fate{cache.Loaded}
	for i := range steps {
		g.Nodes = append(g.Nodes, cache.Node{Digests: []string{fmt.Sprint(name, i)}, Inputs: []cache.Input{{Node: i}}, Steps: []int{i}})
		fates = append(fates, cache.Made)
	}
	return g, fates
}

// BenchmarkLearn enters one more build of ten steps: where few builds were seen, and
// where as many were as a ledger keeps (internal/ledger: most).
func BenchmarkLearn(b *testing.B) {
	for _, keys := range []int{200, 20_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			var m *cache.Mirror
			for i := range 20 {
				g, fates := ranAll(fmt.Sprint("build", i, " "), keys/20)
				m, _, _ = m.Learn(g, fates, false)
			}
			g, fates := ranAll("new", 10)
			b.ReportAllocs()
			for b.Loop() {
				m.Learn(g, fates, false)
			}
		})
	}
}
