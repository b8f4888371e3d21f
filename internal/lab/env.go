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

// The environment that joins tests to a lab which runs already. labctl sets the first five, the Engine's where it runs one.
const (
	// EnvBuildKit is the address of the buildkitd that tests use, e.g. unix:///run/lab/buildkitd.sock.
	EnvBuildKit = "STOKER_TEST_BUILDKIT"
	// EnvRegistry is the host:port of the registry which that buildkitd takes for docker.io.
	EnvRegistry = "STOKER_TEST_REGISTRY"
	// EnvRoot is that buildkitd's root directory.
	EnvRoot = "STOKER_TEST_BUILDKIT_ROOT"
	// EnvEngine is the address of the Docker Engine that tests use, e.g. unix:///run/lab/docker.sock.
	EnvEngine = "STOKER_TEST_ENGINE"
	// EnvReal is "1" where the lab holds real images (Options.Real).
	EnvReal = "STOKER_TEST_REAL"
	// EnvNone, if not empty, skips every test that needs a builder. CI never sets it.
	EnvNone = "STOKER_TEST_NO_BUILDKIT"
	// EnvBin is a directory with buildkitd, buildctl and dockerfile-frontend (and buildx, and dockerd), used
	// in place of compiling them.
	EnvBin = "STOKER_LAB_BIN"
)

// Env returns the variables, as NAME=value, by which another process's tests use this lab.
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

// process is the lab of this process's tests.
type process struct {
	mu  sync.Mutex // guards lab and err, which are set once
	lab *Lab
	err error
}

// shared is a variable of the package because nothing else lives as long as a test binary.
var shared process

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

// Own returns a lab of the test's own, for what must not be shared: a builder whose cache
// is pruned, or looked into. It ends with the test.
func Own(t testing.TB) *Lab {
	t.Helper()
	if os.Getenv(EnvNone) != "" {
		t.Skipf("%s is set: skipping a test that needs a builder", EnvNone)
	}
	return own(t, Options{})
}

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

// NeedsEngine skips a test of the Docker Engine where no lab with one was asked for (EnvEngine): it takes long to
// compile, and most runs do without.
func NeedsEngine(t testing.TB) {
	t.Helper()
	if os.Getenv(EnvEngine) == "" {
		t.Skip("this lab has no Docker Engine: run the tests through `labctl run --engine -- go test` (make test-engine)")
	}
}

// OwnEngine returns a lab of the test's own with a Docker Engine: a test of one wants to know all that it holds.
// Without EnvEngine it skips the test.
func OwnEngine(t testing.TB) *Lab {
	t.Helper()
	NeedsEngine(t)
	return own(t, Options{Engine: true})
}

// OwnOldEngine is that with an Engine that keeps images as those before Docker 29 do (Options.OldStore).
func OwnOldEngine(t testing.TB) *Lab {
	t.Helper()
	NeedsEngine(t)
	return own(t, Options{Engine: true, OldStore: true})
}

// For returns the lab that the tests of this process share: the one named by EnvBuildKit, else one
// started for this process, which ends with it (see Main). Where there can be none the test fails and says what
// to do; it is skipped only where EnvNone says so.
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

// Dir returns a new directory, removed when the test ends, to send to a builder that tests share. Its
// name is unlike any other's. BuildKit keeps one copy of the contexts whose directories have one name,
// such as the 001 of [testing.T.TempDir], and brings that up to date by size and time: of two files
// that tests write in one tick of the clock it would build the wrong one (BuildKit: source/local).
func Dir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.ToLower(rand.Text()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
