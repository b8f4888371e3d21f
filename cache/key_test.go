package cache_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// bases is a resolver that gives every image but "unknown" a digest, made of one
// digit.
type bases string

func (b bases) Resolve(_ context.Context, ref, _ string) (dockerfile.Image, error) {
	if strings.Contains(ref, "unknown") {
		return dockerfile.Image{}, dockerfile.ErrUnknownImage
	}
	return dockerfile.Image{
		Digest: "sha256:" + strings.Repeat(string(b), 64),
		Config: []byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:` + strings.Repeat("0", 64) + `"]}}`),
	}, nil
}

// A keyed is a directory with what is built from it.
type keyed struct {
	dir  string
	text string
	in   dockerfile.Input
	base bases
}

func newKeyed(t *testing.T, text string) *keyed {
	k := &keyed{dir: t.TempDir(), text: text, base: "1"}
	k.in.Worker.Platform = "linux/amd64"
	for name, data := range map[string]string{
		"p/x": "one", "q/x": "one", "d1/f": "two", "d1/sub/g": "three", "d2/f": "two", "d2/sub/g": "three", "other": "four",
		".dockerignore": "ignored\n",
	} {
		k.write(t, name, data)
	}
	return k
}

func (k *keyed) write(t *testing.T, name, data string) {
	t.Helper()
	name = filepath.Join(k.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(data), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (k *keyed) plan(t testing.TB) (*dockerfile.Plan, []cache.Key) {
	t.Helper()
	k.in.Dockerfile, k.in.Text, k.in.Context = filepath.Join(k.dir, "Dockerfile"), []byte(k.text), k.dir
	plan, err := dockerfile.Convert(t.Context(), k.in, k.base)
	if err != nil {
		t.Fatal(err)
	}
	return plan, cache.Keys(plan.Ops, contents(t, plan, map[string]string{"context": k.dir}))
}

// steps returns the keys of the steps, by keyword and occurrence: RUN, RUN2.
func (k *keyed) steps(t *testing.T) map[string]cache.Key {
	t.Helper()
	plan, keys := k.plan(t)
	names := map[int]string{}
	seen := map[string]int{}
	for i, s := range plan.Steps {
		seen[s.Keyword]++
		names[i] = s.Keyword + strings.TrimPrefix(string(rune('0'+seen[s.Keyword])), "1")
	}
	steps := map[string]cache.Key{}
	for i, op := range plan.Ops {
		for _, s := range op.Steps {
			steps[names[s]] = keys[i] // of several, the last one's
		}
	}
	return steps
}

// TestKeyEdits makes one edit at a time and says which steps' keys come out
// different: those and no others miss.
func TestKeyEdits(t *testing.T) {
	replace := func(old, new string) func(*testing.T, *keyed) {
		return func(t *testing.T, k *keyed) {
			if !strings.Contains(k.text, old) {
				t.Fatalf("%q is not in the Dockerfile", old)
			}
			k.text = strings.Replace(k.text, old, new, 1)
		}
	}
	write := func(name, data string) func(*testing.T, *keyed) {
		return func(t *testing.T, k *keyed) { k.write(t, name, data) }
	}
	chmod := func(name string, mode os.FileMode) func(*testing.T, *keyed) {
		return func(t *testing.T, k *keyed) {
			if err := os.Chmod(filepath.Join(k.dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	const text = `FROM base
COPY p/x /x
RUN --mount=source=d1,target=/m --mount=type=cache,id=a,target=/c --mount=type=secret,id=s a
COPY d1 /d
RUN b
`
	tests := []struct {
		name, text string // text is the one above unless said
		edit       func(*testing.T, *keyed)
		changed    string
	}{
		{"nothing", "", func(*testing.T, *keyed) {}, ""},
		{"content", "", write("p/x", "new"), "COPY RUN COPY2 RUN2"},
		{"content of a later step", "", write("d1/f", "new"), "RUN COPY2 RUN2"},
		{"another file", "", write("other", "new"), ""},
		{"a new file", "", write("d1/new", ""), "RUN COPY2 RUN2"},
		{"a file that is ignored", "FROM base\nCOPY . /\n", write("ignored", ""), ""},
		{"a file that is no longer", "", write(".dockerignore", "d1/f\n"), "RUN COPY2 RUN2"},
		{"time", "", func(t *testing.T, k *keyed) {
			if err := os.Chtimes(filepath.Join(k.dir, "p/x"), time.Time{}, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"mode", "", chmod("p/x", 0o664), "COPY RUN COPY2 RUN2"},
		{"mode that is set anyhow", "FROM base\nCOPY --chmod=600 p/x /\n", chmod("p/x", 0o664), "COPY"},
		{"mode of a directory", "", chmod("d1/sub", 0o700), "RUN COPY2 RUN2"},
		{"mode of the directory above", "", chmod("p", 0o700), ""},
		{"mode of the root", "FROM base\nCOPY . /\n", chmod(".", 0o700), ""},

		{"other directory, equal file", "", replace("p/x", "q/x"), ""},
		{"file of the root, equal", "", func(t *testing.T, k *keyed) { k.write(t, "x", "one"); replace("p/x", "x")(t, k) }, ""},
		{"other directory, equal content", "", replace("COPY d1", "COPY d2"), "COPY2 RUN2"},
		{"slash at the end", "", replace("COPY d1", "COPY d1/"), ""},
		{"wildcard", "", replace("p/x", "p/x*"), "COPY RUN COPY2 RUN2"},
		{"equal content mounted", "", replace("source=d1", "source=d2"), ""},
		{"id of a cache", "", replace("id=a", "id=b"), ""},
		{"sharing of a cache", "", replace("id=a", "id=a,sharing=locked"), ""},
		{"id of a cache without one", "", replace("id=a,", ""), "RUN COPY2 RUN2"},
		{"name of a secret", "", replace("id=s", "id=s2"), "RUN COPY2 RUN2"},
		{"presence of a secret", "", replace("--mount=type=secret,id=s ", ""), "RUN COPY2 RUN2"},
		{"space in a command", "", replace("RUN b", "RUN  b"), ""},
		{"space within a command", "", replace("RUN b", "RUN b  c"), "RUN2"},
		{"comment and label", "", replace("RUN b", "# why\nLABEL a=b\nEXPOSE 1\nRUN b\nCMD c"), ""},
		{"env", "", replace("COPY d1", "ENV A=b\nCOPY d1"), "RUN2"},
		{"arg with a value that nobody uses", "", replace("COPY p/x", "ARG A=b\nCOPY p/x"), "RUN COPY2 RUN2"},
		{"arg without a value", "", replace("COPY p/x", "ARG A\nCOPY p/x"), ""},
		{"arg below", "", replace("RUN b", "RUN b\nARG A=b"), ""},
		{"value of an arg", "FROM base\nARG A\nCOPY p/x /\nRUN a\n", func(_ *testing.T, k *keyed) { k.in.Args = map[string]string{"A": "1"} }, "RUN"},
		{"value of an arg that names files", "FROM base\nARG A=p\nCOPY $A/x /\n", func(_ *testing.T, k *keyed) { k.in.Args = map[string]string{"A": "q"} }, ""},
		{"user", "", replace("COPY p/x", "USER 1\nCOPY p/x"), "RUN COPY2 RUN2"},
		{"shell", "", replace("RUN b", "SHELL [\"s\"]\nRUN b"), "RUN2"},
		{"owner", "", replace("COPY d1", "COPY --chown=1 d1"), "COPY2 RUN2"},
		{"base image", "", func(_ *testing.T, k *keyed) { k.base = "2" }, "COPY RUN COPY2 RUN2"},
		{"name of the base image", "", replace("base", "alias"), ""},
		{"platform", "", func(_ *testing.T, k *keyed) { k.in.Platforms = []string{"linux/arm64"} }, "COPY RUN COPY2 RUN2"},
		{"what is below a link", "FROM base\nCOPY --link p/x /x\nCOPY --link d1 /d\n", write("p/x", "new"), "COPY COPY2"},
		{"heredoc", "FROM base\nCOPY <<A /a\none\nA\nRUN b\n", replace("one", "two"), "COPY RUN"},
		{"no cache", "", func(_ *testing.T, k *keyed) { k.in.NoCache = true }, ""},
		{"a stage", "FROM base AS s\nRUN a\nFROM base\nRUN b\nCOPY --from=s /o /o\n", replace("RUN a", "RUN c"), "COPY RUN"},
		{"a stage that is not needed", "FROM base AS s\nRUN a\nFROM base\nRUN b\n", replace("RUN a", "RUN c"), ""},
		{"name of a stage", "FROM base AS s\nRUN a\nFROM base\nRUN b\nCOPY --from=s /o /o\n", func(t *testing.T, k *keyed) {
			k.text = strings.ReplaceAll(k.text, "s\n", "t\n")
			replace("=s", "=t")(t, k)
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.text == "" {
				tt.text = text
			}
			k := newKeyed(t, tt.text)
			before := k.steps(t)
			tt.edit(t, k)
			after := k.steps(t)
			var changed []string
			for _, name := range []string{"COPY", "RUN", "COPY2", "RUN2"} {
				if key := after[name]; key.ID == "" && before[name].ID != "" {
					t.Errorf("%s has no key: %s", name, key.Reason)
				} else if key.ID != before[name].ID {
					changed = append(changed, name)
				}
			}
			if diff := cmp.Diff(tt.changed, strings.Join(changed, " ")); diff != "" {
				t.Errorf("changed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestKeyUnknown says which keys cannot be known, and why.
func TestKeyUnknown(t *testing.T) {
	tests := []struct {
		name, text string
		reason     cache.Reason
		cause      int
	}{
		{"image", "FROM unknown\nCOPY p/x /\nRUN a\n", cache.Unresolved, 0},
		{"download", "FROM base\nADD https://example.com/a /\nRUN a\n", cache.Unresolved, 1},
		{"file that is not there", "FROM base\nCOPY nowhere /\nRUN a\n", cache.Unread, 2},
		{"files as a stage", "FROM dir\nRUN a\n", cache.PerBuild, 0},
		{"files that can be written", "FROM base\nRUN --mount=source=p,target=/m,rw a\n", cache.Known, 0},
		{"the most definite", "FROM unknown AS u\nFROM dir\nCOPY --from=u /a /\n", cache.PerBuild, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newKeyed(t, tt.text)
			if strings.Contains(tt.text, "FROM dir") {
				k.in.NamedContexts = map[string]string{"dir": t.TempDir()}
			}
			k.in.Dockerfile, k.in.Text, k.in.Context = "Dockerfile", []byte(k.text), k.dir
			plan, err := dockerfile.Convert(t.Context(), k.in, k.base)
			if err != nil {
				t.Fatal(err)
			}
			keys := cache.Keys(plan.Ops, contents(t, plan, map[string]string{"context": k.dir, "dir": k.in.NamedContexts["dir"]}))
			got := keys[plan.Results[0]]
			if got.Reason != tt.reason || got.Cause != tt.cause || (got.ID == "") != (tt.reason != cache.Known) {
				t.Errorf("key %q is %s because of %d, want %s because of %d", got.ID, got.Reason, got.Cause, tt.reason, tt.cause)
			}
		})
	}
}
