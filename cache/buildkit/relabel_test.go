package buildkit

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/context/dockerfile"
)

// TestRelabel: steps that go by names of other builds get the labels of the
// Dockerfile at hand. In vertices, a line "7 name" is a vertex that comes
// from line 7. An image named busybox or base is pulled.
func TestRelabel(t *testing.T) {
	for _, tt := range []struct {
		name, file, vertices, want string
	}{
		{
			"own names stay",
			"FROM busybox\nWORKDIR /w\nRUN a\nCOPY b /b\n",
			"2 [2/4] WORKDIR /w\n3 [3/4] RUN a\n4 [4/4] COPY b /b",
			"[2/4] [3/4] [4/4]",
		}, {
			"a warm-up of the first steps",
			"FROM busybox\nWORKDIR /w\nRUN a\nCOPY b /b\n",
			"2 [2/3] WORKDIR /w\n3 [3/3] RUN a\n4 [4/4] COPY b /b",
			"[2/4] [3/4] [4/4]",
		}, {
			"nothing but names of a warm-up",
			"FROM busybox\nWORKDIR /w\nRUN a\nRUN b\n",
			"2 [2/3] WORKDIR /w\n3 [3/3] RUN a",
			"[2/4] [3/4]",
		}, {
			"another Dockerfile in which the step stands elsewhere",
			"FROM busybox\nRUN a\nRUN b\n",
			"2 [3/3] RUN a\n3 [3/3] RUN b",
			"[2/3] [3/3]",
		}, {
			"one in which it is in a named stage",
			"FROM busybox\nRUN a\nRUN b\n",
			"2 [deps 2/3] RUN a\n3 [3/3] RUN b",
			"[2/3] [3/3]",
		}, {
			"stages, one from the other, and more than nine steps",
			"FROM busybox AS one\n" + strings.Repeat("RUN a\n", 10) + "FROM one\nRUN b\n",
			"2 [one  2/11] RUN a\n11 [9/9] RUN a\n13 [stage-1 1/1] RUN b",
			"[one  2/11] [one 11/11] [stage-1 1/1]",
		}, {
			"scratch is no step",
			"FROM scratch AS a\nCOPY x /\nFROM scratch\nCOPY --from=a / /\n",
			"2 [a 1/1] COPY x /\n4 [stage-1 1/1] COPY --from=a / /",
			"[a 1/1] [stage-1 1/1]",
		}, {
			"a variable may stand for a stage",
			"ARG B=one\nFROM busybox AS one\nRUN a\nFROM $B\nRUN b\n",
			"3 [one 2/2] RUN a\n5 [stage-1 1/1] RUN b",
			"[one 2/2] [stage-1 1/1]",
		}, {
			"a WORKDIR that makes nothing counts without a number",
			"FROM busybox\nWORKDIR /\nRUN a\nWORKDIR /w\nRUN b\n",
			"3 [2/5] RUN a\n4 [3/5] WORKDIR /w\n5 [4/5] RUN b",
			"[2/5] [3/5] [4/5]",
		}, {
			"and where the names are another build's",
			"FROM busybox\nRUN a\nWORKDIR $ROOT\nRUN b\nWORKDIR /w\n",
			"2 [2/4] RUN a\n4 [3/4] RUN b\n5 [4/4] WORKDIR /w",
			"[2/5] [3/5] [4/5]",
		}, {
			"platforms",
			"FROM busybox\nRUN a\nRUN b\n",
			"2 [linux/arm64 2/3] RUN a\n3 [linux/arm64 5/6] RUN b",
			"[linux/arm64 2/3] [linux/arm64 3/3]",
		}, {
			"one stage, named because of a cache mount",
			"FROM busybox\nRUN --mount=type=cache,target=/c a\nRUN b\n",
			"2 [stage-0 2/3] RUN a\n3 [stage-0 2/2] RUN b",
			"[stage-0 2/3] [stage-0 3/3]",
		}, {
			"a named context counts without a number",
			"FROM lib AS one\nRUN a\nRUN b\nFROM busybox\nRUN c\n",
			"2 [one 1/3] RUN a\n3 [one 2/3] RUN b\n5 [stage-1 2/2] RUN c",
			"[one 1/3] [one 2/3] [stage-1 2/2]",
		}, {
			"and where the names are another build's",
			"FROM lib AS one\nRUN a\nRUN b\nFROM busybox\nRUN c\n",
			"2 [one 1/2] RUN a\n3 [other 3/4] RUN b",
			"[one 1/3] [one 2/3]",
		}, {
			"a variable that may stand for a named context",
			"ARG B=lib\nFROM $B AS one\nRUN a\nRUN b\n",
			"3 [1/3] RUN a\n4 [4/4] RUN b",
			"[1/3] [2/3]",
		}, {
			"triggers of the base image",
			"FROM base\nRUN a\n",
			"1 [2/3] ONBUILD RUN t\n2 [3/3] RUN a",
			"[2/3] [3/3]",
		}, {
			"triggers that run nothing count in the total",
			"FROM base\nRUN a\nRUN b\n",
			"2 [2/5] RUN a\n3 [3/5] RUN b",
			"[2/5] [3/5]",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, err := dockerfile.Instructions([]byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			var found []located
			for i, vertex := range strings.Split(tt.vertices, "\n") {
				f := located{digest: fmt.Sprint(i), file: file}
				line, name, _ := strings.Cut(vertex, " ")
				if _, err := fmt.Sscan(line, &f.line); err != nil {
					t.Fatal(err)
				}
				f.places = []sourceLine{{line: f.line}}
				ok := false
				if f.label, ok = parseLabel(name); !ok {
					t.Fatalf("%q is no step's name", name)
				}
				found = append(found, f)
			}
			base := regexp.MustCompile(`^FROM (busybox|base)`)
			labels := relabel(found, func(at sourceLine) bool { return base.MatchString(file[at.line]) })
			var got []string
			for _, f := range found {
				l := labels[f.digest]
				got = append(got, l.prefix)
				if again, ok := parseLabel(l.prefix + " RUN"); !ok || again.index != l.index || again.total != l.total || again.stage != l.stage || again.platform != l.platform {
					t.Errorf("label %+v does not say what its prefix says", l)
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
