// Package archtest holds the architecture as a test: which package may import
// which, who may import a heavy dependency, and what is not done anywhere.
//
// The tables in this file are the rules, each with its reason. A new package
// fails the test until it has a place in [Levels].
package archtest

// module is the path before every package of the project.
const module = "github.com/stokerd/stoker"

// Level places a package: it imports only packages of a lower level.
type Level struct {
	// Package is relative to the module.
	Package string
	// Number is the level; 0 imports nothing of the project.
	Number int
	// Reason says why it stands there.
	Reason string
}

// Levels returns every package of the project and its level.
func Levels() []Level {
	return []Level{
		{"watcher", 0, "knows nothing of Docker or of stoker, so that it can be tested alone"},
		{"context/ignore", 0, "the meaning of an ignore file depends on nothing of ours"},
		{"context/dockerfile", 0, "wraps BuildKit's frontend and nothing else"},
		{"internal/api", 0, "wire structs, shared by everything that speaks"},
		{"internal/config", 0, "read before anything else exists"},
		{"internal/version", 0, "asked by everything that speaks"},
		{"internal/ipc", 0, "the socket, whatever is said over it"},
		{"internal/git", 0, "runs git safely for whoever needs it"},
		{"internal/probe", 0, "what runs inside of a container that is tested: nothing but the standard library"},
		{"context", 1, "joins the ignore file and the Dockerfile to a selection of files"},
		{"context/secrets", 2, "reads the files of a selection"},
		{"context/content", 2, "digests of the files of a selection"},
		{"cache", 2, "the pure model of what a build reuses, over plans and trees"},
		{"internal/changes", 1, "reads git's history through internal/git"},
		{"internal/effects", 0, "a table of what commands read and write, and its look-up"},
		{"internal/checkout", 2, "makes trees of what git holds"},
		{"internal/replay", 2, "pure arithmetic over change sets, for suggestions and for `stoker replay`"},
		{"internal/discover", 2, "makes definitions from files and configuration"},
		{"cache/buildkit", 3, "gives records of the model"},
		{"cache/store", 3, "keeps records of the model"},
		{"internal/suggest", 3, "pure rules over plans, records and change sets"},
		{"internal/image", 3, "analysis of images, beside the model"},
		{"internal/scan", 3, "runs scanners over an image, beside its analysis"},
		{"internal/scaffold", 3, "templates that follow the rules' advice"},
		{"internal/ledger", 4, "joins what the builder tells with what the files are"},
		{"internal/metrics", 3, "counts records of the model"},
		{"cache/prewarm", 4, "decides over what builder, store and model tell it"},
		{"internal/verify", 4, "builds through cache/buildkit"},
		{"internal/smoke", 4, "runs images through cache/buildkit"},
		{"internal/report", 4, "the only place that turns the domain into wire structs"},
		{"internal/server", 4, "handlers over an interface; knows no daemon"},
		{"internal/client", 4, "the other end of internal/server"},
		{"internal/web", 4, "a page over the wire structs"},
		{"internal/advise", 4, "gathers what internal/suggest looks at, for the daemon and the one-shot commands"},
		{"internal/project", 3, "one repository's picture, for the daemon and the one-shot commands"},
		{"internal/daemon", 5, "composition root of the background process"},
		{"internal/cli", 6, "composition root of the commands; may run the daemon"},
		{"cmd/stoker", 7, "main only"},
		{"internal/bench", 8, "benchmarks only"},
		{"internal/e2e", 9, "for tests only: drives the built program"},
		{"internal/lab", 8, "for tests only: nothing of the product may import it"},
		{"internal/lab/labctl", 9, "the lab's own command"},
		{"internal/randtest", 8, "for tests only: how many cases random suites try"},
		{"internal/archtest", 8, "for tests only"},
	}
}

// Restriction says who may import some packages outside of tests.
type Restriction struct {
	// Imports are import paths; one that ends in /... covers all below it,
	// and the path itself.
	Imports []string
	// By are the packages that may, relative to the module.
	By []string
	// Reason says why no other may.
	Reason string
}

// Restrictions returns who alone may import what. The lab is free of them: it
// is not part of the product.
func Restrictions() []Restriction {
	return []Restriction{
		{
			[]string{"github.com/fsnotify/fsnotify/..."},
			[]string{"watcher"}, "events differ by platform, and one package evens that out",
		},
		{
			[]string{module + "/watcher"},
			[]string{"internal/daemon"}, "everything else works without watching",
		},
		{
			[]string{"github.com/moby/patternmatcher/..."},
			[]string{"context/ignore", "context/content"},
			"one reading of ignore files; and a digest of what patterns select asks them as BuildKit's checksum does, parents apart",
		},
		{
			[]string{
				"github.com/moby/buildkit/frontend/dockerfile/...",
				"github.com/moby/buildkit/frontend/dockerui/...",
				"github.com/moby/buildkit/frontend/subrequests/...",
				"github.com/moby/buildkit/solver/llbsolver/ops/...",
			},
			[]string{"context/dockerfile"}, "one reading of Dockerfiles, and one place to follow BuildKit's versions",
		},
		{
			[]string{
				"github.com/moby/buildkit/frontend/gateway/...",
				"github.com/moby/buildkit/client/llb/...",
				"github.com/moby/buildkit/solver/...",
			},
			[]string{"context/dockerfile", "cache/buildkit"},
			"the language of requests to a builder: one package reads definitions in it, the other one solves and reads records",
		},
		{
			[]string{
				"github.com/moby/buildkit/client",
				"github.com/moby/buildkit/client/connhelper/...",
				"github.com/moby/buildkit/api/...",
				"github.com/moby/buildkit/session/...",
				"github.com/moby/moby/...",
			},
			[]string{"cache/buildkit"}, "one place talks to builders, and keeps what is not allowed from them",
		},
		{
			[]string{"go.etcd.io/bbolt/..."},
			[]string{"cache/store"}, "one owner of the file format",
		},
		{
			[]string{"github.com/zricethezav/gitleaks/v8/...", "github.com/BobuSumisu/aho-corasick"},
			[]string{"context/secrets"}, "one place handles secrets",
		},
		{
			[]string{"github.com/compose-spec/compose-go/v2/..."},
			[]string{"internal/discover"}, "one place reads a stranger's compose files, with nothing fetched",
		},
		{
			[]string{"github.com/docker/buildx/...", "github.com/hashicorp/hcl/v2/...", "github.com/zclconf/go-cty/..."},
			[]string{"internal/discover"}, "one place evaluates a stranger's bake files, within bounds",
		},
		{
			[]string{"github.com/goccy/go-yaml/..."},
			[]string{"internal/config", "internal/discover", "internal/image", "internal/scaffold", "internal/suggest"},
			"only files that people write are YAML; discover needs its positions, image reads dive's limits, scaffold and suggest pnpm's workspaces",
		},
		{
			[]string{"github.com/google/go-containerregistry/..."},
			[]string{"internal/image"}, "one place asks registries, with the user's credentials",
		},
		{
			[]string{"github.com/prometheus/client_golang/..."},
			[]string{"internal/metrics"}, "one place decides what is counted, and with which labels",
		},
		{
			[]string{"github.com/spf13/cobra/...", "charm.land/lipgloss/v2/..."},
			[]string{"internal/cli"}, "the terminal belongs to the commands",
		},
	}
}

// Ban is a function that is not called.
type Ban struct {
	// Import is the package's path, Names are its functions.
	Import string
	Names  []string
	// InTests bans it in test files only; else tests are free.
	InTests bool
	// Reason says what to do instead.
	Reason string
}

// Bans returns the functions that only a command's main package may call.
func Bans() []Ban {
	return []Ban{
		{"os", []string{"Exit"}, false, "return an error: only main ends the process"},
		{"log", []string{"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"}, false, "return an error: only main ends the process"},
		{"context", []string{"Background", "TODO"}, false, "take the caller's context, so that it can be cancelled"},
		{"time", []string{"Sleep"}, true, "wait for the event, or use testing/synctest, whose clock it may move"},
	}
}

// Limits of size and documentation.
const (
	// maxLines is the hard limit of a file; 400 is the aim.
	maxLines = 500
	// minDocumented is the share of exported symbols with a comment, in percent.
	minDocumented = 95
)
