package secrets

import (
	"regexp/syntax"
	"testing"
)

// TestReach holds that what may follow a literal is bounded by what is there, part by part.
func TestReach(t *testing.T) {
	tree, err := syntax.Parse(`key[ \w]{0,9}[=:]{1,3}["']?([\w.]{3,40}|[a-z+]{4,})(?:[;"]|$)`, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	anchors := anchorsOf(tree)
	if len(anchors) != 1 || anchors[0].literal != "key" {
		t.Fatalf("anchors %v", anchors)
	}
	a := anchors[0]
	for text, want := range map[string]struct {
		reach int
		match bool
	}{
		`key = abc; and much more text`: {5, false}, // nothing may stand between operator and value
		`key =abc; and much more text`:  {9, true},
		`key(more of it)`:               {3, false},
		`key := "x"`:                    {6, false},
		`key=a.b.c.d"; key`:             {12, true},
		`key=a.b.c.d(e)`:                {11, false},
		`key="abcdefgh`:                 {13, true},
	} {
		if got := reach(text, len(a.literal), a.stretches); got != want.reach {
			t.Errorf("%q reaches to %d, want %d", text, got, want.reach)
		}
		if got := a.rest().MatchString(text[len(a.literal)-1:]); got != want.match {
			t.Errorf("%q matches: %t, want %t", text, got, want.match)
		}
	}
}
