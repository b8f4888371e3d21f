package dockerfile_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/stokerd/stoker/context/dockerfile"
)

var update = flag.Bool("update", false, "rewrite the expected plans in testdata/convert")

// TestConvert holds the plan of each scenario in testdata/convert against the
// one written there. A scenario is a directory (the build context), a file
// `options` of lines
//
//	dockerfile NAME      where the Dockerfile is, Dockerfile unless said
//	dir NAME             the context directory, the root of the archive unless said
//	inline               the Dockerfile's text comes from the definition
//	target STAGE, arg K=V, platform P, remote URL
//	context NAME=VALUE   a directory of the archive, or an address
//	image REF JSON       an image that the resolver knows
//	kept REF JSON        the same, of which it has what may be kept
//	linked NAME=FILE     another build, of that Dockerfile, to start from as target:NAME
//	shown FILE           the Dockerfile as it may be shown
//
// and a file `want` (see format).
func TestConvert(t *testing.T) {
	files, err := filepath.Glob("testdata/convert/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := newScenario(t, archive)
			got := s.convert(t)
			if *update {
				archive.Files[s.want].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[s.want].Data), got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// A scenario is one archive, unpacked.
type scenario struct {
	root   string
	in     dockerfile.Input
	images images
	shown  string
	want   int // index of the file `want`
}

func newScenario(t *testing.T, archive *txtar.Archive) *scenario {
	t.Helper()
	s := &scenario{root: t.TempDir(), images: images{}, want: -1}
	s.in = dockerfile.Input{
		Dockerfile: filepath.Join(s.root, "Dockerfile"), Context: s.root,
		Args: map[string]string{}, NamedContexts: map[string]string{},
	}
	inline := false
	for i, f := range archive.Files {
		switch f.Name {
		case "want":
			s.want = i
		case "options":
			for line := range strings.Lines(string(f.Data)) {
				inline = s.option(t, strings.TrimSpace(line)) || inline
			}
		default:
			name := filepath.Join(s.root, filepath.FromSlash(f.Name))
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if s.want < 0 {
		t.Fatal("the archive has no file `want`")
	}
	if s.shown != "" {
		text, err := os.ReadFile(s.shown)
		if err != nil {
			t.Fatal(err)
		}
		s.in.Shown = text
	}
	if inline {
		text, err := os.ReadFile(s.in.Dockerfile)
		if err != nil {
			t.Fatal(err)
		}
		s.in.Text = text
		if err := os.Remove(s.in.Dockerfile); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// option sets what line says and reports whether it is `inline`.
func (s *scenario) option(t *testing.T, line string) (inline bool) {
	t.Helper()
	word, rest, _ := strings.Cut(line, " ")
	key, value, _ := strings.Cut(rest, "=")
	switch word {
	case "":
	case "inline":
		return true
	case "dockerfile":
		s.in.Dockerfile = filepath.Join(s.root, filepath.FromSlash(rest))
	case "dir":
		s.in.Context = filepath.Join(s.root, filepath.FromSlash(rest))
	case "target":
		s.in.Target = rest
	case "arg":
		s.in.Args[key] = value
	case "platform":
		s.in.Platforms = append(s.in.Platforms, rest)
	case "remote":
		s.in.Context, s.in.RemoteContext = "", rest
	case "context":
		if !strings.Contains(value, ":") {
			value = filepath.Join(s.root, filepath.FromSlash(value))
		}
		s.in.NamedContexts[key] = value
	case "linked":
		if s.in.Linked == nil {
			s.in.Linked = map[string]dockerfile.Input{}
		}
		linked := s.in
		linked.Dockerfile, linked.Linked = filepath.Join(s.root, value), maps.Clone(s.in.Linked)
		s.in.Linked[key] = linked
		s.in.NamedContexts = map[string]string{}
	case "shown":
		s.shown = filepath.Join(s.root, rest)
	case "image":
		ref, config, _ := strings.Cut(rest, " ")
		s.images[ref] = config
	case "kept":
		ref, config, _ := strings.Cut(rest, " ")
		s.images[ref] = keptMark + config
	default:
		t.Fatalf("unknown option %q", line)
	}
	return false
}

func (s *scenario) convert(t *testing.T) string {
	t.Helper()
	plan, err := dockerfile.Convert(t.Context(), s.in, s.images)
	if err != nil {
		return "error " + strings.ReplaceAll(err.Error(), s.root+string(filepath.Separator), "") + "\n"
	}
	// What the builder's own platform is depends on the machine.
	return strings.ReplaceAll(format(plan), "linux/"+runtime.GOARCH, "native")
}

const keptMark = "kept "

// images is a resolver that knows configurations by reference.
type images map[string]string

func (i images) Resolve(_ context.Context, ref, _ string) (dockerfile.Image, error) {
	config, ok := i[ref]
	if !ok {
		return dockerfile.Image{}, dockerfile.ErrUnknownImage
	}
	if config, ok := strings.CutPrefix(config, keptMark); ok {
		return dockerfile.Remember("linux/amd64", dockerfile.Image{Config: []byte(config)}.Keep())
	}
	return dockerfile.Image{Config: []byte(config)}, nil
}

// format writes a plan as lines: each step with what it extends and reads
// below it, then what is asked of the client, the images and the warnings.
func format(p *dockerfile.Plan) string {
	var b strings.Builder
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%d: %s\n   line %s, stage %q, %d of %d, %s", i, s.Name, s.Lines, s.Stage, s.Index, s.Total, s.Keyword)
		flags := []struct {
			set  bool
			word string
		}{{s.OnBuild, ", onbuild"}, {s.Final, ", final"}, {s.Platform != "", ", platform " + s.Platform}, {s.Base >= 0, ", on " + strconv.Itoa(s.Base)}}
		for _, f := range flags {
			if f.set {
				b.WriteString(f.word)
			}
		}
		if len(s.Parents) > 0 {
			fmt.Fprintf(&b, ", needs %v", s.Parents)
		}
		b.WriteByte('\n')
		for _, t := range s.Takes {
			fmt.Fprintf(&b, "   takes %s of %s to %s%s\n", t.Path, t.Local, t.Dest, takeFlags(t))
		}
		for _, t := range s.From {
			fmt.Fprintf(&b, "   from %d %s to %s", t.Step, t.Path, t.Dest)
			if t.Mount {
				b.WriteString(", mounted")
			}
			b.WriteByte('\n')
		}
	}
	for _, r := range p.Requests {
		follow := "everything"
		if r.FollowPaths != nil {
			follow = fmt.Sprintf("%q", r.FollowPaths)
		}
		fmt.Fprintf(&b, "request %s: %s", r.Local, follow)
		if len(r.Excludes) > 0 {
			fmt.Fprintf(&b, " without %q", r.Excludes)
		}
		b.WriteByte('\n')
	}
	for _, base := range p.Bases {
		fmt.Fprintf(&b, "base %s on %s, line %d\n", base.Ref, base.Platform, base.Line)
	}
	for _, ref := range p.Assumed {
		fmt.Fprintf(&b, "assumed %s\n", ref)
	}
	for _, ref := range p.Remembered {
		fmt.Fprintf(&b, "remembered %s\n", ref)
	}
	if p.Syntax != "" {
		fmt.Fprintf(&b, "syntax %s\n", p.Syntax)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning %d: %s\n", w.Line, w.Message)
	}
	return b.String()
}

func takeFlags(t dockerfile.Take) string {
	var b strings.Builder
	if t.Mount {
		b.WriteString(", mounted")
	}
	if len(t.Include) > 0 {
		fmt.Fprintf(&b, ", only %q", t.Include)
	}
	if len(t.Exclude) > 0 {
		fmt.Fprintf(&b, ", without %q", t.Exclude)
	}
	return b.String()
}

// TestDefinition holds that a step's definition changes with the step and with
// the variables that it sees, and not with what stands above it.
func TestDefinition(t *testing.T) {
	definitions := func(text string) map[string]string {
		p, err := dockerfile.Convert(t.Context(), dockerfile.Input{Dockerfile: "Dockerfile", Text: []byte(text), Context: t.TempDir()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		byText := map[string]string{}
		for _, s := range p.Steps {
			byText[s.Instruction] = s.Definition
		}
		return byText
	}
	before := definitions("FROM a\nRUN one\nARG V=1\nRUN two\nCOPY --link x /x\n")
	after := definitions("FROM a\nARG V=1\nRUN one\nRUN new\nRUN two\nCOPY --link x /x\n")
	for text, same := range map[string]bool{"RUN one": false, "RUN two": true, "COPY --link x /x": true} {
		if (before[text] == after[text]) != same || before[text] == "" {
			t.Errorf("%s: %q became %q", text, before[text], after[text])
		}
	}
}
