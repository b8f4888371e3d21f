package ignore_test

import (
	"fmt"
	"os"
	"path"
	"testing"
	"time"

	"github.com/moby/patternmatcher"

	"github.com/stokerd/stoker/context/ignore"
)

// A folder is a directory of the tree that benchmarks walk.
type folder struct {
	name    string
	path    string
	files   []string // names
	paths   []string // the same, from the root
	folders []*folder
}

// repository returns a tree of 200,000 files in 17,000 directories, half of them
// below node_modules.
func repository() (top *folder, files, dirs int) {
	top = &folder{}
	extensions := []string{".go", ".ts", ".tsx", ".js", ".json", ".md", ".py", ".css", ".test.ts", ".log", ".map", ""}
	add := func(f *folder, name string) *folder {
		child := &folder{name: name, path: path.Join(f.path, name)}
		for i := range 12 {
			files++
			file := fmt.Sprintf("component%d%s", files%977, extensions[(files+i)%len(extensions)])
			child.files = append(child.files, file)
			child.paths = append(child.paths, path.Join(child.path, file))
		}
		f.folders = append(f.folders, child)
		dirs++
		return child
	}
	for _, part := range []string{"web/node_modules", "services/api/internal"} {
		at := top
		for _, name := range []string{path.Dir(part), path.Base(part)} {
			at = add(at, path.Base(name))
		}
		for i := range 100 {
			pkg := add(at, fmt.Sprintf("package-%d", i))
			for j := range 8 {
				sub := add(pkg, []string{"src", "lib", "dist", "test", "types", "cmd", "docs", "esm"}[j])
				for k := range 9 {
					add(sub, fmt.Sprintf("module%d", k))
				}
			}
		}
	}
	return top, files, dirs
}

// byStates walks dir with our matcher and returns how many files match.
func byStates(m *ignore.Matcher, dir *folder, s ignore.State) int {
	n := 0
	for _, name := range dir.files {
		if m.Match(s, name) {
			n++
		}
	}
	for _, f := range dir.folders {
		n += byStates(m, f, m.Enter(s, f.name))
	}
	return n
}

// byParents does the same with patternmatcher, as BuildKit does.
func byParents(b *testing.B, pm *patternmatcher.PatternMatcher, dir *folder, info patternmatcher.MatchInfo) int {
	n := 0
	for _, p := range dir.paths {
		ok, _, err := pm.MatchesUsingParentResults(p, info)
		if err != nil {
			b.Fatal(err)
		}
		if ok {
			n++
		}
	}
	for _, f := range dir.folders {
		_, below, err := pm.MatchesUsingParentResults(f.path, info)
		if err != nil {
			b.Fatal(err)
		}
		n += byParents(b, pm, f, below)
	}
	return n
}

// BenchmarkWalk matches every path of a large repository, without pruning. The
// metric "times" is how many times as long patternmatcher takes.
func BenchmarkWalk(b *testing.B) {
	ninety, err := os.ReadFile("testdata/ninety.dockerignore")
	if err != nil {
		b.Fatal(err)
	}
	top, files, dirs := repository()
	for _, bench := range []struct{ name, text string }{
		{"ninety", string(ninety)},
		{"allow", "*\n!**/*.go\n"},
		{"literals", "node_modules\ndist\n.git\n"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			file, err := ignore.Parse(".dockerignore", []byte(bench.text))
			if err != nil {
				b.Fatal(err)
			}
			pm, err := patternmatcher.New(file.Patterns())
			if err != nil {
				b.Fatal(err)
			}
			start := time.Now()
			want := byParents(b, pm, top, patternmatcher.MatchInfo{})
			theirs := time.Since(start)
			got := 0
			for b.Loop() {
				// A new matcher each time, which has no nodes yet.
				m, err := ignore.NewMatcher(file)
				if err != nil {
					b.Fatal(err)
				}
				got = byStates(m, top, m.Root())
			}
			if got != want {
				b.Fatalf("matched %d files, patternmatcher %d", got, want)
			}
			ours := b.Elapsed() / time.Duration(b.N)
			b.ReportMetric(float64(theirs)/float64(ours), "times")
			b.ReportMetric(float64(ours.Nanoseconds())/float64(files+dirs), "ns/path")
		})
	}
}

// BenchmarkNewMatcher measures what an edit of the ignore file costs.
func BenchmarkNewMatcher(b *testing.B) {
	ninety, err := os.ReadFile("testdata/ninety.dockerignore")
	if err != nil {
		b.Fatal(err)
	}
	file, err := ignore.Parse(".dockerignore", ninety)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := ignore.NewMatcher(file); err != nil {
			b.Fatal(err)
		}
	}
}
