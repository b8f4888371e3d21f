package buildkit

import "testing"

// The names are those that BuildKit was seen to give; what is not in its form
// is no step, and nothing of its text is kept.
func TestParseLabel(t *testing.T) {
	for _, test := range []struct {
		name string
		want label
	}{
		{"[2/4] RUN echo x", label{prefix: "[2/4]", index: 2, total: 4, keyword: "RUN"}},
		{"[stage-0 2/3] RUN --mount=type=cache,target=/c x", label{prefix: "[stage-0 2/3]", stage: "stage-0", index: 2, total: 3, keyword: "RUN"}},
		{"[build  3/12] COPY a b", label{prefix: "[build  3/12]", stage: "build", index: 3, total: 12, keyword: "COPY"}},
		{"[linux/amd64 build 3/7] LINK COPY --link a b", label{prefix: "[linux/amd64 build 3/7]", platform: "linux/amd64", stage: "build", index: 3, total: 7, keyword: "COPY"}},
		{"[linux/amd64->arm64 build 2/4] RUN x", label{prefix: "[linux/amd64->arm64 build 2/4]", platform: "linux/arm64", stage: "build", index: 2, total: 4, keyword: "RUN"}},
		{"[linux/amd64->arm/v7 2/4] RUN x", label{prefix: "[linux/amd64->arm/v7 2/4]", platform: "linux/arm/v7", index: 2, total: 4, keyword: "RUN"}},
		{"[2/3] ONBUILD WORKDIR /x", label{prefix: "[2/3]", index: 2, total: 3, keyword: "WORKDIR", onBuild: true}},
		{"[1/3] FROM docker.io/library/busybox", label{prefix: "[1/3]", index: 1, total: 3, keyword: "FROM"}},
		{"[internal] load build context", label{}},
		{"[2/3] https://example.com/x", label{}},
		{"[2/3] RUNNING x", label{}},
		{"[auth] x/y:pull token for registry", label{}},
		{"exporting to image", label{}},
	} {
		got, ok := parseLabel(test.name)
		if got != test.want || ok != (test.want.keyword != "") {
			t.Errorf("%s: got %+v, %v", test.name, got, ok)
		}
	}
}
