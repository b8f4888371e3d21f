// Package secrets finds secrets in files that would enter a build context: by content, with gitleaks' rules, and by
// well-known names (.env, private keys, registry and cloud credentials).
//
// The rules are gitleaks' default configuration, byte for byte, in the folder gitleaks/ with its licence. It is a copy
// because the library's package links viper, TLS and two YAML parsers, which take longer to start than a whole
// `stoker status` does. TestRuleSetIsTheLibrarys checks that the copy is that of the pinned library.
//
// A [Scanner] finds the same as `gitleaks dir` with its default flags: fragments of 100 kB that end at a blank line if
// there is one nearby, five decoding passes (percent, unicode, hex, base64), allowlists, stop words, entropy, and
// `gitleaks:allow`. It reads neither .gitleaks.toml nor .gitleaksignore, follows no links, and differs on purpose in
// two ways. A file is skipped as an archive if its name ends in an archive's extension; gitleaks skips every name that
// contains one, such as `app.browser.js` for its `.br`. And a secret that two decoding passes find on the same line is
// one Finding.
//
// The engine is fast because it looks only around anchors. An anchor is a literal that every match of a rule must
// contain, derived from the rule's syntax tree together with a bound on how far a match extends around it (anchor.go).
// One pass of an automaton over the text finds all keywords and anchors (automaton.go). A cheap check of what must
// follow an anchor discards most of them, and the rule's own expression runs on the windows around the rest
// (window.go), which end where no match can go on, unless it cannot match what follows the anchor. A rule without
// anchors runs over the whole fragment, as in gitleaks.
//
// No Finding, error or log line of this package contains the value of a secret.
package secrets
