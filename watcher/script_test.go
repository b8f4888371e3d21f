package watcher_test

import (
	"bufio"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/watcher"
)

var update = flag.Bool("update", false, "rewrite the Output blocks of testdata")

// TestScripts runs every file in testdata: lines of commands, then "Output:" and
// what flush, status and batch print. Words may be quoted as in Go.
//
//	setup                  starts the watcher; the lines before it prepare
//	fast-setup             is setup with a short debounce, for batch
//	mkdir write append rm mv chmod ln touch cat   as in a shell; paths below the root
//	prune NAME…            directories of these names are pruned from now on
//	flush                  prints the batch
//	batch                  prints what Batches gives
//	status                 prints the counts, and whether there is a problem
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			commands, want, ok := strings.Cut(string(text), "Output:\n")
			if !ok {
				t.Fatal("no Output block")
			}
			base := t.TempDir()
			s := &script{T: t, base: base, root: filepath.Join(base, "root")}
			s.do("mkdir", s.root)
			lines := bufio.NewScanner(strings.NewReader(commands))
			for lines.Scan() {
				if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
					s.run(words(t, line))
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(commands+"Output:\n"+s.out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, s.out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

// words splits a line at spaces; a word that starts with a quote is a Go string.
func words(t *testing.T, line string) []string {
	var all []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '"' {
			q, err := strconv.QuotedPrefix(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			word, _ := strconv.Unquote(q)
			all, line = append(all, word), line[len(q):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		all, line = append(all, word), rest
	}
	return all
}

type script struct {
	*testing.T
	base, root string
	w          *watcher.Watcher
	names      []string
	out        strings.Builder
}

func (s *script) run(words []string) {
	s.Helper()
	switch words[0] {
	case "setup":
		s.w = open(s.T, s.root, watcher.Options{CookieDir: s.base + "/cookies", Debounce: time.Hour, Prune: pruner(s.names)})
	case "fast-setup":
		s.w = open(s.T, s.root, watcher.Options{CookieDir: s.base + "/cookies", Debounce: 20 * time.Millisecond, Prune: pruner(s.names)})
	case "prune":
		s.names = words[1:]
		if s.w != nil {
			if err := s.w.SetPrune(pruner(s.names)); err != nil {
				s.Fatal(err)
			}
		}
	case "flush":
		s.print("flush", flush(s.T, s.w))
	case "batch":
		s.print("batch", <-s.w.Batches())
	case "status":
		st := s.w.Status()
		fmt.Fprintf(&s.out, "status: %d watched, %d polled, pending %t, problem %q\n",
			st.Directories, st.Polled, st.Pending, strings.ReplaceAll(st.Problem, s.base, ""))
	default:
		for i, word := range words[1:] {
			if words[0] == "chmod" && i == 0 {
				continue
			}
			if words[0] == "ln" && i == 0 && !filepath.IsAbs(word) {
				continue
			}
			words[i+1] = filepath.Join(s.root, word)
		}
		s.do(words[0], words[1:]...)
	}
}

func (s *script) print(what string, b watcher.Batch) {
	fmt.Fprintf(&s.out, "%s:", what)
	if b.Overflow {
		s.out.WriteString(" OVERFLOW")
	}
	for _, p := range b.Paths {
		if q := strconv.Quote(p); q != `"`+p+`"` || strings.Contains(p, " ") {
			p = q
		}
		s.out.WriteString(" " + p)
	}
	s.out.WriteString("\n")
}

// do runs one file command on absolute paths.
func (s *script) do(command string, args ...string) {
	s.Helper()
	var err error
	switch command {
	case "mkdir":
		err = os.MkdirAll(args[0], 0o755)
	case "write":
		err = os.WriteFile(args[0], []byte("text"), 0o644)
	case "append":
		var f *os.File
		if f, err = os.OpenFile(args[0], os.O_APPEND|os.O_WRONLY, 0); err == nil {
			_, err = f.WriteString("more")
			f.Close()
		}
	case "rm":
		err = os.RemoveAll(args[0])
	case "mv":
		err = os.Rename(args[0], args[1])
	case "chmod":
		var mode uint64
		if mode, err = strconv.ParseUint(args[0], 8, 32); err == nil {
			err = os.Chmod(args[1], fs.FileMode(mode))
		}
	case "ln":
		err = os.Symlink(args[0], args[1])
	case "touch":
		err = os.Chtimes(args[0], time.Unix(1, 0), time.Unix(1, 0))
	case "cat":
		_, err = os.ReadFile(args[0])
	default:
		s.Fatalf("unknown command %s", command)
	}
	if err != nil {
		s.Fatal(err)
	}
}

func pruner(names []string) func(string) bool {
	return func(rel string) bool { return slices.Contains(names, filepath.Base(rel)) }
}

// open starts a watcher that the test's end closes.
func open(t testing.TB, root string, o watcher.Options) *watcher.Watcher {
	t.Helper()
	if o.CookieDir == "" {
		o.CookieDir = t.TempDir()
	}
	w, err := watcher.New(root, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func flush(t testing.TB, w *watcher.Watcher) watcher.Batch {
	t.Helper()
	b, err := w.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}
