package daemon_test

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/lab"
)

// TestPredictStageOfFolder: if a stage is based on the files of a named context, its steps run
// in each build, even in one that repeats the last.
func TestPredictStageOfFolder(t *testing.T) {
	r := startOn(t, lab.For(t).Address())
	dir, nonce := lab.Dir(t), strings.ToLower(rand.Text())
	write(t, filepath.Join(dir, "Dockerfile"), "FROM lib AS files\nCOPY src /"+nonce+"/\nFROM node:20\nRUN echo "+nonce+"\nCOPY --from=files /"+nonce+" /"+nonce+"\n")
	write(t, filepath.Join(dir, "src", "a"), nonce)
	write(t, filepath.Join(dir, "lib", "b"), nonce)
	write(t, filepath.Join(dir, "compose.yaml"), "services:\n  app:\n    build:\n      context: .\n      additional_contexts: {lib: ./lib}\n")
	if _, err := r.Up(t.Context(), api.UpRequest{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	c := dial(t, lab.For(t).Address())
	mounts := map[string]fsutil.FS{}
	for name, folder := range map[string]string{"context": "", "dockerfile": "", "lib": "lib"} {
		fs, err := fsutil.NewFS(filepath.Join(dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		mounts[name] = fs
	}
	for n := range 3 {
		ran, status, read := map[string]bool{}, make(chan *client.SolveStatus), make(chan struct{})
		go func() {
			defer close(read)
			for s := range status {
				sawRun(ran, s)
			}
		}()
		ref := "files" + rand.Text()
		_, err := c.Solve(t.Context(), nil, client.SolveOpt{
			Ref: ref, Frontend: "dockerfile.v0", LocalMounts: mounts,
			FrontendAttrs: map[string]string{"filename": "Dockerfile", "context:lib": "local:lib"},
		}, status)
		<-read
		if err != nil {
			t.Fatal(err)
		}
		r.wait(dir, "the build", func(repo api.Repository) bool {
			return len(repo.Definitions) == 1 && repo.Definitions[0].Last != nil && repo.Definitions[0].Last.Ref == ref
		})
		if n > 0 && !(ran["[files 1/2]"] && !ran["[stage-1 2/3]"] && !ran["[stage-1 3/3]"]) {
			t.Errorf("build %d ran %v, want the step of files alone", n, ran)
		}
		why, err := r.Why(t.Context(), api.WhyRequest{Dir: dir, Build: ref})
		if err != nil {
			t.Fatal(err)
		}
		steps := r.foretold(api.Query{Dir: dir})
		for i, s := range why.Steps {
			prefix, _, _ := strings.Cut(s.Name, " COPY")
			if _, told := ran[strings.Replace(prefix, " RUN echo "+nonce, "", 1)]; !told || s.Name != steps[i].Name {
				t.Errorf("build %d: a step is called %s here, and %s in the prediction; BuildKit tells %v", n, s.Name, steps[i].Name, ran)
			}
		}
		var got []string
		for _, s := range steps {
			got = append(got, s.Outcome)
		}
		if want := "miss hit unknown"; strings.Join(got, " ") != want {
			t.Errorf("after build %d: %v, want %s", n, got, want)
		}
	}
}
