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

// A lazyRegexp compiles an expression when it is first called. Compiling all of them takes tens of milliseconds, and
// most files need few.
type lazyRegexp func() (*regexp.Regexp, error)

func lazy(expr string) lazyRegexp {
	return sync.OnceValues(func() (*regexp.Regexp, error) { return regexp.Compile(expr) })
}

// tomlConfig is the part of gitleaks' configuration format that its default configuration uses. It is decoded strictly,
// so that a later version of the rules fails to load if it uses anything else.
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

// A rule is one of gitleaks' rules. It is immutable.
type rule struct {
	id, description string
	regex, path     lazyRegexp // nil if the rule has none
	group           int        // of regex that is the secret; 0 if the rule does not say
	entropy         float64    // that the secret must exceed; 0 for no condition
	keywords        []string   // lower case; one must occur for the rule to run, if there are any
	allow           []allowlist
	anchors         []anchor // that cover regex; nil if there are none
}

// loadRules returns the rules of the rule set, and the allowlists that apply to all of them.
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
		// The flags are those of regexp.Compile.
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
