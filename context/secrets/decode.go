package secrets

import "strings"

// decodable reports whether gitleaks' decoder would decode anything in text. It may say yes in vain, never no:
// the decoder's own pass over the text costs more than all the rest of a scan, and most texts hold nothing for it.
func decodable(text string) bool {
	return hasPercent(text) || hasEscape(text) || hasRun(text)
}

// hasPercent looks for a line whose %XX are all printable: the decoder takes everything from the first to the last
// of a line at once, and drops it all for one that is not.
func hasPercent(text string) bool {
	for {
		n := strings.IndexByte(text, '%')
		if n < 0 {
			return false
		}
		line, rest, _ := strings.Cut(text[n:], "\n")
		text = rest
		escapes, good := 0, true
		for i := 0; i < len(line) && good; i++ {
			if line[i] == '%' && isHex(line, i+1, 2) {
				escapes++
				good = printable(hexValue(line[i+1])<<4 | hexValue(line[i+2]))
				i += 2
			}
		}
		if good && escapes > 0 {
			return true
		}
	}
}

// hasEscape looks for U+XXXX and \uXXXX.
func hasEscape(text string) bool {
	for at := 0; ; at++ {
		n := strings.IndexByte(text[at:], '\\')
		if n < 0 {
			break
		}
		at += n
		if at+1 < len(text) && lowerByte(text[at+1]) == 'u' && isHex(text, at+2, 4) {
			return true
		}
	}
	for at := 0; ; at += 2 {
		n := strings.Index(text[at:], "U+")
		if n < 0 {
			return false
		}
		at += n
		if isHex(text, at+2, 4) {
			return true
		}
	}
}

func isHex(text string, at, n int) bool {
	if at+n > len(text) {
		return false
	}
	for i := at; i < at+n; i++ {
		if hexValue(text[i]) < 0 {
			return false
		}
	}
	return true
}

func hexValue(c byte) int {
	switch c = lowerByte(c); {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// The shortest hex and base64 texts that the decoder looks at (gitleaks: detect/codec).
const minHex, minBase64 = 32, 16

// hasRun looks for hex and base64 that decode to printable ASCII. Both are runs of base64's alphabet (standard
// and URL taken together). Where a run begins with enough hex, the decoder takes that first and looks at the rest
// anew.
func hasRun(text string) bool {
	for at := 0; at < len(text); at++ {
		if base64Value[text[at]] < 0 {
			continue
		}
		end := at + 1
		for end < len(text) && base64Value[text[end]] >= 0 {
			end++
		}
		for run := text[at:end]; len(run) >= minBase64; {
			hex := 0
			for hex < len(run) && hexValue(run[hex]) >= 0 {
				hex++
			}
			if hex < minHex {
				if printableBase64(run) {
					return true
				}
				break
			}
			if printableHex(run[:hex]) {
				return true
			}
			run = run[hex:]
		}
		at = end
	}
	return false
}

func printableHex(run string) bool {
	for i := 0; i+1 < len(run); i += 2 {
		if !printable(hexValue(run[i])<<4 | hexValue(run[i+1])) {
			return false
		}
	}
	return len(run)%2 == 0
}

// printableBase64 looks at whole groups of four only; what is left over is for the decoder.
func printableBase64(run string) bool {
	for i := 0; i+3 < len(run); i += 4 {
		v := int(base64Value[run[i]])<<18 | int(base64Value[run[i+1]])<<12 |
			int(base64Value[run[i+2]])<<6 | int(base64Value[run[i+3]])
		if !printable(v>>16) || !printable(v>>8&0xff) || !printable(v&0xff) {
			return false
		}
	}
	return true
}

// printable is the decoder's notion of it, which takes tabs and other white space in.
func printable(c int) bool { return 0x08 < c && c < 0x7f }

// base64Value is the value of a character of either base64 alphabet, -1 for any other.
var base64Value = func() (v [256]int8) {
	for i := range v {
		v[i] = -1
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		v[c] = int8(i)
	}
	v['-'], v['_'] = 62, 63
	return v
}()
