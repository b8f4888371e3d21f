package dockerfile_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stokerd/stoker/context/dockerfile"
)

// convertText converts a Dockerfile that has no files beside it.
func convertText(t testing.TB, text string, args map[string]string) (*dockerfile.Plan, error) {
	t.Helper()
	dir := t.TempDir()
	in := dockerfile.Input{Dockerfile: filepath.Join(dir, "Dockerfile"), Text: []byte(text), Context: dir, Args: args}
	return dockerfile.Convert(t.Context(), in, nil)
}

func TestShips(t *testing.T) {
	tests := []struct {
		name, text string
		step, dest string // a substring of the step's name, and where it puts the file
		want       bool
	}{
		{"one stage", "FROM a\nCOPY . /app", "COPY . /app", "/app/.env", true},
		{"a stage that is thrown away", "FROM a AS build\nCOPY . /app\nRUN make\nFROM b\nCOPY --from=build /app/bin /bin/", "COPY . /app", "/app/.env", false},
		{"the very file is copied", "FROM a AS build\nCOPY . /app\nRUN make\nFROM b\nCOPY --from=build /app/.env /", "COPY . /app", "/app/.env", true},
		{"its directory is copied", "FROM a AS build\nCOPY . /app\nRUN make\nFROM b\nCOPY --from=build /app /srv", "COPY . /app", "/app/conf/.env", true},
		{"the whole stage is copied", "FROM a AS build\nCOPY . /app\nFROM b\nCOPY --from=build / /", "COPY . /app", "/app/.env", true},
		{"copied by number", "FROM a\nCOPY . /app\nFROM b\nCOPY --from=0 /app/ /x/", "COPY . /app", "/app/.env", true},
		{"a prefix of the name is no parent", "FROM a AS build\nCOPY . /app\nFROM b\nCOPY --from=build /ap /srv", "COPY . /app", "/app/.env", false},
		{"a wildcard covers it", "FROM a AS build\nCOPY . /app\nFROM b\nCOPY --from=build /app/*.json /srv/", "COPY . /app", "/app/key.json", true},
		{"a wildcard covers its directory", "FROM a AS build\nCOPY . /app\nFROM b\nCOPY --from=build /a*/conf /srv/", "COPY . /app", "/app/conf/x", true},
		{"a wildcard does not cover it", "FROM a AS build\nCOPY . /app\nFROM b\nCOPY --from=build /app/*.json /srv/", "COPY . /app", "/app/.env", false},
		{"a wildcard does not cross a directory", "FROM a AS build\nCOPY . /app\nFROM b\nCOPY --from=build /app/*.json /srv/", "COPY . /app", "/app/conf/key.json", false},
		{"carried over two stages", "FROM a AS one\nCOPY . /app\nFROM b AS two\nCOPY --from=one /app /mid\nFROM c\nCOPY --from=two /mid/conf /etc/conf", "COPY . /app", "/app/conf/x", true},
		{"lost at the second stage", "FROM a AS one\nCOPY . /app\nFROM b AS two\nCOPY --from=one /app /mid\nFROM c\nCOPY --from=two /mid/bin /bin/", "COPY . /app", "/app/conf/x", false},
		{"renamed at the first stage", "FROM a AS one\nCOPY . /app\nFROM b AS two\nCOPY --from=one /app/.env /cfg\nFROM c\nCOPY --from=two /cfg /cfg", "COPY . /app", "/app/.env", true},
		{"into what is a directory already", "FROM a AS one\nCOPY . /app\nFROM b AS two\nWORKDIR /cfg\nCOPY --from=one /app/.env /cfg\nFROM c\nCOPY --from=two /cfg/.env /x", "COPY . /app", "/app/.env", true},
		{"mounted only", "FROM a AS build\nCOPY . /app\nFROM b\nRUN --mount=from=build,source=/app,target=/mnt cp /mnt/bin /bin", "COPY . /app", "/app/.env", false},
		{"a stage on top of it ships", "FROM a AS base\nCOPY . /app\nFROM base\nRUN make", "COPY . /app", "/app/.env", true},
		{"copied from a stage on top of it", "FROM a AS base\nCOPY . /app\nFROM base AS build\nRUN make\nFROM b\nCOPY --from=build /app /app", "COPY . /app", "/app/.env", true},
		{"copied before it was there", "FROM a AS base\nRUN mk\nFROM base AS build\nCOPY . /app\nRUN make\nFROM b\nCOPY --from=base /app /app\nCOPY --from=build /bin/x /x", "COPY . /app", "/app/.env", false},
		{"through --link", "FROM a AS build\nRUN one\nCOPY --link . /app\nRUN two\nFROM b\nCOPY --link --from=build /app /app", "COPY --link . /app", "/app/.env", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := convertText(t, tt.text, nil)
			if err != nil {
				t.Fatal(err)
			}
			step := slices.IndexFunc(plan.Steps, func(s dockerfile.Step) bool { return strings.Contains(s.Name, tt.step) })
			if step < 0 {
				t.Fatalf("no step %q in %s", tt.step, format(plan))
			}
			if got := plan.Ships(step, tt.dest); got != tt.want {
				t.Errorf("Ships(%q, %s) = %v, want %v", tt.step, tt.dest, got, tt.want)
			}
		})
	}
}
