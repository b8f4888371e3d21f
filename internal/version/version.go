// Package version tells which version of stoker this program is.
//
// It is taken from what the Go linker recorded (runtime/debug.BuildInfo): the
// module version for `go install …@v1.2.3`, else the commit. In a source archive
// neither is known, and whoever builds it sets the version with
//
//	-ldflags "-X github.com/stokerd/stoker/internal/version.override=v1.2.3"
//
// Client and daemon compare [Info.Build], not Number, since two builds of one commit
// with different local changes are different programs.
package version

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// override is set at link time and never written to by the program.
var override string

// An Info is what is known about a build of stoker.
type Info struct {
	// Number is the version ("v1.2.3"), or "devel" where none was given.
	Number string
	// Revision is the full commit id; empty if it was not recorded.
	Revision string
	// Modified says that the source tree had uncommitted changes.
	Modified bool
	// Time is when the commit was made (RFC 3339); empty if not recorded.
	Time string
	// Go is the toolchain's version.
	Go string
	// Platform is what the program was built for ("linux/amd64").
	Platform string
}

// Get returns this program's Info. It is cheap and safe for concurrent use.
func Get() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return from(build, override)
}

// from returns the Info for a build. number, unless empty, overrides the recorded version.
func from(build *debug.BuildInfo, number string) Info {
	info := Info{Number: number, Go: build.GoVersion, Platform: runtime.GOOS + "/" + runtime.GOARCH}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Revision = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		case "vcs.time":
			info.Time = s.Value
		}
	}
	if info.Number == "" {
		info.Number = build.Main.Version
	}
	if info.Number == "" || info.Number == "(devel)" {
		info.Number = "devel"
	}
	return info
}

// String returns the version on one line: "v1.2.3 (3f2c1d9e4a5b, modified)".
func (i Info) String() string {
	var notes []string
	if i.Revision != "" {
		notes = append(notes, i.Revision[:min(12, len(i.Revision))])
	}
	if i.Modified {
		notes = append(notes, "modified")
	}
	if len(notes) == 0 {
		return i.Number
	}
	return i.Number + " (" + strings.Join(notes, ", ") + ")"
}

// Build returns an identifier for the handshake of client and daemon, which is the same
// for programs built from the same source and for no others. If the source is not known
// exactly, it includes the digest of the executable, for which hash is called; the error
// is that of hash.
func (i Info) Build(hash func() (string, error)) (string, error) {
	if i.Revision != "" && !i.Modified {
		return i.Number + "+" + i.Revision, nil
	}
	if i.Revision == "" && i.Number != "devel" {
		return i.Number, nil
	}
	sum, err := hash()
	if err != nil {
		return "", err
	}
	return i.Number + "+" + sum, nil
}
