// Package ignore decides which paths of a build context BuildKit leaves out.
//
// [Find] reads the ignore file that applies, [Parse] keeps the line of each
// pattern, and a [Matcher] answers for paths. The rules are those of
// moby/patternmatcher, which only this package imports: patterns are relative to
// the context's root, the last one that matches wins, a pattern that matches a
// directory covers everything below it, and "!" may re-include a path below an
// excluded parent.
//
// A matcher compiles all patterns into one automaton, built lazily, so that an
// entry of a directory costs a table look-up per character of its name, however
// many patterns there are. patternmatcher decides what a valid pattern is. The few
// patterns that the automaton cannot run (word boundaries, Unicode classes, text
// that is not UTF-8) are matched against the whole path, as patternmatcher does.
//
// The answers are those of BuildKit's walk from the root down. For a single path,
// patternmatcher itself may answer differently: a walk skips a pattern that would
// not change the verdict on a directory, and so does not know, further down, that
// the pattern matched there.
package ignore
