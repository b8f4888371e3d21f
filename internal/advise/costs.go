package advise

import (
	"strings"
	"time"

	"github.com/stokerd/stoker/cache"
)

// CostWindow is how old an execution may be to count towards the cost of a step.
const CostWindow = 90 * 24 * time.Hour

// Costs returns the observed costs of the steps of a definition: median seconds by
// instruction, as in dockerfile.Instruction.Text. It returns nil if none are known.
type Costs func(definition string) map[string]float64

// CostsOf returns the costs in the statistics of builds. A step that never ran has none.
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
