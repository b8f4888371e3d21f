package dockerfile

import (
	"bytes"
	"fmt"
	"strings"
)

// deepest is how many stages may start from one another. The frontend takes time and
// memory with the square of it, half a second and 100 MB here; and each that runs
// anything is a layer, of which no builder can mount as many.
const deepest = 500

// refuseDeep returns an [*Error] for a Dockerfile whose stages start from one another
// in longer chains than can be followed in reasonable time.
func (in Input) refuseDeep(text []byte) error {
	if bytes.Count(bytes.ToUpper(text), []byte("FROM")) <= deepest {
		return nil
	}
	lines, err := Outline(text)
	if err != nil {
		return nil //nolint:nilerr // the frontend says it better
	}
	depth, most := map[string]int{}, 0
	for _, l := range lines {
		if l.Keyword != "FROM" {
			continue
		}
		below, ok := depth[l.Base]
		if !ok && strings.Contains(l.Base, "$") {
			below = most // it may name any of those above
		}
		most = max(most, below+1)
		if below == deepest {
			return &Error{
				File: in.shownFile(), Line: l.Number, Err: fmt.Errorf("more than %d stages start from one another", deepest),
				Hint: "no builder can mount an image of so many layers; join stages, or start some of them from an image",
			}
		}
		if l.Name != "" {
			depth[l.Name] = below + 1
		}
	}
	return nil
}
