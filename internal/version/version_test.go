package version

import (
	"errors"
	"runtime"
	"runtime/debug"
	"testing"
)

const revision = "3f2c1d9e4a5b6c7d8e9f00112233445566778899"

func TestFrom(t *testing.T) {
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: revision},
		{Key: "vcs.modified", Value: "true"},
		{Key: "vcs.time", Value: "2026-11-23T09:46:00Z"},
	}
	for _, tt := range []struct {
		name, recorded, override, text string
		settings                       []debug.BuildSetting
	}{
		{"go install", "v1.2.3", "", "v1.2.3", nil},
		{"checkout", "(devel)", "", "devel (3f2c1d9e4a5b, modified)", vcs},
		{"go test", "", "", "devel", nil},
		{"packager", "(devel)", "v9.9.9-1", "v9.9.9-1", nil},
		{"packager in a checkout", "v0.0.0-2026", "v9.9.9", "v9.9.9 (3f2c1d9e4a5b, modified)", vcs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			build := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: tt.recorded}, Settings: tt.settings}
			got := from(build, tt.override)
			if got.String() != tt.text {
				t.Errorf("got %q, want %q", got, tt.text)
			}
			if got.Go != "go1.26.8" || got.Platform != runtime.GOOS+"/"+runtime.GOARCH {
				t.Errorf("got %+v, want the toolchain's version and platform", got)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	hash := func() (string, error) { return "cafe", nil }
	for _, tt := range []struct {
		info Info
		want string
	}{
		{Info{Number: "v1.2.3"}, "v1.2.3"},
		{Info{Number: "v1.2.3", Revision: revision}, "v1.2.3+" + revision},
		{Info{Number: "v1.2.3", Revision: revision, Modified: true}, "v1.2.3+cafe"},
		{Info{Number: "devel"}, "devel+cafe"},
	} {
		if got, err := tt.info.Build(hash); got != tt.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", tt.info, got, err, tt.want)
		}
	}
	unreadable := errors.New("unreadable")
	if _, err := (Info{Number: "devel"}).Build(func() (string, error) { return "", unreadable }); !errors.Is(err, unreadable) {
		t.Errorf("Build: %v, want the error of hash", err)
	}
}
