package dockerfile

import "testing"

// TestWithoutSSH holds which addresses would be dialled, and what takes their place.
func TestWithoutSSH(t *testing.T) {
	tests := []struct{ address, want string }{
		{"git@github.com:org/x.git", "git://github.com/org/x.git"},
		{"me@host:/abs/x#v1:sub", "git://host/abs/x#v1:sub"},
		{"git@host:x?ref=v1&submodules=false", "git://host/x?ref=v1&submodules=false"},
		{"ssh://git:secret@host:2222/x.git#v1", "git://host:2222/x.git#v1"},
		{"SSH://host/a b", "git://host/a%20b"},
	}
	for _, tt := range tests {
		if !overSSH(tt.address) {
			t.Errorf("%s is not seen to be over ssh", tt.address)
		}
		if got := withoutSSH(tt.address); got != tt.want || overSSH(got) {
			t.Errorf("%s became %s, want %s", tt.address, got, tt.want)
		}
	}
	for _, address := range []string{"https://git@host/x.git", "git://host/x", "git@host", "./git@host:x", "a/git@host:x", "github.com/a@b:c", "dir", ""} {
		if overSSH(address) || withoutSSH(address) != address {
			t.Errorf("%s counts as over ssh", address)
		}
	}
}

// TestBeginsPlain holds which sources with variables the frontend may expand.
func TestBeginsPlain(t *testing.T) {
	for prefix, want := range map[string]bool{
		"https://": true, "http://host/": true, "./": true, "/a": true, "dir/": true, "dir/git@": true,
		"": false, "dir": false, "git@": false, "git@host:a/": false, "ssh://": false, "s": false, "https:": false, "https:/": false,
	} {
		if beginsPlain(prefix) != want {
			t.Errorf("beginsPlain(%q) = %v", prefix, !want)
		}
	}
}

// TestHarmless holds which sources the frontend may see as they are. One that is not harmless costs a
// conversion more.
func TestHarmless(t *testing.T) {
	g := newGuard("Dockerfile", nil)
	for word, want := range map[string]bool{
		"https://host/x.git#$V": true, `"https://host/x.git#$V"`: true, `'https://host/x.git#$V'`: true, `"./a/$V"`: true, `"a/${V}"`: true, `"https://host/"$V`: true,
		`"$V"`: false, `"git@host:$V"`: false, `""https://$V`: false, `"git""@host:$V"`: false, `"ss"h://host/$V`: false, `"ssh://host/$V"`: false, `'git@host:'$V`: false,
		`"https\://host/$V"`: false, `\"https://host/$V`: false, `"dir$V"`: false, `"`: true, `"ssh://host/x"`: false, `"$V`: false,
	} {
		if g.harmless(word) != want {
			t.Errorf("harmless(%s) = %v", word, !want)
		}
	}
}
