// Package secrets finds secrets in files that would enter a build context: by content with gitleaks' rule set,
// and by well-known names (.env, private keys, registry and cloud credentials).
//
// The rule set is gitleaks' default configuration, kept byte for byte in gitleaks/ (its licence beside it). It is a
// copy and not an import, because that package links viper, TLS and two YAML parsers whose start-up costs more
// than a whole `stoker status`; TestRuleSetIsTheLibrarys holds the copy to the pinned library.
//
// A Scanner is compiled once, immutable but for caches that it guards, and safe for concurrent use. It gives the
// same matches as `gitleaks dir` with its default flags: 100 kB fragments that end at a blank line where one is
// near, five decoding passes (percent, unicode, hex, base64), allowlists, stop words, entropy, `gitleaks:allow`.
// It reads neither .gitleaks.toml nor .gitleaksignore, follows no link, and differs knowingly in two ways: an
// archive is what ends in an archive's extension (gitleaks skips every name that contains one, such as
// `app.browser.js` for its `.br`), and the same secret found on a line by two decoding passes is one Finding.
//
// The engine is fast because it looks only around anchors. An anchor is a literal that every match of a rule must
// contain, proved from the rule's syntax tree (anchor.go) together with how far a match may reach to either side
// of it. One pass of an automaton over the text finds keywords and anchors at once (automaton.go); a cheap check
// of what must follow drops most hits; the rule's own expression then runs on the windows that are left
// (window.go). A rule for which no anchor can be proved runs over the whole fragment, as gitleaks would run it.
//
// No Finding, error or log of this package contains a secret's value.
package secrets
