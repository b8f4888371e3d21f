package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// DiveFile is the name of the file that dive reads its limits from.
const DiveFile = ".dive-ci"

// Gates are limits that an image must keep. One that is nil is not checked. An image that is exactly at a limit passes.
type Gates struct {
	MaxSize *int64 // of Analysis.Unpacked, in bytes
	// The limits below are dive's, and mean the same as there.
	LowestEfficiency         *float64 // of Analysis.Efficiency, 0 to 1
	HighestWastedBytes       *int64   // of Analysis.Wasted
	HighestUserWastedPercent *float64 // of Analysis.UserWasted, 0 to 1 in spite of its name
}

// Rule is the result of checking one limit.
type Rule struct {
	Name   string // maxSize, lowestEfficiency, highestWastedBytes, highestUserWastedPercent
	Limit  float64
	Actual float64
	OK     bool
	Bytes  bool // Limit and Actual are sizes in bytes
}

// DiveDefaults returns the limits that dive has by default (dive: cmd/dive/cli/internal/options/ci_rules.go).
func DiveDefaults() Gates {
	efficiency, percent := 0.9, 0.1
	return Gates{LowestEfficiency: &efficiency, HighestUserWastedPercent: &percent}
}

// Check checks the limits, and returns one rule for each that is set.
func (g Gates) Check(a *Analysis) []Rule {
	var rules []Rule
	if g.MaxSize != nil {
		rules = append(rules, Rule{"maxSize", float64(*g.MaxSize), float64(a.Unpacked), a.Unpacked <= *g.MaxSize, true})
	}
	if g.LowestEfficiency != nil {
		rules = append(rules, Rule{"lowestEfficiency", *g.LowestEfficiency, a.Efficiency, a.Efficiency >= *g.LowestEfficiency, false})
	}
	if g.HighestWastedBytes != nil {
		rules = append(rules, Rule{"highestWastedBytes", float64(*g.HighestWastedBytes), float64(a.Wasted), a.Wasted <= *g.HighestWastedBytes, true})
	}
	if g.HighestUserWastedPercent != nil {
		rules = append(rules, Rule{"highestUserWastedPercent", *g.HighestUserWastedPercent, a.UserWasted, a.UserWasted <= *g.HighestUserWastedPercent, false})
	}
	return rules
}

// ReadDive reads the limits in dive's file name. For limits that the file does not have, it returns dive's defaults. If
// there is no file, ok is false and all limits are defaults. A file that is malformed is an [*Error]. parseSize parses
// sizes such as "20MB".
func ReadDive(name string, parseSize func(string) (int64, error)) (g Gates, ok bool, err error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return DiveDefaults(), false, nil
	}
	if err != nil {
		return Gates{}, false, err
	}
	g, err = parseDive(data, parseSize)
	if err != nil {
		return Gates{}, false, bad("rules: lowestEfficiency (0 to 1), highestWastedBytes (20MB), highestUserWastedPercent (0 to 1)", "%s: %v", name, err)
	}
	return g, true, nil
}

// parseDive parses the text of dive's file. Versions of dive use different names, and have them below `rules:` or at the
// top.
func parseDive(data []byte, parseSize func(string) (int64, error)) (Gates, error) {
	var file map[string]any
	if err := yaml.Unmarshal(data, &file); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return Gates{}, errors.New(line)
	}
	if rules, ok := file["rules"]; ok {
		below, ok := rules.(map[string]any)
		if !ok && rules != nil {
			return Gates{}, errors.New("rules is no mapping")
		}
		file = below
	}
	g := DiveDefaults()
	for key, value := range file {
		text := ""
		if value != nil {
			text = strings.TrimSpace(fmt.Sprint(value))
		}
		var err error
		switch key {
		case "lowestEfficiency", "lowest-efficiency-threshold":
			g.LowestEfficiency, err = limit(text, parseRatio)
		case "highestUserWastedPercent", "highest-user-wasted-percent":
			g.HighestUserWastedPercent, err = limit(text, parseRatio)
		case "highestWastedBytes", "highest-wasted-bytes":
			g.HighestWastedBytes, err = limit(text, parseSize)
		default:
			err = errors.New("there is no such rule")
		}
		if err != nil {
			return Gates{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	return g, nil
}

// limit returns a limit that is written as text, or nil if the text switches it off.
func limit[T any](text string, parse func(string) (T, error)) (*T, error) {
	switch strings.ToLower(text) {
	case "", "disabled", "off", "false":
		return nil, nil
	}
	value, err := parse(text)
	if err != nil {
		return nil, err
	}
	return &value, nil
}

// parseRatio parses a number from 0 to 1.
func parseRatio(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return 0, fmt.Errorf("%q is not between 0 and 1", text)
	}
	return n, nil
}
