// Package ignore decides which paths of a build context BuildKit leaves out.
//
// [Find] says which ignore file applies, [Parse] reads it with the line of each
// pattern, and a [Matcher] answers for paths. The rules are those of
// moby/patternmatcher, which this package is the only importer of: patterns are
// relative to the context's root, the last one that matches wins, a pattern
// that matches a directory covers all below it, and "!" may re-include below an
// excluded parent.
//
// A matcher runs all patterns at once: they are compiled into one automaton,
// whose nodes are made when a path first leads to them, so that an entry of a
// directory costs a table look-up for each character of its name, however many
// patterns there are. patternmatcher says what is a pattern and what is not.
// What the automaton leaves out (word boundaries, Unicode classes, text that is
// not UTF-8) is asked on the whole path, as patternmatcher asks it.
//
// The answers are those of BuildKit's walk from the root down. For a path alone,
// patternmatcher's own answer may differ: a walk does not ask a pattern that
// would not change the verdict on a directory, and then does not know below
// that the pattern matched there.
package ignore
