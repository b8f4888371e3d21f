package secrets

import "strings"

// decodable reports whether gitleaks' decoder might decode something in text. It never returns false where the decoder
// finds something, but may return true where it does not. It saves time: a pass of the decoder costs more than the
// rest of a scan, and most texts have nothing for it.
func decodable(text string) bool {
	return hasPercent(text) || hasEscape(text) || hasRun(text)
}

// hasPercent reports whether there is a line whose %XX escapes are all printable. The decoder takes everything from the
// first escape of a line to the last as one text, and drops it if any of it is not printable.
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

// hasEscape reports whether text has a U+XXXX or \uXXXX.
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

// isHex reports whether text has n hexadecimal digits at an offset.
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

// hexValue returns the value of a hexadecimal digit, -1 for any other character.
func hexValue(c byte) int {
	switch c = lowerByte(c); {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// The lengths of the shortest hex and base64 texts that the decoder looks at (gitleaks: detect/codec).
const minHex, minBase64 = 32, 16

// hasRun reports whether text has hex or base64 that decodes to printable ASCII. Both are runs of characters of the
// base64 alphabets, standard and URL together. If a run begins with enough hex, the decoder takes that first and then
// looks at the rest by itself.
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

// printableHex reports whether run, which is hex, decodes to printable characters.
func printableHex(run string) bool {
	for i := 0; i+1 < len(run); i += 2 {
		if !printable(hexValue(run[i])<<4 | hexValue(run[i+1])) {
			return false
		}
	}
	return len(run)%2 == 0
}

// printableBase64 reports whether the whole groups of four in run, which is base64, decode to printable characters.
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

// printable reports whether the decoder counts c as printable, which includes tabs and other white space.
func printable(c int) bool { return 0x08 < c && c < 0x7f }

// base64Value has the value of each character of either base64 alphabet, -1 for any other byte.
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
