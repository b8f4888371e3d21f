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

// TestSharersAreReadAsProposed holds that an edit of an ignore file is judged by what a change made of
// the other Dockerfile that uses it: the COPY of the first one is on another line by then, and takes the
// folder that the second would have ignored.
func TestSharersAreReadAsProposed(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"package.json":        `{"name": "app"}`,
		"package-lock.json":   `{"name": "app", "lockfileVersion": 3, "packages": {}}`,
		"index.js":            "1",
		"compose.yaml":        compose(2),
		"service0/Dockerfile": "FROM alpine:3.20\nARG GIT_COMMIT\nRUN apk add --no-cache curl\nCOPY . /srv\nRUN echo \"$GIT_COMMIT\" > /version\n",
		"service1/Dockerfile": "FROM node:20\nWORKDIR /app\nCOPY . .\nRUN npm ci\n",
	} {
		write(t, filepath.Join(root, name), text)
	}
	o := &project.Opener{}
	p, err := o.Open(t.Context(), root, false)
	if err != nil {
		t.Fatal(err)
	}
	answers, made := advise.Together(t.Context(), o, p, p.Builds, advise.History{}, nil, nil)
	if n := len(applicable(answers[:1])); n == 0 {
		t.Fatal("nothing moves the first COPY")
	}
	for _, c := range made {
		if c.Path == ".dockerignore" {
			t.Errorf("%s is to be\n%s", c.Path, c.New)
		}
	}
	if alone, _ := oneByOne(t, o, root); alone[".dockerignore"] != "" {
		t.Errorf("one by one, .dockerignore is %q", alone[".dockerignore"])
	}
}
