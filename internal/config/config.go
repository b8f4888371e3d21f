package config

import (
	"slices"
	"time"
)

// A Source says where a value came from. Sources are ordered: a higher one
// beats a lower one.
type Source int

// The sources of a value, weakest first.
const (
	FromDefault    Source = iota // built in
	FromUser                     // the user's own file
	FromRepository               // stoker.yaml of the repository
	FromFlag                     // the command line
)

// String returns the source as it is shown to people.
func (s Source) String() string {
	switch s {
	case FromUser:
		return "your configuration"
	case FromRepository:
		return FileName
	case FromFlag:
		return "command line"
	default:
		return "default"
	}
}

// A Level says how far a prewarm goes. Levels are ordered: off < base < deps
// < all. The zero value is off.
type Level int

// The levels of prewarming.
const (
	LevelOff  Level = iota // nothing
	LevelBase              // pull the base images
	LevelDeps              // and run the steps up to the installed dependencies
	LevelAll               // and every other step
)

// levelNames are the spellings of the levels, in their order.
func levelNames() []string { return []string{"off", "base", "deps", "all"} }

// String returns the level as the configuration spells it.
func (l Level) String() string {
	names := levelNames()
	if l < 0 || int(l) >= len(names) {
		return "off"
	}
	return names[l]
}

// ParseLevel reads a level as the configuration and `--level` spell it.
func ParseLevel(text string) (Level, error) {
	i := slices.Index(levelNames(), text)
	if i < 0 {
		return LevelOff, &Error{
			Text: "prewarm level " + quote(text) + " is not known",
			Hint: "write off, base, deps or all",
		}
	}
	return Level(i), nil
}

// Config is the configuration that counts for one repository. Its zero value
// is usable: no limits, no prewarming, the builder found by itself. Default
// gives stoker's defaults.
type Config struct {
	// Builds are the definitions that the repository's file lists, in its
	// order. If there are any, nothing is discovered beside them.
	Builds []Build
	// Budget are the limits that `stoker check` holds.
	Budget Budget
	// Allow are the findings that the repository accepts.
	Allow []Allow
	// Silenced are the rules of suggestions that the repository ignores.
	Silenced []string
	// Prewarm says when and what is warmed.
	Prewarm Prewarm
	// Builder is where builds run: "auto", "docker", "buildx:NAME" or an address.
	Builder string
	// BuilderFrom is the source of Builder.
	BuilderFrom Source
	// Held names the keys of the repository's file that do not count because
	// the repository is not allowed ("builder", "prewarm.level").
	Held []string
}

// Build is one entry of `builds`. Paths are as written, slash-separated:
// Context is relative to the repository's root, Dockerfile to Context, as in a
// compose file.
type Build struct {
	// Name is the entry's key.
	Name string
	// Context is a directory or the URL of a remote context; never empty.
	Context string
	// Dockerfile is never empty.
	Dockerfile string
	// Target is the stage to build; empty means the last one.
	Target string
	// Args are the build args. They hold values: never show or store them.
	Args map[string]string
	// Platforms are what to build for; empty means the builder's own.
	Platforms []string
	// Line is where the entry's key stands in stoker.yaml, from 1.
	Line int
}

// Budget are upper limits; 0 means no limit. Sizes are in bytes.
type Budget struct {
	// Context limits the effective context of each definition.
	Context int64
	// Sent limits what each definition sends to BuildKit.
	Sent int64
	// File is the size from which a file in a context is a finding.
	File int64
	// Files limits how many files an effective context has.
	Files int64
}

// Allow accepts findings: those of Rule on the files that Path matches.
type Allow struct {
	// Path is a pattern relative to the repository: the elements are those of
	// path.Match, and ** stands for any number of them.
	Path string
	// Rule is the rule's name; empty accepts every rule.
	Rule string
	// Reason says why, for the next reader; may be empty.
	Reason string
	// Line is where the entry begins in stoker.yaml, from 1.
	Line int
}

// Covers reports whether a accepts a finding of rule on path, which is
// relative to the repository and slash-separated.
func (a Allow) Covers(path, rule string) bool {
	return (a.Rule == "" || a.Rule == rule) && matchPath(a.Path, path)
}

// Prewarm says when and what is warmed.
type Prewarm struct {
	// Level is how far a prewarm goes.
	Level Level
	// LevelFrom is the source of Level.
	LevelFrom Source
	// Quiet is how long nothing must have changed before a prewarm starts.
	Quiet time.Duration
	// Secrets are the ids of the build secrets and ssh agents that a prewarm
	// may offer. They come from the user's file only.
	Secrets []string
}

// Default returns the configuration that holds if no file sets anything.
func Default() Config {
	return Config{
		// Source files are much smaller than 5 MB; the videos, archives and databases
		// that end up in contexts by mistake are usually larger.
		Budget:  Budget{File: 5_000_000},
		Prewarm: Prewarm{Level: LevelDeps, Quiet: 2 * time.Second},
		Builder: "auto",
	}
}

// Flags are the values given on the command line; nil where none was.
type Flags struct {
	// Builder is `--builder`.
	Builder *string
	// Level is `--level`.
	Level *Level
	// Context, Sent, File and FileCount are the budgets, in bytes and files.
	Context, Sent, File, FileCount *int64
}

// Merge returns the configuration that results from flags, the two files and Default,
// where an earlier one of these takes precedence. Either file may be nil. Unless allowed,
// the repository's file cannot choose the builder, and can only lower the prewarm level.
func Merge(flags Flags, repository, user *File, allowed bool) Config {
	c := Default()
	if user != nil {
		user.settings.layOver(&c, FromUser)
		c.Prewarm.Secrets = user.Secrets
	}
	if repository != nil {
		c.Builds, c.Allow, c.Silenced = repository.Builds, repository.Allow, repository.Silenced
		held := repository.settings
		if !allowed {
			if held.builder != nil && *held.builder != c.Builder {
				c.Held = append(c.Held, "builder")
			}
			held.builder = nil
			if held.level != nil && *held.level > c.Prewarm.Level {
				c.Held = append(c.Held, "prewarm.level")
				held.level = nil
			}
		}
		held.layOver(&c, FromRepository)
	}
	settings{
		builder: flags.Builder, level: flags.Level,
		context: flags.Context, sent: flags.Sent, file: flags.File, files: flags.FileCount,
	}.layOver(&c, FromFlag)
	return c
}

// settings are the values that several sources can set; nil means not set.
type settings struct {
	builder                    *string
	level                      *Level
	quiet                      *time.Duration
	context, sent, file, files *int64
}

// layOver sets in c the values that s has, as coming from a source.
func (s settings) layOver(c *Config, from Source) {
	if s.builder != nil {
		c.Builder, c.BuilderFrom = *s.builder, from
	}
	if s.level != nil {
		c.Prewarm.Level, c.Prewarm.LevelFrom = *s.level, from
	}
	set(&c.Prewarm.Quiet, s.quiet)
	set(&c.Budget.Context, s.context)
	set(&c.Budget.Sent, s.sent)
	set(&c.Budget.File, s.file)
	set(&c.Budget.Files, s.files)
}

// set copies *from to *to, unless from is nil.
func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
