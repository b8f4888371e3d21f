// Package randtest says how many cases a random suite tries, and which.
//
// A case is drawn from its seed alone. An ordinary run tries a share of each
// suite, so that it stays fast; `make test-real` tries all. Two variables of
// the environment change that for every suite alike: [EnvCases] how many cases
// there are, [EnvSeed] the seed of the first. make takes the seed from the
// commit, so that each commit tries other cases and the same ones whenever it
// is tested.
package randtest

import (
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	// EnvCases is how many cases a suite tries: "full", a share of that like
	// "5%", or a number; unset or empty, the suite's own share.
	EnvCases = "STOKER_TEST_CASES"
	// EnvSeed is the seed of the first case; 1 if unset or empty.
	EnvSeed = "STOKER_TEST_SEED"
)

// Seeds yields the seeds of the cases of one suite: share of them in an
// ordinary run, full if all are asked for. The test's log says which were tried
// and, when it has failed, how to repeat one: its seed as EnvSeed with EnvCases=1.
func Seeds(tb testing.TB, share, full int) iter.Seq[uint64] {
	tb.Helper()
	n, err := count(os.Getenv(EnvCases), share, full)
	if err != nil {
		tb.Fatal(err)
	}
	first, err := seed(os.Getenv(EnvSeed))
	if err != nil {
		tb.Fatal(err)
	}
	first += pass(tb) * apart
	last := first
	tb.Cleanup(func() {
		tb.Logf("%d cases were tried, of the seeds %d to %d", last-first+1, first, last)
		if tb.Failed() {
			tb.Logf("repeat one with %s=<seed> %s=1", EnvSeed, EnvCases)
		}
	})
	return func(yield func(uint64) bool) {
		for i := range uint64(n) {
			last = first + i
			if !yield(last) {
				return
			}
		}
	}
}

// apart is how far the seeds of the runs of a test in one process (go test
// -count) lie from each other: each tries other cases.
const apart = 1_000_000

// runs are the latest of each test of this process, by name.
var runs struct {
	mu     sync.Mutex // guards latest
	latest map[string]run
}

// A run is one execution of a test: the pass-th, from 0 on.
type run struct {
	tb   testing.TB
	pass uint64
}

// pass returns how often the test ran before in this process.
func pass(tb testing.TB) uint64 {
	runs.mu.Lock()
	defer runs.mu.Unlock()
	last, known := runs.latest[tb.Name()]
	switch {
	case runs.latest == nil:
		runs.latest = map[string]run{}
	case known && last.tb == tb:
		return last.pass
	case known:
		last.pass++
	}
	runs.latest[tb.Name()] = run{tb, last.pass}
	return last.pass
}

// count returns the number of cases that text asks for, at least one.
func count(text string, share, full int) (int, error) {
	if text == "full" {
		return full, nil
	}
	if text == "" {
		return share, nil
	}
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is %q; it is \"full\", a share like \"5%%\", or a number from 1 on", EnvCases, text)
	}
	if percent {
		n = max(1, full*n/100)
	}
	return n, nil
}

func seed(text string) (uint64, error) {
	if text == "" {
		return 1, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q; it is a number from 0 on", EnvSeed, text)
	}
	return n, nil
}
