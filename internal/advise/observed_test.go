package advise_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/changes"
)

func TestObserved(t *testing.T) {
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var saves []changes.Save
	for i := range 30 {
		saves = append(saves, changes.Save{At: start.Add(time.Duration(i) * time.Hour), Paths: []string{"a"}})
	}
	none := advise.History{Note: "no history: not inside a git repository"}
	if h := none.Observed(saves[:9], 200); h.Commits.Len() != 0 || !strings.Contains(h.Note, "; 9 saves were observed so far, of the 10") {
		t.Errorf("9 saves: %+v", h)
	}
	if h := none.Observed(saves, 20); h.Commits.Len() != 20 || !strings.HasPrefix(h.Note, "no commits: with savings from 20 observed saves since 2026-05-01") {
		t.Errorf("30 saves: %+v", h)
	}
	git := advise.History{Commits: changes.NewLog([]changes.Commit{{ID: "1"}})}
	if h := git.Observed(saves, 20); h.Commits.Len() != 1 || h.Note != "" {
		t.Errorf("with commits: %+v", h)
	}
}
