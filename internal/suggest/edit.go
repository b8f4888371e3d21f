package suggest

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// A splice replaces a range of bytes, within the lines of one instruction, by a text.
type splice struct {
	from, to int // of the file; to is exclusive
	text     string
}

// spliced returns an edit of the lines of an instruction that makes the splices, which must
// not overlap.
func spliced(f *dockerfile.File, ins dockerfile.Instruction, list ...splice) dockerfile.Edit {
	start := lineStart(f, ins.Lines.From)
	end := lineStart(f, ins.Lines.To+1)
	slices.SortStableFunc(list, func(a, b splice) int { return cmp.Compare(a.from, b.from) })
	var out strings.Builder
	at := start
	for _, s := range list {
		out.Write(f.Text[at:s.from])
		out.WriteString(s.text)
		at = s.to
	}
	out.Write(f.Text[at:end])
	return dockerfile.Edit{Lines: ins.Lines, Text: out.String()}
}

// lineStart returns the offset of line n, counted from 1; past the last line, that of the end.
func lineStart(f *dockerfile.File, n int) int {
	at := 0
	for range n - 1 {
		next := strings.IndexByte(string(f.Text[at:]), '\n')
		if next < 0 {
			return len(f.Text)
		}
		at += next + 1
	}
	return at
}

// afterKeyword returns the offset of the first flag or argument of an instruction.
func afterKeyword(f *dockerfile.File, ins dockerfile.Instruction) int {
	at := lineStart(f, ins.Lines.From)
	if ins.Lines.From == 1 {
		at += len(f.Text) - len(strings.TrimPrefix(string(f.Text), "\ufeff"))
	}
	blank := func() {
		for at < len(f.Text) && (f.Text[at] == ' ' || f.Text[at] == '\t') {
			at++
		}
	}
	blank()
	at += len(ins.Keyword)
	blank()
	return at
}

// addFlag returns the splice that gives an instruction a flag.
func addFlag(f *dockerfile.File, ins dockerfile.Instruction, flag string) splice {
	at := afterKeyword(f, ins)
	return splice{at, at, flag + " "}
}

// addMounts returns the splices that add mounts to a RUN: each on a line of its own, indented
// as the file does it, and sorted by target among the mounts that it has.
func addMounts(f *dockerfile.File, ins dockerfile.Instruction, mounts []string) []splice {
	at := afterKeyword(f, ins)
	sep := " " + string(f.Escape) + "\n" + continued(f, ins)
	if ins.Run.Heredocs > 0 || f.Text[at] == f.Escape {
		sep = " "
	}
	target := func(flag string) string {
		_, rest, _ := strings.Cut(flag, "target=")
		rest, _, _ = strings.Cut(rest, ",")
		return rest
	}
	list := map[int]*splice{}
	for _, mount := range mounts {
		to := at
		n := 0
		for _, flag := range ins.Flags {
			if !strings.HasPrefix(flag, "--mount=") {
				continue
			}
			place, ok := mountFlag(f, ins, n)
			if next := place.to + len(sep); ok && target(flag) != "" && target(flag) < target(mount) && next <= len(f.Text) && string(f.Text[place.to:next]) == sep {
				to = next
			}
			n++
		}
		if list[to] == nil {
			list[to] = &splice{from: to, to: to}
		}
		list[to].text += mount + sep
	}
	var splices []splice
	for _, s := range list {
		splices = append(splices, *s)
	}
	return splices
}

// continued returns the indentation for further lines of an instruction: that of its second
// line, else that in another RUN, else four spaces more than the instruction has.
func continued(f *dockerfile.File, ins dockerfile.Instruction) string {
	of := func(in dockerfile.Instruction) (string, bool) {
		if in.Lines.From == in.Lines.To || in.Run != nil && in.Run.Heredocs > 0 || in.Copy != nil && in.Copy.Heredocs > 0 {
			return "", false
		}
		line := strings.TrimRight(f.Source(dockerfile.Lines{From: in.Lines.From + 1, To: in.Lines.From + 1}), "\r\n")
		white := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		return white, strings.TrimSpace(line) != "" && len(white) > len(lead(f, in))
	}
	if white, ok := of(ins); ok {
		return white
	}
	for _, st := range f.Stages {
		for _, other := range st.Instructions {
			if white, ok := of(other); ok && other.Run != nil && lead(f, other) == lead(f, ins) {
				return white
			}
		}
	}
	return lead(f, ins) + "    "
}

// lead returns the indentation of an instruction.
func lead(f *dockerfile.File, ins dockerfile.Instruction) string {
	line := f.Source(ins.Lines)
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// removeAll returns the edits that remove instructions with their comments. See removeLines.
func removeAll(f *dockerfile.File, list []dockerfile.Instruction) []dockerfile.Edit {
	var lines []dockerfile.Lines
	for _, ins := range list {
		lines = append(lines, ins.Whole())
	}
	return removeLines(f, lines)
}

// removeLines returns the edits that remove ranges of lines. If one stands between two blank
// lines, one of these is removed too.
func removeLines(f *dockerfile.File, list []dockerfile.Lines) []dockerfile.Edit {
	var edits []dockerfile.Edit
	for _, whole := range list {
		if n := len(edits) - 1; n >= 0 && edits[n].Lines.To+1 == whole.From {
			edits[n].Lines.To = whole.To
			continue
		}
		edits = append(edits, dockerfile.Edit{Lines: whole})
	}
	for i, e := range edits {
		if blank(f, e.Lines.From-1) && blank(f, e.Lines.To+1) {
			edits[i].Lines.To++
		}
	}
	return edits
}

// spelt returns a keyword in the case, upper or lower, that the instruction like uses.
func spelt(f *dockerfile.File, like dockerfile.Instruction, keyword string) string {
	if isLower(f.Source(like.Lines)) {
		return strings.ToLower(keyword)
	}
	return keyword
}

// rewrite returns the change of the Dockerfile by some edits. It fails if the result does not
// parse, or does not have added more instructions than before.
func rewrite(in Input, added int, edits ...dockerfile.Edit) (Change, error) {
	text, err := dockerfile.Apply(in.File.Text, edits)
	if err != nil {
		return Change{}, err
	}
	after, err := in.parse(text)
	if err != nil {
		return Change{}, err
	}
	if count(after) != count(in.File)+added {
		return Change{}, errors.New("an instruction is not closed on its own last line")
	}
	return Change{Path: in.Path, Old: in.File.Text, New: text}, nil
}

// count returns the number of instructions in a file.
func count(f *dockerfile.File) int {
	n := len(f.Globals)
	for _, st := range f.Stages {
		n += 1 + len(st.Instructions)
	}
	return n
}

// instructionsOf returns the instructions of a stage, after those of its base stages.
func instructionsOf(f *dockerfile.File, stage int) []dockerfile.Instruction {
	var list []dockerfile.Instruction
	for at := stage; at >= 0; at = f.Stages[at].BaseStage {
		list = append(slices.Clone(f.Stages[at].Instructions), list...)
	}
	return list
}

// targetStage returns the index of the target of a build, or -1 if there is no such stage.
func targetStage(f *dockerfile.File, b Build) int {
	if b.Target == "" {
		return len(f.Stages) - 1
	}
	return f.StageOf(b.Target)
}
