package dockerfile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stokerd/stoker/context/dockerfile"
)

func TestOutline(t *testing.T) {
	const text = `# syntax=docker/dockerfile:1
ARG V=1
FROM node:${V} AS Build
LABEL a=b
ENV TOKEN=hunter2 OTHER="$V" \
    THIRD=$OTHER
# check=skip=SecretsUsedInArgOrEnv
ARG A B=2
RUN --mount=type=bind,source=$DIR,target=/x echo $HOME \
    && true
COPY --chown=${U:-root} $A /b
COPY <<EOF /here
hello $NAME
EOF
FROM build
USER $U
CMD ["x"]
`
	got, err := dockerfile.Outline([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []dockerfile.Line{
		{Number: 2, Keyword: "ARG", Stage: -1, Text: "ARG V", Defines: []string{"V"}},
		{Number: 3, Keyword: "FROM", Text: "FROM node:${V} AS Build", Name: "build", Base: "node:${V}", Uses: []string{"V"}},
		{Number: 5, Keyword: "ENV", Text: "ENV TOKEN OTHER THIRD", Defines: []string{"TOKEN", "OTHER", "THIRD"}, Uses: []string{"V", "OTHER"}},
		{Number: 8, Keyword: "ARG", Text: "ARG A B", Defines: []string{"A", "B"}},
		{Number: 9, Keyword: "RUN", Text: "RUN --mount=type=bind,source=$DIR,target=/x echo $HOME     && true", Uses: []string{"DIR"}},
		{Number: 11, Keyword: "COPY", Text: "COPY --chown=${U:-root} $A /b", Uses: []string{"U", "A"}},
		{Number: 12, Keyword: "COPY", Text: "COPY <<EOF /here", Uses: []string{"NAME"}},
		{Number: 15, Keyword: "FROM", Stage: 1, Text: "FROM build", Base: "build"},
		{Number: 16, Keyword: "USER", Stage: 1, Text: "USER $U", Uses: []string{"U"}},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(dockerfile.Line{}, "Sum")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	sums := map[string]bool{}
	for _, l := range got {
		sums[l.Sum] = true
	}
	if len(sums) != len(got) {
		t.Error("different instructions have one sum")
	}
}
