package dockerfile_test

import (
	"strings"
	"testing"

	"github.com/stokerd/stoker/context/dockerfile"
)

func lines(from, to int) dockerfile.Lines { return dockerfile.Lines{From: from, To: to} }

func TestApply(t *testing.T) {
	for _, c := range []struct {
		name, text string
		edits      []dockerfile.Edit
		want       string // "error: …" for a refusal
	}{
		{"nothing", "a\nb\n", nil, "a\nb\n"},
		{"insert first", "a\n", []dockerfile.Edit{dockerfile.Insert(1, "x\n")}, "x\na\n"},
		{"insert last", "a\nb", []dockerfile.Edit{dockerfile.Insert(3, "x\n")}, "a\nb\nx\n"},
		{"replace last without line break", "a\nb", []dockerfile.Edit{{Lines: lines(2, 2), Text: "x\n"}}, "a\nx\n"},
		{"delete", "a\nb\nc\n", []dockerfile.Edit{{Lines: lines(2, 2)}}, "a\nc\n"},
		{"delete last", "a\nb", []dockerfile.Edit{{Lines: lines(2, 2)}}, "a\n"},
		{"move down past an end without line break", "a\nb", []dockerfile.Edit{
			{Lines: lines(1, 1)}, dockerfile.Insert(3, "a\n"),
		}, "b\na\n"},
		{"given in any order", "a\nb\nc\n", []dockerfile.Edit{
			{Lines: lines(3, 3), Text: "C\n"}, dockerfile.Insert(1, "x\n"), dockerfile.Insert(1, "y\n"), {Lines: lines(1, 2), Text: "A\n"},
		}, "x\ny\nA\nC\n"},
		{"crlf", "a\r\nb\r\n", []dockerfile.Edit{dockerfile.Insert(2, "x\ny\r\n")}, "a\r\nx\r\ny\r\nb\r\n"},
		{"mixed line endings stay", "a\r\nb\n", []dockerfile.Edit{dockerfile.Insert(2, "x\n")}, "a\r\nx\nb\n"},
		{"empty file", "", []dockerfile.Edit{dockerfile.Insert(1, "x\n")}, "x\n"},
		{"overlap", "a\nb\nc\n", []dockerfile.Edit{{Lines: lines(1, 2)}, {Lines: lines(2, 3)}}, "error: edit lines 2-3: line 2 is changed by another edit"},
		{"insert into a replaced range", "a\nb\nc\n", []dockerfile.Edit{{Lines: lines(1, 3)}, dockerfile.Insert(2, "x\n")}, "error: edit lines 2-1: line 3"},
		{"outside", "a\n", []dockerfile.Edit{{Lines: lines(2, 2)}}, "error: edit lines 2-2: the file has 1 lines"},
		{"line 0", "a\n", []dockerfile.Edit{{Lines: lines(0, 1)}}, "error: edit lines 0-1: the file has 1 lines"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := dockerfile.Apply([]byte(c.text), c.edits)
			if msg, ok := strings.CutPrefix(c.want, "error: "); ok {
				if err == nil || !strings.HasPrefix(err.Error(), msg) {
					t.Errorf("error = %v, want %q", err, msg)
				}
				return
			}
			if err != nil || string(got) != c.want {
				t.Errorf("Apply = %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// TestApplyComposes holds that edits given together do what they do one after
// the other, last lines first.
func TestApplyComposes(t *testing.T) {
	text := []byte("FROM a\n# c\nCOPY . .\nRUN x\\\n y\nCMD z\n")
	edits := []dockerfile.Edit{
		{Lines: lines(2, 3)}, {Lines: lines(4, 5), Text: "RUN y\n"}, dockerfile.Insert(6, "# c\nCOPY . .\n"),
	}
	together, err := dockerfile.Apply(text, edits)
	if err != nil {
		t.Fatal(err)
	}
	oneByOne := text
	for i := len(edits) - 1; i >= 0; i-- {
		if oneByOne, err = dockerfile.Apply(oneByOne, edits[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if string(together) != string(oneByOne) || string(together) != "FROM a\nRUN y\n# c\nCOPY . .\nCMD z\n" {
		t.Errorf("together %q, one by one %q", together, oneByOne)
	}
}

func TestSource(t *testing.T) {
	f, err := dockerfile.Parse("Dockerfile", []byte("FROM a\r\nRUN x \\\r\n  y"))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Source(lines(2, 3)); got != "RUN x \\\r\n  y" {
		t.Errorf("Source = %q", got)
	}
	if got := f.Source(lines(3, 4)); got != "" {
		t.Errorf("Source past the end = %q", got)
	}
}
