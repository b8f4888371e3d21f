package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/cache/store"
)

// epoch is when the first build of the tests began.
var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// build returns the n-th build, an hour after the one before it.
func build(n int, definition string) cache.Record {
	created := epoch.Add(time.Duration(n) * time.Hour)
	r := cache.Record{
		Builder: "docker", Ref: fmt.Sprintf("ref%06d", n), Generation: 1,
		Repository: "/src/shop", Definition: definition, Status: cache.Completed,
		Created: created, Completed: created.Add(42*time.Second + 7),
	}
	for i := range 8 {
		s := cache.Step{Name: fmt.Sprintf("[build %d/9] RUN step %d", i+2, i), Stage: "build", Index: i + 2, Total: 9, Line: 3 + i, Outcome: cache.Hit}
		if i > 4 {
			s.Outcome, s.Started, s.Seconds = cache.Cascaded, created.Add(time.Duration(i)*time.Second), 1.25*float64(i)
		}
		r.Steps = append(r.Steps, s)
	}
	return r
}

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// reopened closes a store and opens it again.
func reopened(t testing.TB, s *store.Store, path string) *store.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func path(t testing.TB) string { return filepath.Join(t.TempDir(), "state", "stoker.db") }

func put(t testing.TB, s *store.Store, records ...cache.Record) int {
	t.Helper()
	added, err := s.Put(records...)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func refs(t testing.TB, s *store.Store, q store.Query) (refs []string) {
	t.Helper()
	for r, err := range s.Records(q) {
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, r.Ref)
	}
	return refs
}

// fill sets every field below v to a different value, so that a field that is added to a
// record but not to its encoding fails the round trip.
func fill(t *testing.T, v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(epoch.Add(time.Duration(*n) * time.Second)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(t, v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("text", *n))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 3)
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("a record now has a field of kind %s: encode it, then teach this test", v.Kind())
	}
}

func TestRecordsRoundTrip(t *testing.T) {
	var full cache.Record
	fill(t, reflect.ValueOf(&full).Elem(), new(int))
	plain := build(1, "api")
	plain.Status, plain.Error = cache.Broken, "step 4/7 exit code 1"
	failedImport := build(2, "api")
	failedImport.Remote = cache.RemoteUse{Import: 0.25}
	bare := cache.Record{Builder: "b", Ref: "r", Created: epoch, Completed: epoch}
	s := open(t, path(t))
	for _, want := range []cache.Record{full, plain, failedImport, bare} {
		put(t, s, want)
		got, ok, err := s.Record(want.Builder, want.Ref)
		if err != nil || !ok {
			t.Fatalf("Record(%q): ok %t, %v", want.Ref, ok, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("a record changed in the store (-put +got):\n%s", d)
		}
	}
	if _, ok, err := s.Record("docker", "unheard of"); ok || err != nil {
		t.Errorf("Record of an unknown ref: ok %t, %v", ok, err)
	}
}

func TestPutKeepsTheHighestGeneration(t *testing.T) {
	s := open(t, path(t))
	r := build(1, "api")
	r.Generation = 2
	if put(t, s, r, r) != 1 || put(t, s, r) != 0 {
		t.Error("the same generation was counted twice")
	}
	older := r
	older.Generation, older.Error = 1, "older"
	if put(t, s, older) != 0 {
		t.Error("an older generation replaced a newer one")
	}
	newer := r
	newer.Generation, newer.Completed = 3, r.Completed.Add(time.Minute)
	if put(t, s, newer) != 1 {
		t.Error("a newer generation was skipped")
	}
	elsewhere := r
	elsewhere.Builder = "remote"
	if put(t, s, elsewhere) != 1 {
		t.Error("the same ref on another builder was taken for the same build")
	}
	var got []cache.Record
	for r, err := range s.Records(store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if d := cmp.Diff([]cache.Record{elsewhere, newer}, got); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
}

func TestPutRefusesWhatCannotBeFound(t *testing.T) {
	s := open(t, path(t))
	running := build(1, "api")
	running.Completed = time.Time{}
	if _, err := s.Put(build(0, "api"), running); err == nil {
		t.Error("a build that has not ended was stored")
	}
	if got := refs(t, s, store.Query{}); got != nil {
		t.Errorf("a failed Put left %v", got)
	}
}

func TestQueries(t *testing.T) {
	s := open(t, path(t))
	for _, n := range []int{3, 0, 2, 1} { // order of arrival does not matter
		put(t, s, build(n, []string{"api", "web"}[n%2]))
	}
	for name, c := range map[string]struct {
		q    store.Query
		want []string
	}{
		"all":         {store.Query{}, []string{"ref000000", "ref000001", "ref000002", "ref000003"}},
		"newest":      {store.Query{NewestFirst: true}, []string{"ref000003", "ref000002", "ref000001", "ref000000"}},
		"since":       {store.Query{Since: build(2, "").Completed}, []string{"ref000002", "ref000003"}},
		"since back":  {store.Query{Since: build(2, "").Completed, NewestFirst: true}, []string{"ref000003", "ref000002"}},
		"definition":  {store.Query{Definition: "web"}, []string{"ref000001", "ref000003"}},
		"repository":  {store.Query{Repository: "/src/other"}, nil},
		"the future":  {store.Query{Since: epoch.AddDate(1, 0, 0)}, nil},
		"before 1970": {store.Query{Since: time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), Definition: "api"}, []string{"ref000000", "ref000002"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, refs(t, s, c.q)); d != "" {
				t.Errorf("refs (-want +got):\n%s", d)
			}
		})
	}
}

func TestBorrowedRecordsAreRightWhileHeld(t *testing.T) {
	s := open(t, path(t))
	for n := range 300 {
		put(t, s, build(n, "api"))
	}
	n := 0
	for r, err := range s.Records(store.Query{Borrow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(build(n, "api"), r); d != "" {
			t.Fatalf("record %d (-want +got):\n%s", n, d)
		}
		n++
	}
	if n != 300 {
		t.Errorf("%d records, want 300", n)
	}
}

func TestRecordsLeavesTheLoopsPanicAlone(t *testing.T) {
	s := open(t, path(t))
	put(t, s, build(0, "api"))
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("recovered %v, want the loop's own panic", r)
		}
		put(t, s, build(1, "api")) // the read transaction has ended
	}()
	for range s.Records(store.Query{}) {
		panic("mine")
	}
}

func TestPrune(t *testing.T) {
	s := open(t, path(t))
	for n := range 100 {
		put(t, s, build(n, fmt.Sprint("def", n/50)))
	}
	removed, err := s.Prune(build(100, "").Completed, store.Retention{Age: 40 * time.Hour})
	if err != nil || removed != 60 {
		t.Fatalf("Prune by age removed %d, %v; want 60", removed, err)
	}
	if got := refs(t, s, store.Query{}); len(got) != 40 || got[0] != "ref000060" {
		t.Errorf("by age %d are left from %s", len(got), got[0])
	}
	if _, err = s.Prune(epoch, store.Retention{Bytes: 2000}); err != nil {
		t.Fatal(err)
	}
	left := refs(t, s, store.Query{NewestFirst: true})
	if len(left) == 0 || len(left) == 40 || left[0] != "ref000099" {
		t.Errorf("2000 bytes hold %v; want some, the newest", left)
	}
	if put(t, s, build(0, "def0")) != 1 {
		t.Error("a pruned record is still known by its ref")
	}
	if _, err = s.Prune(epoch, store.Retention{Bytes: 1}); err != nil {
		t.Fatal(err)
	}
	if got := refs(t, s, store.Query{}); got != nil {
		t.Errorf("with room for none, %v are left", got)
	}
	put(t, s, build(5, "def0")) // its layout was swept and is made anew
	if got := refs(t, s, store.Query{Definition: "def0"}); !slices.Equal(got, []string{"ref000005"}) {
		t.Errorf("after the sweep: %v", got)
	}
}

// TestPruneOfNothingDoesNotWait prunes during a write transaction, which does not end
// before Prune returns.
func TestPruneOfNothingDoesNotWait(t *testing.T) {
	s := open(t, path(t))
	put(t, s, build(0, "api"))
	err := s.UpdateLedger("b", epoch, func(yield func(string, []byte) bool) {
		pruned := make(chan error, 1)
		go func() {
			_, err := s.Prune(build(1, "").Completed, store.Retention{Age: 40 * time.Hour})
			pruned <- err
		}()
		select {
		case err := <-pruned:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Prune waits for the write transaction")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPruneWhileBuildsEnd stores builds of layouts that Prune is about to delete, at the
// same time. None of them may lose its layout.
func TestPruneWhileBuildsEnd(t *testing.T) {
	s := open(t, path(t))
	for round := range 50 {
		old := build(round, fmt.Sprint("def", round))
		again := build(1000+round, fmt.Sprint("def", round))
		put(t, s, old)
		var ended sync.WaitGroup
		ended.Go(func() {
			if _, err := s.Put(again); err != nil {
				t.Error(err)
			}
		})
		_, err := s.Prune(build(1000, "").Completed, store.Retention{Age: time.Hour})
		ended.Wait()
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := s.Record(again.Builder, again.Ref)
		if d := cmp.Diff(again, got); d != "" || !ok || err != nil {
			t.Fatalf("round %d: ok %t, %v (-put +got):\n%s", round, ok, err, d)
		}
		if _, ok, err := s.Record(old.Builder, old.Ref); ok || err != nil {
			t.Fatalf("round %d: the old record is still there: %t, %v", round, ok, err)
		}
	}
}

func TestDocuments(t *testing.T) {
	file := path(t)
	s := open(t, file)
	shop := store.Repository{Root: "/src/shop", Owner: 1000, Allowed: true, Watched: true, Since: epoch}
	blog := store.Repository{Root: "/src/blog", Owner: 1000, Since: epoch}
	warm := store.Warmth{Repository: "/src/shop", Definition: "api", Level: "deps", State: "ready", At: epoch}
	other := store.Warmth{Repository: "/src/shop2", Definition: "api", Level: "all", State: "failed", Reason: "exit code 1", At: epoch}
	for _, err := range []error{
		s.PutRepository(blog), s.PutRepository(store.Repository{Root: "/src/shop"}), s.PutRepository(shop),
		s.PutWarmth(warm), s.PutWarmth(other),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	key := s.Key()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, file)
	if s.Key() != key || key == [32]byte{} {
		t.Errorf("the key was %x and is %x", key, s.Key())
	}
	all, err := s.Repositories()
	if d := cmp.Diff([]store.Repository{blog, shop}, all); d != "" || err != nil {
		t.Errorf("repositories, %v (-want +got):\n%s", err, d)
	}
	if got, err := s.Warmths("/src/shop"); !cmp.Equal(got, []store.Warmth{warm}) || err != nil {
		t.Errorf("warmths: %v, %v", got, err)
	}
	if err := s.PutRepository(store.Repository{}); err == nil {
		t.Error("a repository without a root was stored")
	}
}

// forget makes the store forget a repository.
func forget(t *testing.T, s *store.Store, root string) {
	t.Helper()
	if err := s.PutRepository(store.Repository{Root: root, Left: epoch}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Forget(epoch.Add(2*time.Hour), time.Hour); n != 1 || err != nil {
		t.Fatalf("Forget: %d repositories, %v; want 1", n, err)
	}
}

// TestForget checks that only repositories that were not watched for long are forgotten.
func TestForget(t *testing.T) {
	s := open(t, path(t))
	const day = 24 * time.Hour
	for _, r := range []store.Repository{
		{Root: "/src/old", Allowed: true, Left: epoch}, {Root: "/src/old/er", Left: epoch.Add(10 * day)},
		{Root: "/src/watched", Watched: true}, {Root: "/src/from-before", Allowed: true},
	} {
		if err := errors.Join(s.PutRepository(r), s.PutWarmth(store.Warmth{Repository: r.Root, Definition: "api"}),
			s.PutLearnt(store.Learnt{Repository: r.Root, Dockerfile: "Dockerfile", Seen: epoch})); err != nil {
			t.Fatal(err)
		}
	}
	left := func(now time.Duration, want ...string) {
		t.Helper()
		if _, err := s.Forget(epoch.Add(now), 60*day); err != nil {
			t.Fatal(err)
		}
		all, err := s.Repositories()
		if err != nil {
			t.Fatal(err)
		}
		var roots []string
		for _, r := range all {
			roots = append(roots, r.Root)
		}
		if d := cmp.Diff(want, roots); d != "" {
			t.Errorf("after %v (-want +got):\n%s", now, d)
		}
	}
	left(59*day, "/src/from-before", "/src/old", "/src/old/er", "/src/watched")
	left(61*day, "/src/from-before", "/src/old/er", "/src/watched")
	left(118*day, "/src/from-before", "/src/watched")
	left(120*day, "/src/watched")
	for root, want := range map[string]int{"/src/old": 0, "/src/from-before": 0, "/src/watched": 1} {
		warm, err := s.Warmths(root)
		known, failed := s.Learnt(root, epoch)
		if len(warm) != want || len(known) != want || err != nil || failed != nil {
			t.Errorf("%s: %d warmths, %v, and %d learnt definitions, %v; want %d of each", root, len(warm), err, len(known), failed, want)
		}
	}
}

func TestFileIsPrivate(t *testing.T) {
	file := path(t)
	s := open(t, file)
	mode := func(name string) os.FileMode {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if m, d := mode(file), mode(filepath.Dir(file)); m != 0o600 || d != 0o700 {
		t.Errorf("file %o, directory %o; want 600 and 700", m, d)
	}
	_ = s.Close()
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, file)
	if m := mode(file); m != 0o600 {
		t.Errorf("a file that was restored with mode 644 has %o, want 600", m)
	}
}
