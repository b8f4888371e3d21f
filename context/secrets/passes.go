package secrets

import (
	"sort"
	"strings"

	"github.com/zricethezav/gitleaks/v8/detect/codec"
)

// A passes is a fragment after some decoding passes. It finds by itself what gitleaks' decoder decodes, in a
// fraction of the time: the decoder looks for it with an expression that goes over all of the text. The decoder
// decodes each value, and says where in the fragment something decoded comes from, which is rarely asked.
type passes struct {
	first   string // the fragment
	text    string // after the last pass
	n       int    // passes so far
	decoded []span // of text, what the last pass decoded, in order

	segments []*codec.EncodedSegment // of the decoder after as many passes; nil until origin needs them
}

// next does another pass. It reports false, and leaves all as it is, if there is nothing to decode.
func (p *passes) next() bool {
	if !decodable(p.text) {
		return false
	}
	var out strings.Builder
	var decoded []span
	done := 0
	for _, c := range apart(codes(p.text)) {
		value, ok := c.decode(p.text)
		if !ok {
			continue
		}
		out.WriteString(p.text[done:c.lo])
		done = c.hi
		decoded = append(decoded, span{lo: out.Len(), hi: out.Len() + len(value)})
		out.WriteString(value)
	}
	if len(decoded) == 0 {
		return false
	}
	out.WriteString(p.text[done:])
	p.text, p.decoded, p.segments, p.n = out.String(), decoded, nil, p.n+1
	return true
}

// touches reports whether text[lo:hi] overlaps or adjoins what the last pass decoded.
func (p *passes) touches(lo, hi int) bool {
	i := sort.Search(len(p.decoded), func(i int) bool { return p.decoded[i].hi >= lo })
	return i < len(p.decoded) && p.decoded[i].lo <= hi
}

// origin returns what the decoder tells of the segments that overlap or adjoin text[lo:hi].
func (p *passes) origin(lo, hi int) []*codec.EncodedSegment {
	if p.segments == nil {
		text, decoder := p.first, codec.NewDecoder()
		for range p.n {
			text, p.segments = decoder.Decode(text, p.segments)
		}
	}
	return codec.SegmentsWithDecodedOverlap(p.segments, lo, hi)
}

// A kind is how something may be encoded. Of two that adjoin, the greater one is decoded first.
type kind int

const (
	inBase64 kind = iota + 1
	inHex
	inUnicode
	inPercent
)

// A code is a part of a text, text[lo:hi], that looks encoded.
type code struct {
	lo, hi int
	kind   kind
}

// codes returns what the decoder takes for encoded in text, from left to right.
func codes(text string) (list []code) {
	for at := 0; at < len(text); {
		c := code{lo: at}
		switch b := text[at]; {
		case b == '%':
			c.kind, c.hi = inPercent, percentEnd(text, at)
		case b == '\\':
			c.kind, c.hi = inUnicode, escapesEnd(text, at)
		case base64Value[b] >= 0:
			c = codeAt(text, at)
		}
		if c.hi > c.lo {
			list, at = append(list, c), c.hi
			continue
		}
		at++
	}
	return list
}

// codeAt returns the code that begins with text[at], a character of base64; it is empty if none does.
func codeAt(text string, at int) code {
	if end := pointsEnd(text, at); end > at {
		return code{at, end, inUnicode}
	}
	end := at
	for end < len(text) && hexValue(text[end]) >= 0 {
		end++
	}
	if end-at >= minHex {
		return code{at, end, inHex}
	}
	for end < len(text) && base64Value[text[end]] >= 0 {
		end++
	}
	if end-at < minBase64 {
		return code{lo: at, hi: at}
	}
	for range 2 {
		if end < len(text) && text[end] == '=' {
			end++
		}
	}
	return code{at, end, inBase64}
}

// percentEnd returns the end of the last %XX on the line, if one begins at text[at]; else at.
func percentEnd(text string, at int) int {
	if !isHex(text, at+1, 2) {
		return at
	}
	line, _, _ := strings.Cut(text[at:], "\n")
	for i := len(line); i > 3; {
		if i = strings.LastIndexByte(line[:i], '%'); isHex(line, i+1, 2) {
			return at + i + 3
		}
	}
	return at + 3
}

// escapesEnd returns the end of a row of \uXXXX or \\uXXXX that begins at text[at]; at if there is none.
func escapesEnd(text string, at int) int {
	for {
		next := at
		for next < len(text) && next < at+2 && text[next] == '\\' {
			next++
		}
		if next == at || next >= len(text) || lowerByte(text[next]) != 'u' || !isHex(text, next+1, 4) {
			return at
		}
		at = next + 5
	}
}

// pointsEnd returns the end of a row of U+XXXX, each with white space or the end of the text behind it, that begins
// at text[at]; at if there is none.
func pointsEnd(text string, at int) int {
	for {
		if !strings.HasPrefix(text[at:], "U+") || !isHex(text, at+2, 4) {
			return at
		}
		switch next := at + 6; {
		case next == len(text):
			return next
		case strings.IndexByte(" \t\n\f\r", text[next]) < 0:
			return at
		default:
			at = next + 1
		}
	}
}

// apart returns the codes without those that adjoin one to be decoded first.
func apart(list []code) []code {
	var out []code
	for i, c := range list {
		waits := func(o code) bool { return o.lo <= c.hi && c.lo <= o.hi && o.kind > c.kind }
		if i > 0 && waits(list[i-1]) || i+1 < len(list) && waits(list[i+1]) {
			continue
		}
		out = append(out, c)
	}
	return out
}

// decode returns what is encoded. It reports false if that is not printable.
func (c code) decode(text string) (string, bool) {
	value := text[c.lo:c.hi]
	if c.kind == inHex && !printableHex(value) || c.kind == inBase64 && !printableBase64(strings.TrimRight(value, "=")) {
		return "", false
	}
	decoded, segments := codec.NewDecoder().Decode(value, nil)
	return decoded, len(segments) > 0
}
