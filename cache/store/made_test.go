package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache/store"
)

func TestMade(t *testing.T) {
	file := path(t)
	s := open(t, file)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	made := func(n int, age time.Duration) store.Made {
		at := now.Add(-age)
		return store.Made{
			Record: fmt.Appendf(nil, "record %d", n), Started: at, Completed: at.Add(time.Second),
			Repository: "/r", Definition: "api", Step: fmt.Sprintf("[%d/9] RUN x", n),
		}
	}
	put := func(name string, list ...store.Made) {
		t.Helper()
		if err := s.PutMade(name, now, list); err != nil {
			t.Fatal(err)
		}
	}
	put("one", made(2, time.Minute), made(1, time.Hour))
	put("one", made(1, time.Hour)) // once more, as after a restart
	put("one", made(3, 200*24*time.Hour))
	put("two", made(4, time.Minute))
	put("two")
	want := []store.Made{made(1, time.Hour), made(2, time.Minute)}
	check := func(when string) {
		t.Helper()
		got, err := s.Made("one")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	check("the oldest first, what is too old is not kept")
	if got, err := s.Made("three"); err != nil || got != nil {
		t.Errorf("an unknown cache has %v, %v", got, err)
	}
	s = reopened(t, s, file)
	check("after the store was opened again")
}
