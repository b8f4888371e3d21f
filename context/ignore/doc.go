// Package ignore decides which paths of a build context BuildKit leaves out.
//
// [Find] says which ignore file applies, [Parse] reads it with the line of each
// pattern, and a [Matcher] answers for paths. The rules are those of
// moby/patternmatcher, which this package is the only importer of: patterns are
// relative to the context's root, the last one that matches wins, a pattern
// that matches a directory covers all below it, and "!" may re-include below an
// excluded parent.
package ignore
