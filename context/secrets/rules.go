package secrets

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// ruleSet is gitleaks' default configuration; see the package documentation for why it is a copy.
//
//go:embed gitleaks/gitleaks.toml
var ruleSet []byte

// lazyRegexp compiles on first use: the whole rule set takes tens of milliseconds, and most files touch few rules.
type lazyRegexp func() (*regexp.Regexp, error)

func lazy(expr string) lazyRegexp {
	return sync.OnceValues(func() (*regexp.Regexp, error) { return regexp.Compile(expr) })
}

// tomlConfig is the part of gitleaks' configuration format that its default configuration uses. Decoding is
// strict, so that a later rule set with a new notion fails to load instead of being half understood.
type tomlConfig struct {
	Title      string
	MinVersion string         `toml:"minVersion"`
	Allowlist  *tomlAllowlist `toml:"allowlist"`
	Rules      []tomlRule
}

type tomlRule struct {
	ID, Description, Regex, Path string
	SecretGroup                  int `toml:"secretGroup"`
	Entropy                      float64
	Keywords, Tags               []string
	Allowlists                   []tomlAllowlist
}

type tomlAllowlist struct {
	Description, Condition    string
	RegexTarget               string `toml:"regexTarget"`
	Paths, Regexes, StopWords []string
	Commits                   []string
}

// rule is one gitleaks rule, ready to run. Immutable but for its lazily compiled expressions.
type rule struct {
	id, description string
	regex, path     lazyRegexp // nil where the rule has none
	group           int
	entropy         float64
	keywords        []string // lower case; none: the rule always runs
	allow           []allowlist
	anchors         []anchor // none: the rule runs over whole fragments
}

func loadRules() (rules []rule, global []allowlist, err error) {
	var cfg tomlConfig
	dec := toml.NewDecoder(bytes.NewReader(ruleSet)).DisallowUnknownFields()
	if err := dec.Decode(&cfg); err != nil {
		return nil, nil, fmt.Errorf("read the gitleaks rule set: %w", err)
	}
	if cfg.Allowlist != nil {
		a, err := newAllowlist(*cfg.Allowlist)
		if err != nil {
			return nil, nil, fmt.Errorf("gitleaks rule set: global allowlist: %w", err)
		}
		global = []allowlist{a}
	}
	rules = make([]rule, 0, len(cfg.Rules))
	for _, tr := range cfg.Rules {
		r, err := newRule(tr)
		if err != nil {
			return nil, nil, fmt.Errorf("gitleaks rule %s: %w", tr.ID, err)
		}
		rules = append(rules, r)
	}
	return rules, global, nil
}

func newRule(tr tomlRule) (rule, error) {
	r := rule{id: tr.ID, description: tr.Description, group: tr.SecretGroup, entropy: tr.Entropy}
	for _, k := range tr.Keywords {
		if !isASCII(k) {
			return rule{}, errors.New("keyword outside ASCII")
		}
		r.keywords = append(r.keywords, strings.ToLower(k))
	}
	for _, ta := range tr.Allowlists {
		a, err := newAllowlist(ta)
		if err != nil {
			return rule{}, err
		}
		r.allow = append(r.allow, a)
	}
	if tr.Path != "" {
		r.path = lazy(tr.Path)
	}
	if tr.Regex != "" {
		// The flags are regexp.Compile's own.
		tree, err := syntax.Parse(tr.Regex, syntax.Perl)
		if err != nil {
			return rule{}, fmt.Errorf("parse expression: %w", err)
		}
		r.regex = lazy(tr.Regex)
		r.anchors = anchorsOf(tree)
	}
	return r, nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
