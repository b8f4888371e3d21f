package replay_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/internal/replay"
)

// TestStatesEqualContent compares with the content of all files, written out for each commit. Most
// commits bring new content, and some an earlier one back.
func TestStatesEqualContent(t *testing.T) {
	for seed := range randtest.Seeds(t, 300, 30_000) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		paths, steps := 1+rnd.IntN(6), 1+rnd.IntN(5)
		takes := make([][]int, paths) // steps by path
		for p := range takes {
			for s := range steps {
				if rnd.IntN(3) == 0 {
					takes[p] = append(takes[p], s)
				}
			}
		}
		var log []changes.Commit
		now, texts := make([]changes.Entry, paths), make([][]string, steps)
		for c := range 1 + rnd.IntN(40) {
			commit := changes.Commit{ID: fmt.Sprint(c)}
			for p := range paths {
				if rnd.IntN(3) > 0 {
					continue
				}
				next := changes.Entry{Mode: 0o100644, OID: fmt.Sprint("new", c)}
				if rnd.IntN(3) == 0 {
					next = []changes.Entry{{}, {Mode: 0o100644, OID: "a"}, {Mode: 0o100755, OID: "a"}}[rnd.IntN(3)]
				}
				if next != now[p] {
					commit.Changes = append(commit.Changes, changes.Change{Path: fmt.Sprint(p), Old: now[p], New: next})
					now[p] = next
				}
			}
			log = append(log, commit)
			for s := range steps {
				text := ""
				for p := range paths {
					if slices.Contains(takes[p], s) {
						text += fmt.Sprint(now[p], " ")
					}
				}
				texts[s] = append(texts[s], text)
			}
		}
		number := func(path string) []int { return takes[path[0]-'0'] }
		first := replay.NewHistory(changes.NewLog(log))
		for range 2 { // the second time they are known
			for s, got := range first.States(steps, number) {
				empty := strings.Repeat(fmt.Sprint(changes.Entry{}, " "), strings.Count(texts[s][0], "{"))
				want := numbered(append([]string{empty}, texts[s]...))[1:]
				if got == nil && slices.Max(want) == 0 {
					continue
				}
				if diff := cmp.Diff(numbered(want), numbered(got)); diff != "" {
					t.Fatalf("seed %d: step %d of %v: -want +got:\n%s", seed, s, texts[s], diff)
				}
			}
		}
	}
}

// numbered numbers values in the order in which they first occur.
func numbered[T comparable](list []T) (numbers []uint32) {
	known := map[T]uint32{}
	for _, v := range list {
		if _, ok := known[v]; !ok {
			known[v] = uint32(len(known))
		}
		numbers = append(numbers, known[v])
	}
	return numbers
}

// TestRunOfGraphs compares with one build after the other, of steps that depend on several others, in
// histories in which states come back after few builds, after many, or not at all.
func TestRunOfGraphs(t *testing.T) {
	for seed := range randtest.Seeds(t, 100, 10_000) {
		rnd := rand.New(rand.NewPCG(seed, 8))
		builds, fresh := 1+rnd.IntN(700), 1+rnd.IntN(20)
		list := make([]replay.Step, 1+rnd.IntN(7))
		for i := range list {
			list[i].Seconds = float64(rnd.IntN(10))
			for p := range i {
				if rnd.IntN(2) > 0 {
					continue
				}
				list[i].Parents = append(list[i].Parents, p)
				switch rnd.IntN(4) {
				case 0:
					list[i].Apart = append(list[i].Apart, p)
				case 1:
					list[i].Waits = append(list[i].Waits, p)
				}
			}
			if rnd.IntN(3) == 0 {
				continue
			}
			state, next := uint32(0), uint32(1)
			for range builds {
				list[i].States = append(list[i].States, state)
				switch {
				case rnd.IntN(4) > 0:
				case rnd.IntN(fresh) == 0:
					state = rnd.Uint32N(next)
				default:
					state = next
					next++
				}
			}
		}
		runs, wall := oneByOne(builds, list)
		if got := replay.Run(builds, list); !slices.Equal(got.Runs, runs) || math.Abs(got.Wall-wall) > 1e-9 {
			t.Fatalf("seed %d: %v runs that take %v, want %v and %v", seed, got.Runs, got.Wall, runs, wall)
		}
	}
}

// oneByOne runs the builds with a cache for each step.
func oneByOne(builds int, list []replay.Step) (runs []int, wall float64) {
	cache := map[string]bool{}
	runs = make([]int, len(list))
	for h := range builds {
		last := 0.0
		done, results := make([]float64, len(list)), make([]string, len(list))
		for i, s := range list {
			key, result := fmt.Sprint(i, ":"), fmt.Sprint(i, ":")
			begin, beside := 0.0, 0.0
			for _, p := range s.Parents {
				apart, waits := slices.Contains(s.Apart, p), slices.Contains(s.Waits, p)
				if !waits {
					result += "(" + results[p] + ")"
				}
				if !waits && !apart {
					key += "(" + results[p] + ")"
				}
				if apart {
					beside = max(beside, done[p])
				} else {
					begin = max(begin, done[p])
				}
			}
			if s.States != nil {
				key, result = key+fmt.Sprint(s.States[h]), result+fmt.Sprint(s.States[h])
			}
			if results[i] = result; !cache[key] {
				cache[key] = true
				runs[i]++
				begin += s.Seconds
			}
			done[i] = max(begin, beside)
			last = max(last, done[i])
		}
		wall += last
	}
	return runs, wall / float64(builds)
}
