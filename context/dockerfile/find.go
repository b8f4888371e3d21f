package dockerfile

import (
	"slices"
	"strconv"
	"strings"
)

// Find returns the indexes into p.Steps of the steps that a user may mean by
// text, nil if there is none:
//
//   - "3" is the index in a stage, as it stands in a name;
//   - ":7" or "Dockerfile:7" is a line of the Dockerfile;
//   - "build 3", "build 3/7" or "[build 3/7]" is what a name begins with;
//   - anything else is a part of the name, or else words in it: "COPY src".
//
// Several steps are one to a user if their lines are: those of several platforms.
func (p *Plan) Find(text string) []int {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if index, err := strconv.Atoi(text); err == nil {
		return p.where(func(s *Step) bool { return s.Index == index })
	}
	if file, number, ok := strings.Cut(text, ":"); ok && !strings.ContainsAny(file, " [") {
		if line, err := strconv.Atoi(number); err == nil {
			return p.where(func(s *Step) bool { return s.Lines.From <= line && line <= s.Lines.To })
		}
	}
	if found := p.where(func(s *Step) bool { return s.isAt(text) }); found != nil {
		return found
	}
	if found := p.where(func(s *Step) bool { return strings.Contains(s.Name, text) }); found != nil {
		return found
	}
	words := strings.Fields(text)
	return p.where(func(s *Step) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(s.Name, word) })
	})
}

func (p *Plan) where(holds func(*Step) bool) []int {
	var found []int
	for i := range p.Steps {
		if holds(&p.Steps[i]) {
			found = append(found, i)
		}
	}
	return found
}

// isAt reports whether text is the beginning of the step's name, up to its index
// or its bracket.
func (s *Step) isAt(text string) bool {
	place, _, _ := strings.Cut(strings.TrimPrefix(s.Name, "["), "]")
	text, _, _ = strings.Cut(strings.TrimPrefix(text, "["), "]")
	if s.Platform != "" && !strings.HasPrefix(text, s.Platform) {
		place = strings.TrimPrefix(place, s.Platform+" ")
	}
	position, _, _ := strings.Cut(place, "/"+strconv.Itoa(s.Total))
	return text == place || strings.Contains(text, " ") && text == position
}
