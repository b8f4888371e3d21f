package lab

import (
	"context"
	"os"
	"sync"
	"testing"
)

// The environment that joins tests to a lab which runs already. labctl sets the first three.
const (
	// EnvBuildKit is the address of the buildkitd that tests use, e.g. unix:///run/lab/buildkitd.sock.
	EnvBuildKit = "STOKER_TEST_BUILDKIT"
	// EnvRegistry is the host:port of the registry which that buildkitd takes for docker.io.
	EnvRegistry = "STOKER_TEST_REGISTRY"
	// EnvRoot is that buildkitd's root directory.
	EnvRoot = "STOKER_TEST_BUILDKIT_ROOT"
	// EnvNone, if not empty, skips every test that needs a builder. CI never sets it.
	EnvNone = "STOKER_TEST_NO_BUILDKIT"
	// EnvBin is a directory with buildkitd, buildctl and dockerfile-frontend (and buildx), used
	// in place of compiling them.
	EnvBin = "STOKER_LAB_BIN"
)

// Env returns the variables, as NAME=value, by which another process's tests use this lab.
func (l *Lab) Env() []string {
	return []string{
		EnvBuildKit + "=" + l.address,
		EnvRegistry + "=" + l.registry,
		EnvRoot + "=" + l.root,
	}
}

// Attach returns the lab that the environment names, and whether it names one.
func Attach() (*Lab, bool) {
	address := os.Getenv(EnvBuildKit)
	if address == "" {
		return nil, false
	}
	return &Lab{address: address, registry: os.Getenv(EnvRegistry), root: os.Getenv(EnvRoot)}, true
}

// shared starts at most one lab in a process. It is never closed by For, which cannot know the last
// test: see Main.
var shared = sync.OnceValues(func() (*Lab, error) {
	// The lab outlives the test that asks first, and so must not end with that test's context.
	return Start(context.Background(), Options{})
})

// For returns the lab that the tests of this process share: the one named by EnvBuildKit, else one
// started for this process, which ends with it. Where there can be none the test fails and says what
// to do; it is skipped only where EnvNone says so.
func For(t testing.TB) *Lab {
	t.Helper()
	if os.Getenv(EnvNone) != "" {
		t.Skipf("%s is set: skipping a test that needs a builder", EnvNone)
	}
	if l, ok := Attach(); ok {
		return l
	}
	l, err := shared()
	if err != nil {
		t.Fatalf("no BuildKit to test with: %v\n"+
			"run the tests through `go run ./internal/lab/labctl run -- go test ./...`,\n"+
			"set %s to the address of a buildkitd, or set %s=1 to skip these tests", err, EnvBuildKit, EnvNone)
	}
	return l
}
