package secrets

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/randtest"
)

// plain returns a scanner that runs every rule over whole fragments.
func plain(t testing.TB) *Scanner {
	t.Helper()
	s := scanner(t)
	for i := range s.rules {
		s.rules[i].anchors = nil
	}
	s.index = newIndex(s.rules)
	return s
}

// nearMiss returns text that begins as matches do: words that rules look for, operators, and values that are too short,
// just long enough, or of other characters.
func nearMiss(g *rand.Rand, words []string) string {
	var out strings.Builder
	for range 5 + g.IntN(60) {
		switch g.IntN(8) {
		case 0, 1:
			w := words[g.IntN(len(words))]
			if g.IntN(4) == 0 {
				w = strings.ToUpper(w)
			}
			out.WriteString(w)
		case 2, 3:
			out.WriteString(pick(g, []string{"=", ":", "=>", ":=", "||", ">", ",", "?=", "\": \"", "': '", " = ", "\",\n  \"type\": \"", "=\\\"", "  ", "\t", "\n"}))
		case 4, 5:
			from := pick(g, []string{"a1b2c3d4e5f6g7h8i9j0", "ABCDEF0123456789", "x.y=z-w_", "+/+/", "é{}", "abc", "0"})
			for n := pick(g, []int{1, 9, 10, 11, 12, 16, 20, 32, 36, 40, 64, 150, 151, 200}); n > 0; n-- {
				out.WriteByte(from[g.IntN(len(from))])
			}
		case 6:
			out.WriteString(pick(g, []string{"\"", "'", "`", ";", "\n", "\r\n", "\\n", " ", "{", "}", "(", "\",\n"}))
		case 7:
			out.WriteString(pick(g, []string{"_", "-", ".", "_token", "Key", "s", " name", "[0]"}))
		}
	}
	return out.String()
}

func pick[T any](g *rand.Rand, list []T) T { return list[g.IntN(len(list))] }

// wordsOf returns all keywords and literals of the rules.
func wordsOf(s *Scanner) (words []string) {
	for i := range s.rules {
		words = append(words, s.rules[i].keywords...)
		for _, a := range s.rules[i].anchors {
			words = append(words, a.literal)
		}
	}
	return words
}

// TestWindowsLoseNothing scans texts that nearly match, and some that do, by windows and as a whole.
func TestWindowsLoseNothing(t *testing.T) {
	s, slow := scanner(t), plain(t)
	all, generic := wordsOf(s), []string{"access", "auth", "api", "key", "token", "secret", "password", "credential"}
	tried, found := 0, 0
	for seed := range randtest.Seeds(t, 300, 20_000) {
		tried++
		g := rand.New(rand.NewPCG(seed, 5))
		words := all
		if g.IntN(2) == 0 {
			words = generic
		}
		text, path := nearMiss(g, words), pick(g, paths())
		want := ours(t, slow, path, text)
		found += len(want)
		if diff := cmp.Diff(want, ours(t, s, path, text)); diff != "" {
			t.Fatalf("seed %d, path %s (-whole +windows):\n%s\ntext: %q", seed, path, diff, text)
		}
	}
	if tried >= 300 && found < tried/20 {
		t.Errorf("only %d findings in %d texts: that compares too little", found, tried)
	}
	t.Logf("%d findings in %d texts", found, tried)
}

// FuzzWindows compares scanning by windows with scanning the whole.
func FuzzWindows(f *testing.F) {
	s, slow := scanner(f), plain(f)
	for _, text := range tokens() {
		f.Add(text)
	}
	for seed := range uint64(20) {
		f.Add(nearMiss(rand.New(rand.NewPCG(seed, 6)), wordsOf(s)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		if diff := cmp.Diff(ours(t, slow, "a.yaml", text), ours(t, s, "a.yaml", text)); diff != "" {
			t.Errorf("-whole +windows\n%s", diff)
		}
	})
}

// schema returns a description of tables as migration tools keep one per migration: large, and full of names that sound
// like secrets, with no value behind them.
func schema(tables int) string {
	type column struct {
		Name       string `json:"name"`
		Type       string `json:"type"`
		PrimaryKey bool   `json:"primaryKey"`
		NotNull    bool   `json:"notNull"`
	}
	all := map[string]map[string]column{}
	for i := range tables {
		columns := map[string]column{}
		for _, name := range []string{"id", "access_token", "refreshToken", "password", "api_key", "created_at", "authProvider", "secret"} {
			columns[name] = column{Name: name, Type: "text", NotNull: i%2 == 0}
		}
		all[fmt.Sprintf("public.table_%d", i)] = columns
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		panic(err) // of a map of strings and booleans
	}
	return string(text)
}

// TestNamesWithoutValuesAreNotSearched holds that a word such as token makes no rule run where no value comes after it.
func TestNamesWithoutValuesAreNotSearched(t *testing.T) {
	s := scanner(t)
	text := schema(150)
	var sv survey
	s.survey("meta/0001_snapshot.json", text, &sv)
	ran := false
	for i := range s.rules {
		ran = ran || sv.run[i]
		if sv.run[i] && sv.whole[i] {
			t.Errorf("%s runs over all of it", s.rules[i].id)
		}
		for _, w := range sv.windows[i] {
			t.Errorf("%s runs over %.200q", s.rules[i].id, text[w.lo:w.hi])
		}
	}
	if !ran {
		t.Error("the text has no keyword: that proves nothing")
	}
}

// TestSearchLosesNothing compares the search for the content of files that have telling names with their expressions,
// in texts made of what these look for.
func TestSearchLosesNothing(t *testing.T) {
	parts := []string{
		`"type"`, `"private_key"`, `"refresh_token"`, `"credential_source"`, `"service_account"`, `"authorized_user"`,
		`"external_account"`, `"auth"`, `"identitytoken"`, `"registrytoken"`, "token", "password", "client-key-data", "_authToken", "_auth", "_password",
		":", "=", " ", "\n", `"`, "x", "- ", "$", "#", ": \"a\"", " = b\n",
	}
	found := 0
	for seed := range randtest.Seeds(t, 2_000, 100_000) {
		g := rand.New(rand.NewPCG(seed, 7))
		var out strings.Builder
		for range 1 + g.IntN(12) {
			out.WriteString(pick(g, parts))
		}
		text := out.String()
		for i := range nameRules {
			r := &nameRules[i]
			if r.content == nil {
				continue
			}
			re, err := r.content.expr()
			if err != nil {
				t.Fatal(err)
			}
			want := re.FindStringIndex(text)
			got, err := r.content.find(text)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d: %s in %q: %v %v, want %v", seed, r.id, text, got, err, want)
			}
			if want != nil {
				found++
			}
		}
	}
	if found == 0 {
		t.Error("nothing found: that proves nothing")
	}
}

// BenchmarkSchema scans the description of a database, and reports how many times as long it takes to run every rule
// over the whole of it.
func BenchmarkSchema(b *testing.B) {
	s, slow, text := scanner(b), plain(b), schema(150)
	scan := func(s *Scanner) {
		if _, err := s.ScanFile(context.Background(), "snapshot.json", strings.NewReader(text), int64(len(text))); err != nil {
			b.Fatal(err)
		}
	}
	scan(s) // compiles what it needs
	var we, they time.Duration
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		start := time.Now()
		scan(s)
		we += time.Since(start)
	}
	const rounds = 3
	for range rounds {
		start := time.Now()
		scan(slow)
		they += time.Since(start) / rounds
	}
	b.ReportMetric(float64(they)/(float64(we)/float64(b.N)), "x-whole")
}
