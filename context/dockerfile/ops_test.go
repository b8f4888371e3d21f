package dockerfile_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/context/dockerfile"
)

const nodeDigest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// knownNode is a resolver that knows one image, with its digest.
type knownNode struct{}

func (knownNode) Resolve(_ context.Context, ref, _ string) (dockerfile.Image, error) {
	if ref != "docker.io/library/node:20" {
		return dockerfile.Image{}, dockerfile.ErrUnknownImage
	}
	return dockerfile.Image{Digest: nodeDigest, Config: []byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["` + nodeDigest + `"]}}`)}, nil
}

// TestOps holds the operations of small Dockerfiles: which steps they are part
// of, their inputs, and by what of them they are keyed.
func TestOps(t *testing.T) {
	commit := strings.Repeat("0a1b", 10)
	sum := "sha256:" + strings.Repeat("2", 64)
	tests := []struct {
		name, text, want string
		in               dockerfile.Input
	}{
		{
			name: "image and files",
			text: "FROM node:20\nCOPY a /\nRUN x\n",
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/amd64, layers known
1 local context, request 0
2 step 0: on 0; on 1 selected by content [/a follow]
3 step 1: on 2 selected
result 3
`,
		},
		{
			name: "image not known",
			text: "FROM go:1\nRUN x\n",
			want: "0 docker-image docker.io/library/go:1 linux/amd64, unknown\n1 step 0: on 0 selected\nresult 1\n",
		},
		{
			name: "sources of one COPY",
			text: "FROM scratch\nCOPY b/c a b*/x b /d/\n",
			want: "0 local context, request 0\n1 step 0: on 0 selected by content [/a follow] [/b follow] [/b*/x follow wildcard]\nresult 1\n",
		},
		{
			name: "parents and exclude",
			text: "# syntax=docker/dockerfile:1\nFROM scratch\nCOPY --parents a/./b/*.go c /d/\nCOPY --exclude=*.md e /f\n",
			want: `0 local context, request 0
1 step 0: on 0 selected by content [/ follow include ["c"] required ["/c"]] [/a follow include ["b/*.go"]]
2 step 1: on 1; on 0 selected by content [/e exclude ["*.md"] follow]
result 2
`,
		},
		{
			name: "link",
			text: "FROM node:20\nRUN x\nCOPY --link a /\n",
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/amd64, layers known
1 step 0: on 0 selected
2 local context, request 0
3 step 1: on 2 selected by content [/a follow]
4 step 1: on 1; on 3
result 4
`,
		},
		{
			name: "names of owners are looked up in what is copied onto",
			text: "FROM node:20\nCOPY --chown=me:us a /\n",
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/amd64, layers known
1 local context, request 0
2 step 0: on 0; on 1 selected by content [/a follow]
result 2
`,
		},
		{
			name: "from a stage",
			text: "FROM node:20 AS b\nRUN x\nFROM scratch\nCOPY --from=b /o /o\n",
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/amd64, layers known
1 step 0: on 0 selected
2 step 1: on 1 selected by content [/o follow]
result 2
`,
		},
		{
			name: "mounts",
			text: "FROM node:20\nRUN --mount=target=/a,source=p/q --mount=target=/b,source=p --mount=target=/c,source=z --mount=type=cache,target=/d --mount=type=secret,id=s,target=/e x\n",
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/amd64, layers known
1 local context, request 0
2 step 0: on 0 selected; on 1 selected by content [/p follow] [/z follow]
result 2
`,
		},
		{
			name: "a mount of everything takes all in",
			text: "FROM node:20\nRUN --mount=target=/a,source=p --mount=target=/b x\n",
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/amd64, layers known
1 local context, request 0
2 step 0: on 0 selected; on 1 selected by content [/]
result 2
`,
		},
		{
			name: "a stage that is also mounted counts by content",
			text: "FROM node:20 AS b\nFROM b\nRUN --mount=from=b,target=/m x\n",
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/amd64, layers known
1 step 0: on 0 selected by content [/]
result 1
`,
		},
		{
			name: "a directory as stage",
			text: "FROM dir\nRUN x\n",
			in:   dockerfile.Input{NamedContexts: map[string]string{"dir": "/"}},
			want: "0 local dir, request 0\n1 step 0: on 0 selected\nresult 1\n",
		},
		{
			name: "heredoc",
			text: "FROM scratch\nCOPY <<A /a\nx\nA\n",
			want: "0 internal\n1 step 0: on 0 selected by content [/A]\nresult 1\n",
		},
		{
			name: "downloads",
			text: "FROM scratch\nADD --checksum=" + sum + " https://example.com/x /\nADD https://example.com/x /\nADD https://example.com/r.git#" + commit + ":d /\nADD https://example.com/r.git#main /\n",
			want: `0 http
1 step 0: on 0 selected by content [/x]
2 http, unknown
3 step 1: on 1; on 2 selected by content [/x]
4 git
5 step 2: on 3; on 4 selected by content [/]
6 git, unknown
7 step 3: on 5; on 6 selected by content [/]
result 7
`,
		},
		{
			name: "image by address",
			text: "FROM scratch\nCOPY --from=x /a /\n",
			in:   dockerfile.Input{NamedContexts: map[string]string{"x": "docker-image://node:20"}},
			want: "0 docker-image docker.io/library/node:20@" + nodeDigest + " linux/amd64, layers known\n1 step 0: on 0 selected by content [/a follow]\nresult 1\n",
		},
		{
			name: "platforms share what is for the builder's own",
			text: "FROM --platform=$BUILDPLATFORM node:20 AS b\nRUN x\nFROM scratch\nCOPY --from=b /o /o\n",
			in:   dockerfile.Input{Platforms: []string{"linux/amd64", "linux/arm64"}},
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/amd64, layers known
1 step 0, step 2: on 0 selected
2 step 1, step 3: on 1 selected by content [/o follow]
result 2
result 2
`,
		},
		{
			name: "no cache for a stage",
			text: "FROM node:20 AS b\nRUN x\nFROM scratch\nCOPY --from=b /o /o\n",
			in:   dockerfile.Input{NoCacheStages: []string{"b"}},
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/amd64, layers known
1 step 0: on 0 selected, ignores the cache
2 step 1: on 1 selected by content [/o follow]
result 2
`,
		},
		{
			name: "no cache at all",
			text: "FROM scratch\nCOPY a /\nWORKDIR /w\n",
			in:   dockerfile.Input{NoCache: true},
			want: "0 local context, request 0\n1 step 0: on 0 selected by content [/a follow], ignores the cache\n2 step 1: on 1\nresult 2\n",
		},
		{
			name: "old builder",
			text: "FROM node:20\nCOPY --link a /\n",
			in:   dockerfile.Input{Worker: dockerfile.Worker{Platform: "linux/arm64", Caps: []string{"file.base", "source.image", "source.local"}}},
			want: `0 docker-image docker.io/library/node:20@` + nodeDigest + ` linux/arm64, layers known
1 local context, request 0
2 step 0: on 0; on 1 selected by content [/a follow]
result 2
`,
		},
		{name: "nothing", text: "FROM scratch\n", want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.in.Dockerfile, tt.in.Text, tt.in.Context = "Dockerfile", []byte(tt.text), t.TempDir()
			if tt.in.Worker.Platform == "" {
				tt.in.Worker.Platform = "linux/amd64"
			}
			plan, err := dockerfile.Convert(t.Context(), tt.in, knownNode{})
			if err != nil {
				t.Fatal(err)
			}
			checkPlan(t, plan)
			if diff := cmp.Diff(tt.want, formatOps(plan)); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOpDigests changes one thing of a step at a time and says which of the digests of
// the operations, in the order of the plan, come out different.
func TestOpDigests(t *testing.T) {
	const before = "FROM node:20\nENV E=1\nWORKDIR /w\nRUN --mount=type=cache,target=/c,id=/c x\nCOPY p/a /a\n"
	tests := []struct{ name, old, new, changed string }{
		{"label", "WORKDIR", "LABEL a=b\nWORKDIR", ""},
		{"entrypoint", "COPY", "ENTRYPOINT e\nHEALTHCHECK CMD h\nEXPOSE 1\nSTOPSIGNAL 9\nCOPY", ""},
		{"comment", "RUN", "# why\nRUN", ""},
		{"space around", "x\n", "x  \n", ""},
		{"space inside", " x\n", " x  y\n", "RUN"},
		{"env", "E=1", "E=2", "RUN"},
		{"arg without value", "RUN", "ARG A\nRUN", ""},
		{"arg with value", "RUN", "ARG A=1\nRUN", "RUN"},
		{"arg below", "COPY", "ARG A=1\nCOPY", ""},
		{"user", "RUN", "USER u\nRUN", "RUN"},
		{"shell", "RUN", "SHELL [\"s\"]\nRUN", "RUN"},
		{"workdir", "/w", "/v", "WORKDIR RUN"},
		{"id of a cache", "id=/c", "id=k", "RUN"},
		{"sharing of a cache", "id=/c", "sharing=locked", "RUN"},
		{"secret", "--mount", "--mount=type=secret,id=s --mount", "RUN"},
		{"network", "RUN", "RUN --network=none", "RUN"},
		{"directory of a source", "p/a", "q/a", ""},
		{"name of a source", "p/a", "p/b", "COPY"},
		{"wildcard", "p/a", "p/a*", "COPY"},
		{"destination", "a /a", "a /b", "COPY"},
		{"slash of a destination", "a /a", "a /a/", "COPY"},
		{"mode", "COPY", "COPY --chmod=600", "COPY"},
		{"owner", "COPY", "COPY --chown=1", "COPY"},
		{"add", "COPY", "ADD", "COPY"},
		{"base image", "node:20", "node:20@sha256:" + strings.Repeat("3", 64), "image"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			one, two := opDigests(t, before), opDigests(t, strings.Replace(before, tt.old, tt.new, 1))
			var changed []string
			for _, name := range []string{"image", "WORKDIR", "RUN", "COPY"} {
				if one[name] != two[name] {
					changed = append(changed, name)
				}
			}
			if diff := cmp.Diff(tt.changed, strings.Join(changed, " ")); diff != "" {
				t.Errorf("changed (-want +got):\n%s", diff)
			}
		})
	}
	cached := strings.Replace(before, "id=/c", "id=k", 1)
	if !maps.Equal(opDigests(t, cached), opDigests(t, strings.Replace(cached, "id=k", "id=other", 1))) {
		t.Error("the id of a cache counts where both are not the default")
	}
}

// opDigests returns the digests of a plan's operations, by what they are.
func opDigests(t *testing.T, text string) map[string]string {
	t.Helper()
	in := dockerfile.Input{Dockerfile: "Dockerfile", Text: []byte(text), Context: t.TempDir(), Worker: dockerfile.Worker{Platform: "linux/amd64"}}
	plan, err := dockerfile.Convert(t.Context(), in, knownNode{})
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string]string{}
	for _, op := range plan.Ops {
		switch {
		case op.Source == nil:
			keyword := plan.Steps[op.Steps[0]].Keyword
			digests[strings.Replace(keyword, "ADD", "COPY", 1)] = op.Digest
		case op.Source.Kind == dockerfile.ImageSource:
			digests["image"] = op.Digest
		}
	}
	return digests
}

// formatOps writes a plan's operations as lines.
func formatOps(p *dockerfile.Plan) string {
	var b strings.Builder
	for i, op := range p.Ops {
		fmt.Fprintf(&b, "%d", i)
		if s := op.Source; s != nil {
			fmt.Fprintf(&b, " %s", s.Kind)
			for _, part := range []string{s.Name, s.Platform} {
				if part != "" {
					b.WriteString(" " + part)
				}
			}
			if s.Kind == dockerfile.LocalSource {
				fmt.Fprintf(&b, ", request %d", s.Request)
			} else if op.Digest == "" {
				b.WriteString(", unknown")
			}
			if s.Layers != "" {
				b.WriteString(", layers known")
			}
		}
		if op.Source == nil && len(op.Steps) == 0 {
			b.WriteString(" internal")
		}
		for j, step := range op.Steps {
			fmt.Fprintf(&b, "%s step %d", map[bool]string{true: ","}[j > 0], step)
		}
		for j, in := range op.Inputs {
			fmt.Fprintf(&b, "%s on %d", map[bool]string{true: ":", false: ";"}[j == 0], in.Op)
			if in.Selector != "" {
				b.WriteString(" selected")
			}
			if in.Content != nil {
				b.WriteString(" by content")
			}
			for _, s := range in.Content {
				b.WriteString(" [" + formatSelector(s) + "]")
			}
		}
		if op.IgnoreCache {
			b.WriteString(", ignores the cache")
		}
		b.WriteByte('\n')
	}
	for _, i := range p.Results {
		fmt.Fprintf(&b, "result %d\n", i)
	}
	return b.String()
}

func formatSelector(s dockerfile.Selector) string {
	words := []string{s.Path}
	if s.Wildcard {
		words = append(words, "wildcard")
	}
	if s.FollowLinks {
		words = append(words, "follow")
	}
	for name, list := range map[string][]string{"include": s.Include, "exclude": s.Exclude, "required": s.Required} {
		if len(list) > 0 {
			words = append(words, fmt.Sprintf("%s %q", name, list))
		}
	}
	slices.Sort(words[1:])
	return strings.Join(words, " ")
}

// TestRecordOf: a step is listed by its name, wherever it stands. A layer that came with an
// image is not that step's result, though the image's history describes it alike.
func TestRecordOf(t *testing.T) {
	for _, tt := range []struct {
		one, other string
		same       bool
	}{
		{"[2/5] WORKDIR /w", "[build 3/7] WORKDIR /w", true},
		{"[2/5] WORKDIR /w", "WORKDIR /w", false},
		{"[2/5] COPY a /b", "COPY a /b", false},
		{"[2/5] COPY a /b", "COPY a /b # buildkit", false},
		{"mount / from exec /bin/sh -c true", "mount / from exec /bin/sh -c true", true},
	} {
		if same := dockerfile.RecordOf(tt.one) == dockerfile.RecordOf(tt.other); same != tt.same {
			t.Errorf("%q and %q count as the same: %v", tt.one, tt.other, same)
		}
	}
}
