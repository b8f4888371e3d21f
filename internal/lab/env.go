package lab

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Environment variables that join tests to a running lab. labctl sets the first five, and EnvEngine only if the lab has
// an Engine.
const (
	// EnvBuildKit is the address of the buildkitd that tests use, e.g. unix:///run/lab/buildkitd.sock.
	EnvBuildKit = "STOKER_TEST_BUILDKIT"
	// EnvRegistry is the host:port of the registry that this buildkitd uses in place of docker.io.
	EnvRegistry = "STOKER_TEST_REGISTRY"
	// EnvRoot is the root directory of this buildkitd.
	EnvRoot = "STOKER_TEST_BUILDKIT_ROOT"
	// EnvEngine is the address of the Docker Engine that tests use, e.g. unix:///run/lab/docker.sock.
	EnvEngine = "STOKER_TEST_ENGINE"
	// EnvReal is "1" if the lab has real images (Options.Real).
	EnvReal = "STOKER_TEST_REAL"
	// EnvNone, if not empty, skips every test that needs a builder. CI never sets it.
	EnvNone = "STOKER_TEST_NO_BUILDKIT"
	// EnvBin is a directory with buildkitd, buildctl and dockerfile-frontend, and for some tests buildx and
	// dockerd. The lab then uses these programs and compiles none.
	EnvBin = "STOKER_LAB_BIN"
)

// Env returns the environment variables, as NAME=value, that join the tests of another process to this lab.
func (l *Lab) Env() []string {
	env := []string{
		EnvBuildKit + "=" + l.address,
		EnvRegistry + "=" + l.registry,
		EnvRoot + "=" + l.root,
	}
	if l.engine != "" {
		env = append(env, EnvEngine+"="+l.engine)
	}
	if l.real {
		env = append(env, EnvReal+"=1")
	}
	return env
}

// Attach returns the lab that the environment names, and whether it names one.
func Attach() (*Lab, bool) {
	address := os.Getenv(EnvBuildKit)
	if address == "" {
		return nil, false
	}
	return &Lab{
		address: address, registry: os.Getenv(EnvRegistry), root: os.Getenv(EnvRoot),
		engine: os.Getenv(EnvEngine), real: os.Getenv(EnvReal) == "1",
	}, true
}

// process is the lab that the tests of a process share.
type process struct {
	mu  sync.Mutex // guards lab and err, which are set once
	lab *Lab
	err error
}

// shared is a package variable because nothing else lives as long as a test binary.
var shared process

// get returns the lab, which the first call starts.
func (p *process) get(ctx context.Context) (*Lab, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lab == nil && p.err == nil {
		p.lab, p.err = Start(ctx, Options{}) // ctx ends only the start, so the lab outlives the test that asks first
	}
	return p.lab, p.err
}

func (p *process) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lab == nil {
		return nil
	}
	return p.lab.Close()
}

// Main is a TestMain for packages that use For: it runs the tests and removes the lab, if one was
// started. Without it buildkitd still ends with the process, but its directory stays until the next
// start of a lab.
func Main(m *testing.M) {
	m.Run() // sets the exit status, which the testing package passes on
	if err := shared.close(); err != nil {
		fmt.Fprintf(os.Stderr, "stop the lab: %v\n", err)
	}
}

// Own returns a lab that only this test uses, for tests that prune or inspect the cache of the builder.
// It is closed when the test ends. The test is skipped if EnvNone is set.
func Own(t testing.TB) *Lab {
	t.Helper()
	if os.Getenv(EnvNone) != "" {
		t.Skipf("%s is set: skipping a test that needs a builder", EnvNone)
	}
	return own(t, Options{})
}

// own starts a lab that is closed when the test ends.
func own(t testing.TB, opts Options) *Lab {
	t.Helper()
	l, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatalf("no BuildKit to test with: %v\nset %s=1 to skip these tests", err, EnvNone)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("stop the lab: %v", err)
		}
	})
	return l
}

// NeedsEngine skips a test of the Docker Engine unless EnvEngine is set: the Engine takes long to compile, and most runs
// do without it.
func NeedsEngine(t testing.TB) {
	t.Helper()
	if os.Getenv(EnvEngine) == "" {
		t.Skip("this lab has no Docker Engine: run the tests through `labctl run --engine -- go test` (make test-engine)")
	}
}

// OwnEngine returns a lab with a Docker Engine that only this test uses, so that the test knows all that the Engine
// holds. It is closed when the test ends. The test is skipped unless EnvEngine is set.
func OwnEngine(t testing.TB) *Lab {
	t.Helper()
	NeedsEngine(t)
	return own(t, Options{Engine: true})
}

// OwnOldEngine is like OwnEngine, with an Engine that keeps images as those before Docker 29 do (Options.OldStore).
func OwnOldEngine(t testing.TB) *Lab {
	t.Helper()
	NeedsEngine(t)
	return own(t, Options{Engine: true, OldStore: true})
}

// For returns the lab that the tests of this process share: the one that EnvBuildKit names, else one that
// the first call starts and Main closes. The test is skipped if EnvNone is set. If no lab can be started, it fails
// with a message that says what to do.
func For(t testing.TB) *Lab {
	t.Helper()
	if os.Getenv(EnvNone) != "" {
		t.Skipf("%s is set: skipping a test that needs a builder", EnvNone)
	}
	if l, ok := Attach(); ok {
		return l
	}
	l, err := shared.get(t.Context())
	if err != nil {
		t.Fatalf("no BuildKit to test with: %v\n"+
			"run the tests through `go run ./internal/lab/labctl run -- go test ./...`,\n"+
			"set %s to the address of a buildkitd, or set %s=1 to skip these tests", err, EnvBuildKit, EnvNone)
	}
	return l
}

// Dir returns a new directory to send to a shared builder, with a name that no other has. It is removed
// when the test ends. BuildKit keeps one copy of all contexts whose directories have the same name, such
// as the 001 of [testing.T.TempDir], and updates it by size and time: if two tests write files of one
// size in one tick of the clock, it would build the wrong one (BuildKit: source/local).
func Dir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.ToLower(rand.Text()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
