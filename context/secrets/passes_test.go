package secrets

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/detect/codec"

	"github.com/stokerd/stoker/internal/randtest"
)

// encodedText returns text with values in all encodings, whole and broken, in one another and side by side.
func encodedText(g *rand.Rand) string {
	var out strings.Builder
	for range 1 + g.IntN(12) {
		plain := []string{"secret value 12345", "x", "Lorem ipsum dolor sit amet, consectetur", "é", "key=0123456789abcdefghij", "\x01\x02\x03 0123456789 not printable"}[g.IntN(6)]
		for range g.IntN(3) {
			switch g.IntN(5) {
			case 0:
				plain = base64.StdEncoding.EncodeToString([]byte(plain))
			case 1:
				plain = base64.RawURLEncoding.EncodeToString([]byte(plain))
			case 2:
				plain = fmt.Sprintf("%x", plain)
			case 3:
				plain = "%" + fmt.Sprintf("%x", plain[:1]) + plain[1:] + pick(g, []string{"%20", "%2", "%%41", "%zz", "% 41%41"})
			case 4:
				escaped, form := "", pick(g, []string{`\u%04x`, `\\u%04X`, "U+%04x ", "U+%04X\n", `\U%04x`})
				for _, r := range plain {
					escaped += fmt.Sprintf(form, r)
				}
				plain = escaped
			}
		}
		out.WriteString(plain)
		out.WriteString(pick(g, []string{"", "", " ", "\n", "=", "==", "===", "%41", `\`, "U+0041", "-", "U+", "%", "\r\n", "\xff", "abcdef0123456789ABCDEF0123456789"}))
	}
	return out.String()
}

// compareToDecoder checks that passes decode the same as gitleaks' decoder.
func compareToDecoder(t *testing.T, text string) (passed int) {
	t.Helper()
	p, decoder := &passes{first: text, text: text}, codec.NewDecoder()
	var segments []*codec.EncodedSegment
	for range maxDecodes {
		text, segments = decoder.Decode(text, segments)
		if more := p.next(); more != (len(segments) > 0) || p.text != text {
			t.Fatalf("of %q pass %d\nmakes %t %q\nwant  %t %q", p.first, p.n, more, p.text, len(segments) > 0, text)
		}
		if len(segments) == 0 {
			break
		}
		for lo := range len(text) + 1 {
			for _, hi := range []int{lo, min(lo+5, len(text))} {
				want := codec.SegmentsWithDecodedOverlap(segments, lo, hi)
				if p.touches(lo, hi) != (len(want) > 0) || len(p.origin(lo, hi)) != len(want) {
					t.Fatalf("of %q, pass %d touches %d to %d of %q: %t, want %t", p.first, p.n, lo, hi, text, !(len(want) > 0), len(want) > 0)
				}
			}
		}
	}
	return p.n
}

func TestPassesAreTheDecoders(t *testing.T) {
	passed := 0
	for seed := range randtest.Seeds(t, 2000, 200_000) {
		passed += compareToDecoder(t, encodedText(rand.New(rand.NewPCG(seed, 6))))
	}
	if passed < 1000 {
		t.Errorf("%d passes: that proves little", passed)
	}
}

func FuzzPasses(f *testing.F) {
	for _, text := range append(tokens(), fillers...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 4096 {
			compareToDecoder(t, text)
		}
	})
}
