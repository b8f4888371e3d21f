package changes_test

import (
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/changes"
)

func TestSaves(t *testing.T) {
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	l := changes.Saves([]changes.Save{
		{At: start, Paths: []string{"a.js", "b.js"}}, {At: start.Add(time.Hour), Paths: []string{"a.js"}}, {At: start.Add(2 * time.Hour), Paths: []string{"b.js", "c.js"}},
	})
	if got := l.Touching(func(p string) bool { return p == "a.js" }); l.Len() != 3 || got != 2 || l.Counted() != "3 observed saves" {
		t.Errorf("%d saves of which %d touch a.js: %s", l.Len(), got, l.Counted())
	}
	if first, last := l.Span(); !first.Equal(start) || last.Sub(first) != 2*time.Hour {
		t.Errorf("from %v to %v", first, last)
	}
	if got := l.Last(1).Counted(); got != "1 observed save" {
		t.Error(got)
	}
	if got := (*changes.Log)(nil).Counted(); got != "0 commits" {
		t.Error(got)
	}
}
