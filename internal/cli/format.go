package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/docker/go-units"

	"github.com/stokerd/stoker/internal/api"
)

// bytes formats a size as docker prints it: "48.1MB".
func bytes(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

// count formats a number with commas between thousands: "3,412".
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

// amount formats files and bytes: "40.1MB, 307 files".
func amount(s api.Size) string { return bytes(s.Bytes) + ", " + plural(s.Files, "file") }

// lines formats a range of lines: "7" or "7-9".
func lines(of [2]int) string {
	if of[0] == of[1] {
		return strconv.Itoa(of[0])
	}
	return fmt.Sprintf("%d-%d", of[0], of[1])
}

// stepName formats the name of a step for one line.
func stepName(name string) string { return visible(strings.Join(strings.Fields(name), " "), nil) }

// visible returns text from a file, or the name of one, so that it can neither
// control the terminal nor look like something else: characters that do not print,
// and bytes that are not UTF-8, are escaped as in Go. If raw is not nil, it is used
// in place of name: the bytes of a name that is not UTF-8.
func visible(name string, raw []byte) string {
	if raw != nil {
		name = string(raw)
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, name[i])
		case !unicode.IsPrint(r):
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// seconds formats the duration of a step or a build: "0.4s", "38s", "2m10s".
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
