package effects

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Cache is a set of folders in which a package manager or a compiler keeps files for its
// next run. The table says what the fields mean.
type Cache struct {
	Name      string              `toml:"name"`
	Run       []string            `toml:"run"`
	Needs     []string            `toml:"needs"`
	Refuse    []string            `toml:"refuse"`
	Bare      bool                `toml:"bare"`
	Folders   []string            `toml:"folders"`
	Root      []string            `toml:"root"`
	Images    map[string][]string `toml:"images"`
	Below     []string            `toml:"below"`
	Env       []string            `toml:"env"`
	Against   []string            `toml:"against"`
	Leaves    []string            `toml:"leaves"`
	Needed    bool                `toml:"needed"`
	Sharing   string              `toml:"sharing"`
	Spares    float64             `toml:"spares"`
	Manifests []string            `toml:"manifests"`
	Holding   string              `toml:"holding"`
	Loose     []string            `toml:"loose"`
	Rivals    []string            `toml:"rivals"`
	Linked    string              `toml:"linked"`
	Compiled  bool                `toml:"compiled"`
}

// Caches returns the caches that some command fills or reads, in the order of the table.
// The values are shared: do not change them.
func Caches() []*Cache {
	var list []*Cache
	for i := range read().Caches {
		if c := &read().Caches[i]; len(c.Run) > 0 {
			list = append(list, c)
		}
	}
	return list
}

// CacheOf returns the cache with the name, or nil.
func CacheOf(name string) *Cache {
	list := read().Caches
	if i := slices.IndexFunc(list, func(c Cache) bool { return c.Name == name }); i >= 0 {
		return &list[i]
	}
	return nil
}

// Program returns the name of the program whose cache it is.
func (c *Cache) Program() string {
	program, _, _ := strings.Cut(c.Name, " ")
	return program
}

// At returns the folders of the cache in a base image, named without its tag, for a user
// with the home folder; none if they are not known.
func (c *Cache) At(image, home string) []string {
	if dirs, ok := c.Images[image]; ok {
		return dirs
	}
	if home == "/root" && len(c.Root) > 0 {
		return c.Root
	}
	var dirs []string
	for _, folder := range c.Folders {
		dirs = append(dirs, path.Join(home, strings.TrimPrefix(folder, "~")))
	}
	return dirs
}

// Uses reports whether a command, given its words, fills or reads the cache. A path before
// the name of the program does not matter, unless it may be a program of the repository.
func (c *Cache) Uses(words []string) bool {
	if len(words) == 0 {
		return false
	}
	switch words[0] {
	case "./mvnw", "./gradlew":
		words = append([]string{words[0][2:]}, words[1:]...)
	}
	if dir, name := path.Split(words[0]); path.Base(dir) == "bin" && path.Clean(dir) != "bin" && slices.Contains([]string{"pip", "pip3", "python", "python3"}, name) {
		words = append([]string{name}, words[1:]...) // in a virtual environment
	}
	words = program(words)
	var rest, flags []string
	for _, w := range words[1:] {
		if strings.HasPrefix(w, "-") {
			flags = append(flags, w)
			continue
		}
		rest = append(rest, w)
	}
	has := func(list []string) bool {
		return slices.ContainsFunc(flags, func(f string) bool { return slices.Contains(list, f) })
	}
	if has(c.Refuse) || len(c.Needs) > 0 && !has(c.Needs) {
		return false
	}
	return slices.ContainsFunc(c.Run, func(run string) bool {
		want := strings.Fields(run)
		if c.Bare && len(rest) >= len(want) {
			return false
		}
		return words[0] == want[0] && len(rest) >= len(want)-1 && slices.Equal(rest[:len(want)-1], want[1:])
	})
}

// check reports an entry that does not have what users of the table rely on.
func (c *Cache) check() error {
	switch {
	case c.Name == "", len(c.Folders)+len(c.Root)+len(c.Images) == 0:
		return fmt.Errorf("read the table of commands: the cache %q has no name, or no folder", c.Name)
	case len(c.Run) > 0 && (c.Spares <= 0 || c.Spares >= 1):
		return fmt.Errorf("read the table of commands: the cache %q spares %v", c.Name, c.Spares)
	case len(c.Below) != 0 && len(c.Below) != 2:
		return fmt.Errorf("read the table of commands: the cache %q lies below %v", c.Name, c.Below)
	}
	return nil
}
