package suggest_test

import (
	"slices"
	"strings"
	"testing"
)

// TestReplayCountsArgs: an ARG that says which build it is breaks every RUN below it, of
// stages that start from its own as well, and none of another.
func TestReplayCountsArgs(t *testing.T) {
	const text = `FROM debian:12 AS tools
RUN apt-get update
ARG GIT_SHA
RUN make tools
FROM debian:12 AS other
ARG NODE_VERSION=22
RUN make other
FROM tools
RUN make all
COPY --from=other /x /x
`
	s := scenario{sections: map[string]string{"history": "10 README.md\n"}, files: map[string]string{"Dockerfile": text, "README.md": "x"}}
	in := s.input(t, s.files)
	r, err := in.Replay(in.Builds[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"apt-get update": 1, "make tools": 10, "make other": 1, "make all": 10, "COPY": 10}
	for i, step := range r.Plan.Steps {
		for part, runs := range want {
			if strings.Contains(step.Instruction, part) && r.Runs[i] != runs {
				t.Errorf("%s ran %d times, want %d", step.Name, r.Runs[i], runs)
			}
		}
	}
	if got := in.Passing(); !slices.Equal(got, []string{"GIT_SHA"}) {
		t.Errorf("%q are taken to change", got)
	}
}
