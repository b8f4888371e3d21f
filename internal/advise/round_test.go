package advise_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/project"
)

// TestTogetherAsksAgainWhatChanged holds that of builds which share a context, one is looked at again
// only where a change touches it, and that the changes are those of one after the other.
func TestTogetherAsksAgainWhatChanged(t *testing.T) {
	const services = 6
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, ".dockerignore"), "node_modules\n")
	write(t, filepath.Join(root, "package.json"), `{"name": "app"}`)
	write(t, filepath.Join(root, "package-lock.json"), `{"name": "app", "lockfileVersion": 3, "packages": {}}`)
	for i := range services {
		dir := filepath.Join(root, fmt.Sprint("service", i))
		write(t, filepath.Join(dir, "index.js"), "1")
		write(t, filepath.Join(dir, "Dockerfile"), fmt.Sprintf("FROM node:20\nWORKDIR /app\nCOPY . .\nRUN npm ci\nCMD [\"node\", \"service%d\"]\n", i))
	}
	write(t, filepath.Join(root, "compose.yaml"), compose(services))
	o := &project.Opener{}
	p, err := o.Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	costs := func(definition string) map[string]float64 {
		asked[definition]++
		return nil
	}
	answers, made := advise.Together(t.Context(), o, p, p.Builds, advise.History{}, costs, nil)
	together := map[string]string{}
	for _, c := range made {
		together[c.Path] = string(c.New)
	}
	alone, steps := oneByOne(t, o, root)
	if diff := cmp.Diff(alone, together); diff != "" {
		t.Errorf("one by one (-) and together (+)\n%s", diff)
	}
	if n := len(applicable(answers)); n != steps || n < services {
		t.Errorf("%d changes together, %d one by one", n, steps)
	}
	if len(asked) != services {
		t.Errorf("asked about %v", asked)
	}
	for _, a := range answers {
		if n, changes := asked[a.Build.Definition.Name], len(applicable([]advise.Answer{a})); n > changes+1 {
			t.Errorf("%s was looked at %d times for %d changes", a.Build.Definition.Name, n, changes)
		}
	}
}

func compose(services int) string {
	text := "services:\n"
	for i := range services {
		text += fmt.Sprintf("  service%d:\n    build: {context: ., dockerfile: service%d/Dockerfile}\n", i, i)
	}
	return text
}
