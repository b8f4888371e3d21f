package secrets_test

import (
	"testing"

	"github.com/stokerd/stoker/context/secrets"
)

func TestOnlyPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"# read by the build\nVITE_SHOP=example\n\nexport NEXT_PUBLIC_X=1\n": true,
		"VITE_SHOP=example\nTOKEN=x\n":                                       false,
		"VITE_KEY=\"a\nTOKEN=x\"\n":                                          false,
		"VITE_SHOP\n":                                                        false,
		"# nothing\n":                                                        false,
		"":                                                                   false,
		"MY_VITE_SHOP=x":                                                     false,
	} {
		if got := secrets.OnlyPublic([]byte(text)); got != want {
			t.Errorf("OnlyPublic(%q) = %v, want %v", text, got, want)
		}
	}
}
