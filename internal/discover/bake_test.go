package discover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBakeFilesThatHarm are files of a stranger that must not end the process,
// or keep it busy for long.
func TestBakeFilesThatHarm(t *testing.T) {
	const room = maxBakeSize - 1024
	for name, text := range map[string]string{
		"brackets":     "x = " + strings.Repeat("[", room),
		"closed":       "x = " + strings.Repeat("[", room/2) + strings.Repeat("]", room/2),
		"parentheses":  "x = " + strings.Repeat("(", room/2) + "1" + strings.Repeat(")", room/2),
		"negations":    "x = " + strings.Repeat("!", room) + "true",
		"conditions":   "x = " + strings.Repeat("true?1:", room/7) + "1",
		"templates":    "x = " + strings.Repeat(`"${`, room/5) + "1" + strings.Repeat(`}"`, room/5),
		"calls":        "x = " + strings.Repeat("upper(", room/7) + `"a"` + strings.Repeat(")", room/7),
		"sums":         "x = " + strings.Repeat("1+", room/2) + "a",
		"splats":       "x = a" + strings.Repeat(".*", room/2),
		"names":        "x = a" + strings.Repeat(".b", room/2),
		"nested":       "x = " + strings.Repeat("[", maxNesting) + strings.Repeat("]", maxNesting),
		"nested calls": "x = " + strings.Repeat("upper(", maxNesting) + `"a"` + strings.Repeat(")", maxNesting),
		"json":         `{"x": ` + strings.Repeat("[", room),
		"too large":    strings.Repeat("#", maxBakeSize+1),
		"null matrix":  "target \"a\" {\n matrix = null\n}\n",
		"null name":    "target \"a\" {\n name = null\n matrix = {x = [\"1\"]}\n}\n",
		"large matrix": "target \"a\" {\n name = \"a\"\n matrix = {a = range(100), b = range(100), c = range(100), d = range(100)}\n}\n",
		"no label":     "target {}\n",
		"labels":       "target \"a\" \"b\" {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			root, base := t.TempDir(), "docker-bake.hcl"
			if name == "json" {
				base = "docker-bake.json"
			}
			if err := os.WriteFile(filepath.Join(root, base), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			f := &finder{root: root, files: map[string]bool{}}
			f.bake(t.Context(), bakeFiles{bake: []string{base}})
			if len(f.definitions) > 0 {
				t.Errorf("found %v", f.definitions)
			}
		})
	}
}
