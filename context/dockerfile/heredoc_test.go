package dockerfile_test

import (
	"testing"

	"github.com/stokerd/stoker/context/dockerfile"
)

// Of what is copied, that of a heredoc alone has a digest.
func TestHeredocDigest(t *testing.T) {
	digests := func(text string) (list []string) {
		plan, err := dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: "Dockerfile", Text: []byte(text), Context: t.TempDir()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range plan.Ops {
			for _, in := range op.Inputs {
				if in.Content != nil {
					list = append(list, in.Digest)
				}
			}
		}
		return list
	}
	one := digests("FROM scratch\nCOPY <<A <<B /d/\none\nA\ntwo\nB\n")
	if len(one) != 2 || one[0] == "" || one[1] == "" || one[0] == one[1] {
		t.Errorf("two texts have %q", one)
	}
	if same := digests("FROM scratch\nARG V=one\nCOPY <<B <<A /d/\n$V\nB\ntwo\nA\n"); len(same) != 2 || same[0] != one[0] || same[1] != one[1] {
		t.Errorf("the same texts under other names have %q and %q", one, same)
	}
	if files := digests("FROM scratch AS a\nCOPY x /x\nFROM scratch\nCOPY --from=a /x /x\n"); len(files) != 2 || files[0] != "" || files[1] != "" {
		t.Errorf("files have %q", files)
	}
}
