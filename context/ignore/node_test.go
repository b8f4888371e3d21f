package ignore

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestBudget checks that patterns which keep making new nodes cost time but not
// memory, and that a state stays valid when the nodes it came from are dropped.
func TestBudget(t *testing.T) {
	pattern := "dir/*a" + strings.Repeat("?", 24) + "b"
	m, err := NewMatcher(&File{Lines: []Line{{1, pattern}}})
	if err != nil {
		t.Fatal(err)
	}
	held := m.Enter(m.Root(), "dir")
	first := m.auto.root.Load()
	rnd := rand.New(rand.NewPCG(1, 1))
	name := make([]byte, 60)
	for range 1500 {
		for i := range name {
			name[i] = "ab"[rnd.IntN(2)]
		}
		want := name[len(name)-1] == 'b' && name[len(name)-26] == 'a'
		if got := m.Match(held, string(name)); got != want {
			t.Fatalf("Match(%q) = %v, want %v", name, got, want)
		}
		if m.auto.size > budget+1<<16 {
			t.Fatalf("nodes take %d bytes, want at most %d", m.auto.size, budget+1<<16)
		}
	}
	if m.auto.root.Load() == first {
		t.Error("the budget was never used up: the test shows nothing")
	}
}
