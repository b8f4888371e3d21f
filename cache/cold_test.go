package cache_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/internal/randtest"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// hold reads "id:age[:flags][<parent,…]": the age in hours before noon, which is
// the size in bytes too; flags are u (in use), n (needed), o (of others) and s
// (shared).
func hold(t *testing.T, text string) (list []cache.Holding) {
	t.Helper()
	for word := range strings.FieldsSeq(text) {
		word, parents, _ := strings.Cut(word, "<")
		parts := append(strings.Split(word, ":"), "")
		age := 0
		if _, err := fmt.Sscan(parts[1], &age); err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		h := cache.Holding{ID: parts[0], Bytes: int64(age), LastUsed: noon.Add(-time.Duration(age) * time.Hour), Known: true}
		h.InUse, h.Needed, h.Known = strings.Contains(parts[2], "u"), strings.Contains(parts[2], "n"), !strings.Contains(parts[2], "o")
		h.Shared = strings.Contains(parts[2], "s")
		if parents != "" {
			h.Parents = strings.Split(parents, ",")
		}
		list = append(list, h)
	}
	return list
}

func TestCold(t *testing.T) {
	day := cache.Policy{UnusedSince: noon.Add(-24 * time.Hour)}
	for _, tt := range []struct {
		name, held string
		policy     cache.Policy
		want       string // IDs in order
	}{
		{"what nobody used for a day", "a:30 b:10 c:40", day, "c a"},
		{"all of it", "a:30 b:10 c:40", cache.Policy{}, "c a b"},
		{"in use, needed, and of others", "a:30:u b:30:n c:30:o d:30", day, "d"},
		{"what an image has, too", "base:90 top:50:s<base b:30", day, "b"},
		{"that on demand", "base:90 top:50:s<base", cache.Policy{Others: true}, "top base"},
		{"of others on demand", "c:30:o d:31", cache.Policy{Others: true}, "d c"},
		{"what a needed one builds on", "base:90 dep:50<base top:10:n<dep old:80<base", day, "old"},
		{"a parent goes after its children", "base:90 top:30<base", day, "top base"},
		{"a parent stays with a child that was used", "base:90 top:3<base", day, ""},
		{"a parent that is not listed", "top:30<gone", day, "top"},
		{"no more than has to", "a:30 b:20 c:10", cache.Policy{Keep: 31}, "a"},
		{"nothing where there is room", "a:30 b:20 c:10", cache.Policy{Keep: 60}, ""},
		{"the bound and the age", "a:30 b:26 c:10", cache.Policy{UnusedSince: day.UnusedSince, Keep: 1}, "a b"},
		{"a child before what is older", "base:90 top:50<base other:60", cache.Policy{Keep: 100}, "other top"},
		{"nothing is there", "", cache.Policy{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := hold(t, tt.held)
			var got []string
			for _, i := range cache.Cold(list, tt.policy) {
				got = append(got, list[i].ID)
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("%q goes, want %q", got, tt.want)
			}
		})
	}
}

// TestColdNeverHurts draws caches and holds what goes against what may not.
func TestColdNeverHurts(t *testing.T) {
	for seed := range randtest.Seeds(t, 300, 20_000) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		list := make([]cache.Holding, 1+rnd.IntN(30))
		for i := range list {
			h := cache.Holding{
				ID: fmt.Sprint(i), Bytes: rnd.Int64N(100), LastUsed: noon.Add(-time.Duration(rnd.IntN(50)) * time.Hour),
				InUse: rnd.IntN(10) == 0, Needed: rnd.IntN(6) == 0, Known: rnd.IntN(4) > 0,
			}
			for range rnd.IntN(3) {
				if i > 0 {
					h.Parents = append(h.Parents, fmt.Sprint(rnd.IntN(i)))
				}
			}
			list[i] = h
		}
		p := cache.Policy{Others: rnd.IntN(3) == 0}
		if rnd.IntN(2) == 0 {
			p.UnusedSince = noon.Add(-time.Duration(rnd.IntN(50)) * time.Hour)
		}
		if rnd.IntN(2) == 0 {
			p.Keep = 1 + rnd.Int64N(1000)
		}
		cold := cache.Cold(list, p)
		stays := int64(0)
		for i, h := range list {
			if !slices.Contains(cold, i) {
				stays += h.Bytes
				for _, parent := range h.Parents {
					if slices.ContainsFunc(cold, func(at int) bool { return list[at].ID == parent }) {
						t.Fatalf("seed %d: %s goes, on which %s builds", seed, parent, h.ID)
					}
				}
				continue
			}
			if h.InUse || h.Needed || !h.Known && !p.Others || !p.UnusedSince.IsZero() && !h.LastUsed.Before(p.UnusedSince) {
				t.Fatalf("seed %d: %+v goes with %+v", seed, h, p)
			}
		}
		if last := len(cold) - 1; p.Keep > 0 && last >= 0 && stays+list[cold[last]].Bytes <= p.Keep {
			t.Fatalf("seed %d: %d bytes stay of %d that may", seed, stays, p.Keep)
		}
	}
}
