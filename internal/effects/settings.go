package effects

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Settings are lasting settings of some programs, made by a command (npm config set) or in
// a file (.npmrc). The table says what the fields mean.
type Settings struct {
	Programs []string `toml:"programs"`
	Run      []string `toml:"run"`
	Files    []string `toml:"files"`
	Plain    string   `toml:"plain"`
	Cache    string   `toml:"cache"`

	plain, cache *regexp.Regexp // nil for none
}

// Called returns the name, as in the table, of the program that a command runs; "" for a
// command without words.
func Called(words []string) string {
	if words = program(words); len(words) > 0 {
		return words[0]
	}
	return ""
}

// Plain returns the words of a command with the program in front, under the name that the table
// has: without sudo, command or exec before it, and without the folder that it is in.
func Plain(words []string) []string { return program(words) }

// SettingsOf returns the settings that apply to a program. The values are shared: do not
// change them.
func SettingsOf(program string) (list []*Settings) {
	t := read()
	for i := range t.Settings {
		if slices.Contains(t.Settings[i].Programs, program) {
			list = append(list, &t.Settings[i])
		}
	}
	return list
}

// Made returns the setting that a command, given its words, makes; false if it makes none.
func (s *Settings) Made(words []string) (key, value string, ok bool) {
	words = program(words)
	var rest []string
	for i, w := range words {
		if i == 0 || !strings.HasPrefix(w, "-") {
			rest = append(rest, w)
		}
	}
	for _, run := range slices.Backward(s.Run) { // the longer ones come last
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

// In returns the name of a file of settings that the text mentions, or "".
func (s *Settings) In(text string) string {
	for _, name := range s.Files {
		if strings.Contains(text, name) {
			return name
		}
	}
	return ""
}

// IsPlain reports whether the value of a key is never a path.
func (s *Settings) IsPlain(key string) bool { return s.plain != nil && s.plain.MatchString(key) }

// MovesCache reports whether a key, or a key in a longer text, says where a cache is or
// turns it off.
func (s *Settings) MovesCache(text string) bool { return s.cache != nil && s.cache.MatchString(text) }

// compile compiles the patterns of keys.
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
