package prewarm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache/prewarm"
	"github.com/stokerd/stoker/context/dockerfile"
)

const shop = `FROM node:20 AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
RUN npm run build

FROM debian:bookworm-slim
RUN apt-get update && \
    apt-get install -y nodejs
COPY --from=build /app/dist /dist
CMD ["node", "/dist/main.js"]
`

func TestTargets(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "Dockerfile")
	if err := os.WriteFile(name, []byte(shop), 0o644); err != nil {
		t.Fatal(err)
	}
	plan, err := dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: name, Context: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	type cut struct {
		Whole bool
		Last  string // last line
		Steps int
	}
	tests := []struct {
		level prewarm.Level
		want  []cut
	}{
		{prewarm.Off, nil},
		{prewarm.Base, nil},
		{prewarm.Deps, []cut{{false, "RUN npm ci", 1}, {false, "    apt-get install -y nodejs", 1}}},
		{prewarm.All, []cut{{true, `CMD ["node", "/dist/main.js"]`, 7}}},
	}
	for _, tt := range tests {
		var got []cut
		for _, target := range prewarm.Targets(plan, []byte(shop), tt.level) {
			lines := strings.Split(strings.TrimRight(string(target.Text), "\n"), "\n")
			got = append(got, cut{target.Whole, lines[len(lines)-1], len(target.Steps)})
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.level, diff)
		}
	}
}

func TestIsDependency(t *testing.T) {
	tests := []struct {
		instruction string
		want        bool
	}{
		{"RUN npm ci", true},
		{"RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev", true},
		{"RUN npm run build", false},
		{"RUN npm test", false},
		{"RUN yarn", true},
		{"RUN yarn install --frozen-lockfile", true},
		{"RUN yarn build", false},
		{"RUN pip install -r requirements.txt", true},
		{"RUN python -m pip install --no-cache-dir .", true},
		{"RUN pipx list", false},
		{"RUN go mod download", true},
		{"RUN go build ./...", false},
		{"RUN cd /app && npm ci", true},
		{"RUN apt-get update && apt-get -y install curl", true},
		{"RUN apk add --no-cache tini", true},
		{"RUN apk --no-cache add tini", true},
		{"RUN ./gradlew dependencies", true},
		{"RUN mvn -B dependency:go-offline", true},
		{"RUN echo npm-ci", false},
	}
	for _, tt := range tests {
		if got := prewarm.IsDependency(dockerfile.Step{Keyword: "RUN", Instruction: tt.instruction}); got != tt.want {
			t.Errorf("IsDependency(%q) = %v, want %v", tt.instruction, got, tt.want)
		}
	}
	if prewarm.IsDependency(dockerfile.Step{Keyword: "COPY", Instruction: "COPY npm ci /"}) {
		t.Error("a COPY installs nothing")
	}
}
