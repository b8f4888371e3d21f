package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
)

// bytes formats a size as docker prints it: "48.1MB".
func bytes(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

// count formats a number with its thousands apart: "3,412".
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// seconds formats a duration of a step or a build: "0.4s", "38s", "2m10s".
func seconds(s float64) string {
	switch {
	case s < 0.05:
		return "0s"
	case s < 10:
		return fmt.Sprintf("%.1fs", s)
	case s < 60:
		return fmt.Sprintf("%.0fs", s)
	}
	return age(time.Duration(s * float64(time.Second)))
}

// age formats how long something has lasted in its two largest units: "2h14m".
func age(d time.Duration) string {
	text := d.Round(time.Second).String()
	if d >= time.Hour {
		text = d.Round(time.Minute).String()
		text = strings.TrimSuffix(text, "0s")
	}
	if days := int(d / (24 * time.Hour)); days > 0 {
		return fmt.Sprintf("%dd%dh", days, int(d/time.Hour)%24)
	}
	return text
}

func percent(rate float64) string { return fmt.Sprintf("%.0f%%", rate*100) }

// sparkline draws rates from 0 to 1, one character each.
func sparkline(rates []float64) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, r := range rates {
		b.WriteRune(levels[min(max(int(r*float64(len(levels)-1)+0.5), 0), len(levels)-1)])
	}
	return b.String()
}
