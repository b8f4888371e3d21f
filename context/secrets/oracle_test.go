package secrets

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/stokerd/stoker/internal/randtest"
)

// oracle returns gitleaks' own detector with the defaults of `gitleaks dir`.
func oracle(t testing.TB) *detect.Detector {
	t.Helper()
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	d.MaxDecodeDepth = maxDecodes
	return d
}

func scanner(t testing.TB) *Scanner {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// theirs returns gitleaks' matches in a file, as "line rule secret", sorted.
func theirs(t testing.TB, d *detect.Detector, path, text string) []string {
	t.Helper()
	var out []string
	f := sources.File{Content: strings.NewReader(text), Path: path, Config: &d.Config}
	err := f.Fragments(context.Background(), func(f sources.Fragment, err error) error {
		if err != nil {
			return err
		}
		for _, m := range d.Detect(detect.Fragment(f)) {
			out = append(out, fmt.Sprintf("%d %s %q", m.StartLine, m.RuleID, m.Secret))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// ours returns our matches in the same form.
func ours(t testing.TB, s *Scanner, path, text string) []string {
	t.Helper()
	var out []string
	if skip, err := skippedByAny(s.global, path); err != nil {
		t.Fatal(err)
	} else if skip {
		return nil
	}
	err := s.scan(context.Background(), path, strings.NewReader(text), func(_ *fragment, ms []match) error {
		for _, m := range ms {
			out = append(out, fmt.Sprintf("%d %s %q", m.line, m.rule.id, m.secret))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func TestRuleSetIsTheLibrarys(t *testing.T) {
	if !bytes.Equal(ruleSet, []byte(config.DefaultConfig)) {
		t.Error("gitleaks/gitleaks.toml is not the pinned library's config/gitleaks.toml: copy that over it")
	}
}

// A sampler writes text that expressions match.
type sampler struct {
	*rand.Rand
	folds bool // also use runes that fold to ASCII, which takes the slow path
}

// sample writes a text that re matches, assertions aside.
func (g sampler) sample(re *syntax.Regexp, out *strings.Builder) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			s := string(r)
			if re.Flags&syntax.FoldCase != 0 && g.IntN(2) == 0 {
				s = strings.ToLower(s)
			}
			out.WriteString(s)
		}
	case syntax.OpCharClass:
		i := 2 * g.IntN(len(re.Rune)/2)
		if re.Rune[i] == longS || re.Rune[i] == kelvin {
			i = 0
		}
		lo, hi := re.Rune[i], min(re.Rune[i+1], re.Rune[i]+40)
		out.WriteRune(lo + rune(g.IntN(int(hi-lo)+1)))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out.WriteByte(byte(' ' + g.IntN(90)))
	case syntax.OpStar, syntax.OpPlus, syntax.OpRepeat, syntax.OpQuest:
		lo, hi := re.Min, re.Max
		switch re.Op {
		case syntax.OpStar:
			lo, hi = 0, -1
		case syntax.OpPlus:
			lo, hi = 1, -1
		case syntax.OpQuest:
			lo, hi = 0, 1
		}
		if hi < 0 {
			hi = lo + 20
		}
		for range lo + g.IntN(hi-lo+1) {
			g.sample(re.Sub[0], out)
		}
	case syntax.OpAlternate:
		g.sample(re.Sub[g.IntN(len(re.Sub))], out)
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			g.sample(sub, out)
		}
	}
}

// fillers are texts between the samples.
var fillers = []string{
	"\n", "\n\n", " ", "\t", "const key = value;\n", "token: ", "api_key=", "password = \"", "\"", "'", "`", ";",
	"curl -H 'X: y' ", "kind: secret\ndata:\n  ", "é", "\xff\xfe", "日本", "\u017f", "\u212a", "\u0130", "%20", "\\u0041", "U+0041 ", "\r\n",
	"// gitleaks:allow", "import { a } from 'b'", "a_b_c", "0123456789abcdef", "=", ">=", ":=", "|", "example",
}

// text returns n samples of the expressions between fillers. Some samples have a few bytes changed.
func (g sampler) text(trees []*syntax.Regexp, n int) string {
	var out strings.Builder
	for range n {
		for range g.IntN(4) {
			if f := fillers[g.IntN(len(fillers))]; g.folds || !folds(f) {
				out.WriteString(f)
			}
		}
		var one strings.Builder
		g.sample(trees[g.IntN(len(trees))], &one)
		b := []byte(one.String())
		for g.IntN(3) == 0 && len(b) > 0 {
			at := g.IntN(len(b))
			switch g.IntN(3) {
			case 0:
				b[at] = byte(g.IntN(256))
			case 1:
				b = slices.Delete(b, at, at+1)
			case 2:
				b = slices.Insert(b, at, fillers[g.IntN(len(fillers))][0])
			}
		}
		out.Write(b)
	}
	return out.String()
}

// trees returns the expressions of gitleaks' rules by id.
func trees(t testing.TB) map[string]*syntax.Regexp {
	t.Helper()
	d := oracle(t)
	out := map[string]*syntax.Regexp{}
	for id, r := range d.Config.Rules {
		if r.Regex == nil {
			continue
		}
		tree, err := syntax.Parse(r.Regex.String(), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		out[id] = tree
	}
	return out
}

// paths returns paths that the rules' own conditions for paths distinguish.
func paths() []string {
	return []string{"src/app.js", "conf/nuget.config", "k8s/a.yaml", "main.tf", "x.php", "a.bb", "keys/a.p12"}
}

// TestEveryRuleEqualsGitleaks scans samples of one rule after another, and compares the matches with gitleaks'. Most
// rules must match something, or the samples would prove nothing.
func TestEveryRuleEqualsGitleaks(t *testing.T) {
	s, d := scanner(t), oracle(t)
	seen, all, rounds := map[string]bool{}, trees(t), 0
	for seed := range randtest.Seeds(t, 2, 40) {
		rounds++
		for i, id := range slices.Sorted(maps.Keys(all)) {
			tree := all[id]
			g := sampler{Rand: rand.New(rand.NewPCG(seed, uint64(i))), folds: seed%4 == 3}
			// The keywords are added so that the rule runs whatever the samples are.
			text := g.text([]*syntax.Regexp{tree}, 1+g.IntN(4)) + "\n" + strings.Join(d.Config.Rules[id].Keywords, " ") + "\n"
			path := paths()[(seed+uint64(i))%uint64(len(paths()))]
			want, got := theirs(t, d, path, text), ours(t, s, path, text)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d, rule %s, path %s (-gitleaks +stoker):\n%s\ntext: %q", seed, id, path, diff, text)
			}
			for _, w := range want {
				seen[strings.Fields(w)[1]] = true
			}
		}
	}
	if n := len(s.rules); rounds > 7 && len(seen) < n*8/10 || len(seen) < n/2 {
		t.Errorf("only %d of %d rules matched anything", len(seen), n)
	}
	t.Logf("%d of %d rules matched something", len(seen), len(s.rules))
}

// TestSkipsEqualsGitleaks draws paths from the expressions that skip files, and compares Skips with gitleaks' own
// allowlist, asked about each path and the directories above it.
func TestSkipsEqualsGitleaks(t *testing.T) {
	s, d := scanner(t), oracle(t)
	var list []*syntax.Regexp
	for _, a := range d.Config.Allowlists {
		for _, re := range a.Paths {
			tree, err := syntax.Parse(re.String(), syntax.Perl)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, tree)
		}
	}
	names, skipped, drawn := skipNames(), 0, 0
	for seed := range randtest.Seeds(t, 5_000, 100_000) {
		drawn++
		g := sampler{Rand: rand.New(rand.NewPCG(seed, 3)), folds: true}
		name := g.text(list, 1+g.IntN(2))
		if g.IntN(2) == 0 {
			name = names[g.IntN(len(names))] + "/" + strings.TrimLeft(name, "/")
		}
		if name = strings.TrimPrefix(path.Clean("/"+name), "/"); isArchive(name) {
			continue
		}
		want := false
		for p := name; p != "." && p != ""; p = path.Dir(p) {
			for _, a := range d.Config.Allowlists {
				want = want || a.PathAllowed(p)
			}
		}
		if got := s.Skips(name); got != want {
			t.Fatalf("seed %d: Skips(%q) = %v, gitleaks says %v", seed, name, got, want)
		}
		if want {
			skipped++
		}
	}
	if drawn > 100 && (skipped < drawn/10 || skipped > drawn*9/10) {
		t.Errorf("%d of %d paths are skipped: that compares too little", skipped, drawn)
	}
}

// skipNames returns parent directories, of which some are skipped.
func skipNames() []string {
	return []string{"src", "a\nb", "node_modules", "vendor/x", "VENV/LIB", "ſ", "K", "\xff", ".git", "go.mod", "x.png", "env/lib64", "x-1.0.dist-info"}
}

// TestMixedTextEqualsGitleaks scans samples of many rules close together, so that their windows overlap.
func TestMixedTextEqualsGitleaks(t *testing.T) {
	s, d := scanner(t), oracle(t)
	var all []*syntax.Regexp
	byRule := trees(t)
	for _, id := range slices.Sorted(maps.Keys(byRule)) {
		all = append(all, byRule[id])
	}
	for seed := range randtest.Seeds(t, 2, 60) {
		g := sampler{Rand: rand.New(rand.NewPCG(2, seed)), folds: seed%3 == 2}
		text := g.text(all, 20+g.IntN(50))
		path := paths()[g.IntN(len(paths()))]
		if diff := cmp.Diff(theirs(t, d, path, text), ours(t, s, path, text)); diff != "" {
			t.Fatalf("seed %d (-gitleaks +stoker):\n%s", seed, diff)
		}
	}
}
