package advise

import (
	"strings"
	"time"

	"github.com/stokerd/stoker/cache"
)

// CostWindow is how far back executions count towards what a step costs.
const CostWindow = 90 * 24 * time.Hour

// Costs gives the observed median seconds of a definition's steps by
// instruction, as dockerfile.Instruction.Text has it; nil where none are known.
type Costs func(definition string) map[string]float64

// CostsOf returns what the steps of a repository took when they ran, given the
// statistics of its builds.
func CostsOf(stats []cache.DefinitionStats) Costs {
	byName := map[string]map[string]float64{}
	for _, d := range stats {
		medians := map[string]float64{}
		for _, s := range d.Steps {
			if _, instruction, ok := strings.Cut(s.Name, "] "); ok && s.MedianSeconds > 0 {
				medians[instruction] = s.MedianSeconds
			}
		}
		byName[d.Name] = medians
	}
	return func(definition string) map[string]float64 { return byName[definition] }
}
