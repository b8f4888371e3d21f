package suggest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// An envSplit is an ENV of several variables as two: the first sets the variables before the one
// that depends on something that late-arg moves, the second sets that one and those after it.
type envSplit struct {
	head, tail  string   // text of the two instructions
	front, rest []string // names of their variables
}

// splitEnv splits an ENV before its first variable that mentions one of names. An ENV expands all
// its values before it sets the first variable. So it reports false if a value in the second part
// depends on the first part, and if the text is not plain enough to cut.
func splitEnv(f *dockerfile.File, ins dockerfile.Instruction, names []string) (envSplit, bool) {
	at := slices.IndexFunc(ins.Vars, func(a dockerfile.Variable) bool {
		return mentions(a.Value, names) || slices.Contains(names, a.Name)
	})
	if ins.Keyword != "ENV" || at <= 0 {
		return envSplit{}, false
	}
	s := envSplit{front: ins.Names[:at], rest: ins.Names[at:]}
	for _, a := range ins.Vars[at:] {
		if mentions(a.Value, s.front) || slices.Contains(s.front, a.Name) {
			return envSplit{}, false
		}
	}
	source, first := f.Source(ins.Lines), ins.Vars[at]
	place := regexp.MustCompile(`[ \t\n]`+regexp.QuoteMeta(first.Name+"="+first.Value)+`(?:\s|$)`).FindAllStringIndex(source, -1)
	if len(place) != 1 || strings.Contains(source, "#") || strings.Contains(source, "\r") {
		return envSplit{}, false
	}
	from := place[0][0] + 1
	keyword := source[:len(lead(f, ins))+len("ENV")]
	s.head = strings.TrimRight(source[:from], " \t\n"+string(f.Escape)) + "\n"
	s.tail = keyword + " " + endLine(source[from:])
	return s, s.means(f, ins)
}

// means reports whether the two instructions set the same as ins.
func (s envSplit) means(f *dockerfile.File, ins dockerfile.Instruction) bool {
	text := "FROM scratch\n" + s.head + s.tail
	if f.Escape != '\\' {
		text = "# escape=" + string(f.Escape) + "\n" + text
	}
	both, err := dockerfile.Parse(f.Name, []byte(text))
	if err != nil || len(both.Stages) != 1 || len(both.Stages[0].Instructions) != 2 {
		return false
	}
	parts := both.Stages[0].Instructions
	return parts[0].Keyword == "ENV" && parts[1].Keyword == "ENV" && slices.Equal(slices.Concat(parts[0].Vars, parts[1].Vars), ins.Vars) &&
		slices.Equal(parts[1].Names, s.rest)
}

// A carried is what late-arg moves: instructions of one stage, and the second part of ENVs that
// it splits.
type carried struct {
	view  *stageView
	group []int            // indices of the instructions, in order
	split map[int]envSplit // of those in group of which only a part moves
}

// insert returns the edit that writes it above instruction k of a stage, or at its end if k is
// one past the last.
func (c carried) insert(st dockerfile.Stage, k int) dockerfile.Edit {
	var out strings.Builder
	for _, i := range c.group {
		if s, ok := c.split[i]; ok {
			out.WriteString(s.tail)
			continue
		}
		out.WriteString(endLine(c.view.file.Source(c.lines(i))))
	}
	line := st.Lines.To + 1
	if k < len(st.Instructions) {
		line = st.Instructions[k].Whole().From
		if st.Instructions[k].Comments.From > 0 && blank(c.view.file, line-1) {
			_, ending := ended(out.String())
			out.WriteString(ending) // keep the comment a paragraph of its own
		}
	}
	return dockerfile.Insert(line, out.String())
}

// lines returns the lines of instruction i, which moves as a whole. A comment above it stays if
// it may also be about instructions right below, of which a part stays.
func (c carried) lines(i int) dockerfile.Lines {
	ins := c.view.stage.Instructions
	for k := i + 1; k < len(ins) && ins[k].Whole().From == ins[k-1].Lines.To+1 && ins[k].Comments.From == 0; k++ {
		if _, ok := c.split[k]; ok {
			return ins[i].Lines
		}
	}
	return ins[i].Whole()
}

// leave returns the edits that remove it from where it is.
func (c carried) leave() []dockerfile.Edit {
	var whole []dockerfile.Lines
	var edits []dockerfile.Edit
	for _, i := range c.group {
		ins := c.view.stage.Instructions[i]
		if s, ok := c.split[i]; ok {
			edits = append(edits, dockerfile.Edit{Lines: ins.Lines, Text: s.head})
			continue
		}
		whole = append(whole, c.lines(i))
	}
	return append(edits, removeLines(c.view.file, whole)...)
}

// add adds instruction i: if apart allows it, and the instruction is an ENV that can be split,
// only the part that depends on names.
func (c *carried) add(i int, names []string, apart bool) {
	s, ok := splitEnv(c.view.file, c.view.stage.Instructions[i], names)
	if apart && ok && !c.uses(s.front) {
		if c.split == nil {
			c.split = map[int]envSplit{}
		}
		c.split[i] = s
	}
	c.group = append(c.group, i)
}

// parts returns how many ENVs are split, each of which adds an instruction.
func (c carried) parts() (n int) {
	for _, i := range c.group {
		if _, ok := c.split[i]; ok {
			n++
		}
	}
	return n
}

// uses reports whether something that moves mentions one of the variables.
func (c carried) uses(names []string) bool {
	return slices.ContainsFunc(c.group, func(i int) bool {
		text := c.view.file.Source(c.view.stage.Instructions[i].Lines)
		if s, ok := c.split[i]; ok {
			text = s.tail
		}
		return mentions(text, names)
	})
}

// namesOf returns the variables that instruction i sets where it moves to.
func (c carried) namesOf(i int) []string {
	if s, ok := c.split[i]; ok {
		return s.rest
	}
	return c.view.stage.Instructions[i].Names
}
