package randtest

import (
	"slices"
	"testing"
)

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int // 0 for a refusal
	}{
		{"", 50}, {"full", 2000}, {"10%", 200}, {"100%", 2000}, {"1", 1}, {"7", 7}, {"5000", 5000},
		{"0", 0}, {"-1", 0}, {"0%", 0}, {"half", 0}, {"%", 0}, {"5 %", 0},
	} {
		got, err := count(tt.text, 50, 2000)
		if got != tt.want || (err != nil) != (tt.want == 0) {
			t.Errorf("count(%q) = %d, %v, want %d", tt.text, got, err, tt.want)
		}
	}
	if got, err := count("1%", 1, 20); got != 1 || err != nil {
		t.Errorf("a share of a small suite is %d, %v: at least one case is tried", got, err)
	}
}

func TestSeeds(t *testing.T) {
	t.Setenv(EnvCases, "")
	t.Setenv(EnvSeed, "")
	offset := pass(t) * apart // of this run, with go test -count
	if got := slices.Collect(Seeds(t, 3, 9)); !slices.Equal(got, []uint64{offset + 1, offset + 2, offset + 3}) {
		t.Errorf("an ordinary run has the seeds %v", got)
	}
	t.Setenv(EnvCases, "full")
	t.Setenv(EnvSeed, "40")
	if got := slices.Collect(Seeds(t, 1, 4)); !slices.Equal(got, []uint64{offset + 40, offset + 41, offset + 42, offset + 43}) {
		t.Errorf("a full run has the seeds %v", got)
	}
}

func TestSeed(t *testing.T) {
	for _, text := range []string{"-1", "x", "1.5", "99999999999999999999"} {
		if n, err := seed(text); err == nil {
			t.Errorf("seed(%q) = %d", text, n)
		}
	}
}

func TestPass(t *testing.T) {
	first := pass(t)
	if again := pass(t); again != first {
		t.Errorf("one run is pass %d and then %d", first, again)
	}
	var other testing.TB = &struct{ testing.TB }{t}
	if next := pass(other); next != first+1 {
		t.Errorf("the run after pass %d is %d", first, next)
	}
}
