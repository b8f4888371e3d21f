package effects

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Settings are what some programs are told for good: by a command of theirs, or by
// a file. See the table for what its fields mean.
type Settings struct {
	Programs []string `toml:"programs"`
	Run      []string `toml:"run"`
	Files    []string `toml:"files"`
	Plain    string   `toml:"plain"`
	Cache    string   `toml:"cache"`

	plain, cache *regexp.Regexp // nil for none
}

// Called returns the name of the program that a command runs, however it names it; "" for
// none.
func Called(words []string) string {
	if words = program(words); len(words) > 0 {
		return words[0]
	}
	return ""
}

// SettingsOf returns the settings that programs of this name have. The values are shared: do
// not change them.
func SettingsOf(program string) (list []*Settings) {
	t := read()
	for i := range t.Settings {
		if slices.Contains(t.Settings[i].Programs, program) {
			list = append(list, &t.Settings[i])
		}
	}
	return list
}

// Made returns the setting that a command makes, by its words; false for one that makes
// none.
func (s *Settings) Made(words []string) (key, value string, ok bool) {
	words = program(words)
	var rest []string
	for i, w := range words {
		if i == 0 || !strings.HasPrefix(w, "-") {
			rest = append(rest, w)
		}
	}
	for _, run := range slices.Backward(s.Run) { // the longer ones stand behind
		want := strings.Fields(run)
		if len(rest) <= len(want) || !slices.Equal(rest[:len(want)], want) {
			continue
		}
		rest = rest[len(want):]
		if key, value, ok = strings.Cut(rest[0], "="); !ok {
			key, value = rest[0], strings.Join(rest[1:], " ")
		}
		return key, value, true
	}
	return "", "", false
}

// In returns the place of a file that holds the settings, in a text that names one; "" if it
// does not.
func (s *Settings) In(text string) string {
	for _, name := range s.Files {
		if strings.Contains(text, name) {
			return name
		}
	}
	return ""
}

// IsPlain reports a key with which no path is meant.
func (s *Settings) IsPlain(key string) bool { return s.plain != nil && s.plain.MatchString(key) }

// MovesCache reports a key that says where a cache lies, or text that holds such a key.
func (s *Settings) MovesCache(text string) bool { return s.cache != nil && s.cache.MatchString(text) }

// compile holds what the readers rely on.
func (s *Settings) compile() (err error) {
	for _, set := range []struct {
		text string
		to   **regexp.Regexp
	}{{s.Plain, &s.plain}, {s.Cache, &s.cache}} {
		if set.text == "" {
			continue
		}
		if *set.to, err = regexp.Compile(set.text); err != nil {
			return fmt.Errorf("read the table of commands: the settings of %v: %w", s.Programs, err)
		}
	}
	return nil
}
