package secrets

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/h2non/filetype"
	"github.com/zricethezav/gitleaks/v8/detect/codec"
)

// tokens returns texts that hold a token, in the clear and in all encodings.
func tokens() []string {
	pat := "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "kLmNoPqRsTuVwXyZ"
	return []string{
		pat, "api_key = \"" + pat[4:] + "\"", base64.StdEncoding.EncodeToString([]byte("token=" + pat)),
		hex.EncodeToString([]byte(pat)), "%67hp_" + pat[4:], "\\u0067hp_" + pat[4:], pat + " // gitleaks:allow",
		base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(" key: " + pat + "\n")))),
		"\u212a" + pat + "\u017f", "\n" + pat + "\n\n" + pat, "U+0067 U+0068 U+0070 _" + pat[4:],
	}
}

// TestEncodedEqualsGitleaks compares the decoding passes with gitleaks', and checks that they find something.
func TestEncodedEqualsGitleaks(t *testing.T) {
	s, d := scanner(t), oracle(t)
	for _, text := range tokens() {
		for _, around := range []string{text, "x\n" + text + "\ny\n", "a: '" + text + "'", text + "\n" + text} {
			if diff := cmp.Diff(theirs(t, d, "a.txt", around), ours(t, s, "a.txt", around)); diff != "" {
				t.Errorf("%q (-gitleaks +stoker):\n%s", around, diff)
			}
		}
	}
	for _, i := range []int{0, 2, 3, 4, 5} {
		if len(ours(t, s, "a.txt", tokens()[i])) == 0 {
			t.Errorf("nothing found in %q", tokens()[i])
		}
	}
}

// FuzzScan compares the matches in small texts with gitleaks'.
func FuzzScan(f *testing.F) {
	for _, text := range append(tokens(), fillers...) {
		f.Add("a.yaml", text)
	}
	s, d := scanner(f), oracle(f)
	f.Fuzz(func(t *testing.T, path, text string) {
		if len(text) > 4096 || path == "" || isArchive(path) || slices.Contains([]byte(path), '.') && path != "a.yaml" {
			return
		}
		if diff := cmp.Diff(theirs(t, d, path, text), ours(t, s, path, text)); diff != "" {
			t.Errorf("-gitleaks +stoker\n%s", diff)
		}
	})
}

// FuzzDecodable checks that decodable is true of every text in which gitleaks decodes something, and that binaryMagic is
// true of every text that it takes for binary.
func FuzzDecodable(f *testing.F) {
	for _, text := range append(tokens(), fillers...) {
		f.Add(text)
	}
	for _, m := range applicationMagic {
		f.Add(m.text + "\x00\x00\x00\x00")
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, segments := codec.NewDecoder().Decode(text, nil); len(segments) > 0 && !decodable(text) {
			t.Errorf("decodable(%q) = false, but gitleaks decodes it", text)
		}
		kind, err := filetype.Match([]byte(text))
		if want := err == nil && kind.MIME.Type == "application"; want && !binaryMagic([]byte(text)) {
			t.Errorf("binaryMagic(%q) = false, but gitleaks takes it for %s", text, kind.MIME.Value)
		}
	})
}
