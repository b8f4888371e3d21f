package dockerfile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"

	"github.com/stokerd/stoker/context/dockerfile"
)

// vertexNames are the names under which BuildKit shows the operations of a build.
func vertexNames(t *testing.T, text string) []string {
	t.Helper()
	caps := pb.Caps.CapSet(pb.Caps.All())
	res, err := dockerfile2llb.Dockerfile2LLB(t.Context(), []byte(text), dockerfile2llb.ConvertOpt{Config: dockerui.Config{}, LLBCaps: &caps})
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	def, err := res.State.Marshal(t.Context(), llb.WithCaps(caps))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, meta := range def.Metadata {
		if name := meta.Description["llb.customname"]; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// TestMayGoBy: steps that are one operation are not told apart by their names, however
// they are written. What plainly is another one is.
func TestMayGoBy(t *testing.T) {
	instructions := []string{
		"RUN make", "RUN  make ", "RUN make all", "RUN [\"/bin/sh\", \"-c\", \"make\"]", "RUN <<EOF\nmake\nEOF", "RUN mak\\\ne",
		"RUN --mount=type=cache,target=/c make", "RUN --mount=type=cache,target=/c,id=a make", "RUN --mount=type=cache,id=b,target=/c --network=default make",
		"RUN --mount=target=/m,from=other --mount=type=cache,target=/c make", "SHELL [\"/bin/sh\", \"-c\"]\nRUN make",
		"RUN echo $A", "RUN echo ${A}", "RUN echo one", "RUN echo ${A:-x y} && make", "RUN echo '$A' && make", "RUN --mount=type=secret,id=s,env=S echo $S && make",
		"RUN --mount=type=cache,target=\"/c $A\" make", "RUN [ -f a ] && make", "RUN echo ]",
		"WORKDIR /app/sub", "WORKDIR sub", "WORKDIR ./sub/", "WORKDIR $SUB", "WORKDIR other", "WORKDIR \"a b\"", "WORKDIR a\\ b",
		"COPY x .", "COPY x ./", "COPY ./x /app/", "COPY p/x /app/", "COPY [\"x\", \"/app/\"]", "COPY $X /app/", "COPY --from=other x /app/", "COPY x /app", "COPY x /app/x",
		"COPY . .", "COPY . /app/", "COPY ./ ./", "COPY / /app/", "COPY x y .", "COPY y x .", "COPY . /elsewhere/", "COPY [\"a b\", \".\"]", "COPY a\\ b /app/",
		"COPY --chmod=600 x .", "COPY --chown=1 x .", "COPY --parents p/x .", "COPY --parents ./p/x /app/", "COPY --exclude=*.md . .", "COPY *.txt .", "COPY p/*.txt /app/",
		"ADD x .", "ADD ./x /app/", "ADD https://host/x /app/", "COPY <<x .\ntext\nx", "COPY <<x /app/\ntext\nx", "COPY --link x /app/", "COPY --link p/x .", "COPY --link y /app/",
	}
	type step struct {
		instruction string
		ops         []dockerfile.Op
		names       []string
	}
	var steps []step
	for _, instruction := range instructions {
		text := "FROM scratch AS other\nCOPY x /x\nFROM scratch\nENV A=one SUB=sub X=x\nWORKDIR /app\n" + instruction + "\n"
		plan, err := dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: "Dockerfile", Text: []byte(text), Context: t.TempDir()}, nil)
		if err != nil {
			t.Fatalf("%s: %v", instruction, err)
		}
		s := step{instruction: instruction}
		for _, op := range plan.Ops {
			if slices.ContainsFunc(op.Steps, func(at int) bool {
				return plan.Steps[at].Index == plan.Steps[at].Total && plan.Steps[at].Stage != "other"
			}) {
				s.ops = append(s.ops, op)
			}
		}
		for _, name := range vertexNames(t, text) {
			if strings.Contains(name, "2/2] ") {
				s.names = append(s.names, name)
			}
		}
		if len(s.ops) == 0 || len(s.names) == 0 {
			t.Fatalf("%s: %d operations, and names %q", instruction, len(s.ops), s.names)
		}
		steps = append(steps, s)
	}
	told, same := map[string]bool{}, 0
	for _, one := range steps {
		for _, other := range steps {
			may := slices.ContainsFunc(one.ops, func(op dockerfile.Op) bool { return slices.ContainsFunc(other.names, op.MayGoBy) })
			equal := slices.ContainsFunc(one.ops, func(op dockerfile.Op) bool {
				return slices.ContainsFunc(other.ops, func(o dockerfile.Op) bool { return op.Digest == o.Digest })
			})
			if equal && one.instruction != other.instruction {
				same++
			}
			if equal && !may {
				t.Errorf("%q is the operation of %q, and may not go by its names %q", one.instruction, other.instruction, other.names)
			}
			told[one.instruction+" | "+other.instruction] = !may
		}
	}
	if same < 60 {
		t.Errorf("%d pairs are the same, written in two ways: too few to tell anything", same)
	}
	for _, pair := range [][2]string{
		{"RUN make", "RUN make all"}, {"RUN make all", "RUN make"}, {"RUN echo one", "RUN make"}, {"RUN make", "COPY . ."}, {"COPY . .", "RUN make"},
		{"WORKDIR other", "WORKDIR sub"}, {"WORKDIR sub", "RUN make"}, {"COPY x .", "COPY . /elsewhere/"}, {"COPY x /app/x", "COPY . /elsewhere/"},
		{"COPY x y .", "COPY x ."}, {"COPY . .", "COPY x ."}, {"COPY --parents p/x .", "COPY x y ."},
	} {
		if !told[pair[0]+" | "+pair[1]] {
			t.Errorf("%s", fmt.Sprintf("%q may go by the name of %q", pair[0], pair[1]))
		}
	}
	if op := steps[0].ops[0]; !op.MayGoBy("make") || !op.MayGoBy("[other frontend] make") {
		t.Error("a name without a place in a stage rules something out")
	}
}
