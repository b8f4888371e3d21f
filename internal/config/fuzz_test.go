package config_test

import (
	"errors"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/internal/config"
)

// FuzzParse holds that no file makes the reader panic, that what is refused is
// refused with a text, and that what is accepted can be merged.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	archive, err := txtar.ParseFile("testdata/errors.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := config.ParseRepository("stoker.yaml", data)
		if err == nil {
			c := config.Merge(config.Flags{}, file, nil, true)
			for _, b := range c.Builds {
				if b.Name == "" || b.Context == "" || b.Dockerfile == "" {
					t.Errorf("incomplete build %+v", b)
				}
			}
			for _, a := range c.Allow {
				a.Covers("a/b/c", "rule")
			}
			return
		}
		var e *config.Error
		if !errors.As(err, &e) || e.Text == "" {
			t.Errorf("error without a text: %v", err)
		}
	})
}

// FuzzParseSize holds that sizes are never negative.
func FuzzParseSize(f *testing.F) {
	for _, text := range []string{"50MB", "1.5GiB", "0", "off", "9223372036854775808", ".", "1e400MB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := config.ParseSize(text); err == nil && n < 0 || err != nil && n != 0 {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	})
}
