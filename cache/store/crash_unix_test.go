//go:build unix

package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"github.com/stokerd/stoker/cache/store"
	"github.com/stokerd/stoker/context/content"
	"github.com/stokerd/stoker/internal/randtest"
)

// roleEnv makes the test binary run in a role, as another process, with the path of
// a store as its argument.
const roleEnv = "STOKER_STORE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "writer":
		writer(os.Args[1])
	case "full":
		full(os.Args[1])
	default:
		os.Exit(m.Run())
	}
}

// child returns the test binary in a role.
func child(t *testing.T, role, file string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, file)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// writer stores one build after the other, from the first one that the store lacks. It
// writes the number of each to stdout once that is stored.
func writer(file string) {
	s, err := store.Open(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
	n := 0
	for _, err := range s.Records(store.Query{}) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "writer:", err)
			os.Exit(1)
		}
		n++
	}
	for ; ; n++ {
		taken := content.Digest{byte(n), byte(n >> 8)} // no such manifest exists, nor is one needed
		_, err := s.PutExplained(build(n, fmt.Sprint("def", n%7)), evidence(n, taken))
		if err == nil {
			_, err = s.Put(build(max(0, n-1), fmt.Sprint("def", max(0, n-1)%7)))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "writer:", err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// TestKilledAtAnyMoment kills a writer with SIGKILL at random moments, again and again
// with the same file.
func TestKilledAtAnyMoment(t *testing.T) {
	file := path(t)
	acknowledged := -1
	kills := 0
	for seed := range randtest.Seeds(t, 200, 500) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		kills++
		cmd := child(t, "writer", file)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acks := bufio.NewScanner(out)
		for range 1 + rnd.IntN(12) {
			if !acks.Scan() {
				t.Fatalf("kill %d: the writer ended by itself", kills)
			}
			acknowledged, _ = strconv.Atoi(acks.Text())
		}
		// Wait for a moment, so that the kill does not always come right after an
		// acknowledgement.
		for range rnd.IntN(1 << 18) {
		}
		_ = cmd.Process.Kill()
		for acks.Scan() { // acknowledgements that it had written by then count too
			acknowledged, _ = strconv.Atoi(acks.Text())
		}
		_ = cmd.Wait()
		verify(t, file, acknowledged)
	}
	t.Logf("%d kills, %d builds acknowledged, none lost or counted twice", kills, acknowledged+1)
}

// verify opens the store, and checks that it has all builds up to the last acknowledged
// one. There may be one more, which the writer did not get to acknowledge.
func verify(t *testing.T, file string, acknowledged int) {
	t.Helper()
	s, err := store.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if aside := s.Replaced(); aside != "" {
		t.Fatalf("a kill corrupted the store: %s", aside)
	}
	n := 0
	for r, err := range s.Records(store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("ref%06d", n); r.Ref != want {
			t.Fatalf("record %d is %s, want %s", n, r.Ref, want)
		}
		n++
		if n < acknowledged {
			continue // checked after an earlier kill
		}
		if e, ok, err := s.Evidence(r.Builder, r.Ref); !ok || err != nil || len(e.Operations) != 2 {
			t.Fatalf("%s has the evidence %+v, %v; want 2 operations", r.Ref, e, err)
		}
	}
	if n < acknowledged+1 || n > acknowledged+2 {
		t.Fatalf("%d builds are stored, %d were acknowledged; want as many, or one more", n, acknowledged+1)
	}
}

// full fills a store up to a limit on the size of files, which has the same effect as a
// full disk. It then lifts the limit, and stores one more build.
func full(file string) {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := store.Open(file)
	check(err)
	var old syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
	check(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 256 << 10, Max: old.Max}))
	n := fillUp(s)
	check(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old))
	_, err = s.Put(build(n, "api"))
	check(err)
	check(s.Close())
	fmt.Println(n)
}

// fillUp stores builds until the store is full, checks that all of them can be read, and
// returns their number.
func fillUp(s *store.Store) (n int) {
	var err error
	for err == nil {
		_, err = s.Put(build(n, "api"))
		n++
	}
	n--
	if !errors.Is(err, store.ErrFull) {
		check(fmt.Errorf("want ErrFull: %w", err))
	}
	read := 0
	for _, err := range s.Records(store.Query{}) {
		check(err)
		read++
	}
	if read != n || n == 0 {
		check(fmt.Errorf("%d of %d records are left", read, n))
	}
	return n
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "full:", err)
		os.Exit(1)
	}
}

func TestFullDisk(t *testing.T) {
	file := path(t)
	cmd := child(t, "full", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscan(string(text), &n); err != nil {
		t.Fatal(err)
	}
	if got := refs(t, open(t, file), store.Query{}); len(got) != n+1 {
		t.Errorf("%d records after the disk was full, want %d", len(got), n+1)
	}
}
