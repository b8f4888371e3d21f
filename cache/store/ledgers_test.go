package store_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache/store"
)

func TestLedgers(t *testing.T) {
	file := path(t)
	s := open(t, file)
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	update := func(name string, at time.Time, changes map[string][]byte) {
		t.Helper()
		if err := s.UpdateLedger(name, at, maps.All(changes)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(name string, want map[string][]byte) {
		t.Helper()
		got, err := s.Ledger(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ledger %s (-want +got):\n%s", name, diff)
		}
	}
	const canary = "builder at tcp://canary.example.com"
	check(canary, map[string][]byte{})
	update(canary, now, map[string][]byte{"a": {1}, "b": {2}})
	update(canary, now, map[string][]byte{"a": nil, "b": {3}, "c": {}})
	update("other", now, map[string][]byte{"a": {9}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil || bytes.Contains(raw, []byte("canary")) {
		t.Errorf("the name of a ledger is kept: %v", err)
	}
	s = open(t, file)
	check(canary, map[string][]byte{"b": {3}, "c": {}})
	if err := s.ReplaceLedger(canary, now.Add(50*24*time.Hour), maps.All(map[string][]byte{"d": {4}})); err != nil {
		t.Fatal(err)
	}
	check(canary, map[string][]byte{"d": {4}})
	check("other", map[string][]byte{"a": {9}})

	// A ledger that was not written to is deleted when another one is created.
	update("third", now.Add(70*24*time.Hour), map[string][]byte{"e": {5}})
	check("other", map[string][]byte{})
	check(canary, map[string][]byte{"d": {4}})
}

// TestSeal checks that a seal is short, stays the same when the store is opened again,
// differs between stores, and does not show the digest.
func TestSeal(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	var sealed []string
	for range 2 {
		path := filepath.Join(t.TempDir(), "state.db")
		for range 2 {
			s, err := store.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			sealed = append(sealed, s.Seal(digest))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if sealed[0] != sealed[1] || sealed[2] != sealed[3] || sealed[0] == sealed[2] || len(sealed[0]) != 16 || strings.Contains(sealed[0], "0123") {
		t.Errorf("sealed %q: want 16 bytes, the same after the store was opened again, others in another store, and not the digest", sealed)
	}
}
