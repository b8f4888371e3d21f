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

// Gates are limits that an image must keep. A nil one is none.
type Gates struct {
	MaxSize *int64 // of Unpacked, in bytes
	// The following are dive's, and mean what they mean there: an image that is exactly at the limit passes.
	LowestEfficiency         *float64 // 0 to 1
	HighestWastedBytes       *int64
	HighestUserWastedPercent *float64 // 0 to 1: wasted bytes by bytes above the first layer
}

// Rule is one gate and what came of it.
type Rule struct {
	Name   string // maxSize, lowestEfficiency, highestWastedBytes, highestUserWastedPercent
	Limit  float64
	Actual float64
	OK     bool
	Bytes  bool // both are sizes
}

// DiveDefaults are the limits that dive has where no file says otherwise (dive: cmd/dive/cli/internal/options/ci_rules.go).
func DiveDefaults() Gates {
	efficiency, percent := 0.9, 0.1
	return Gates{LowestEfficiency: &efficiency, HighestUserWastedPercent: &percent}
}

// Check judges an image, one rule for each gate.
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

// ReadDive reads dive's file of limits, with dive's defaults for what it leaves out. ok is false if there is none.
// parseSize reads a size as people write it.
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

// parseDive knows the names of all versions of dive, below `rules:` or at the top.
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
		text := strings.TrimSpace(fmt.Sprint(value))
		off := value == nil
		switch strings.ToLower(text) {
		case "", "disabled", "off", "false":
			off = true
		}
		var err error
		switch key {
		case "lowestEfficiency", "lowest-efficiency-threshold":
			g.LowestEfficiency, err = ratio(text, off)
		case "highestUserWastedPercent", "highest-user-wasted-percent":
			g.HighestUserWastedPercent, err = ratio(text, off)
		case "highestWastedBytes", "highest-wasted-bytes":
			g.HighestWastedBytes = nil
			if !off {
				var n int64
				n, err = parseSize(text)
				g.HighestWastedBytes = &n
			}
		default:
			err = errors.New("there is no such rule")
		}
		if err != nil {
			return Gates{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	return g, nil
}

// ratio reads a number from 0 to 1.
func ratio(text string, off bool) (*float64, error) {
	if off {
		return nil, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return nil, fmt.Errorf("%q is not between 0 and 1", text)
	}
	return &n, nil
}
