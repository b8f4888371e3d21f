package cache_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/cache"
	"github.com/stokerd/stoker/context/dockerfile"
)

// A made is a build of a Dockerfile with one stage, in which each instruction that
// executes is one operation on the one before.
type made struct {
	dockerfile string
	args       map[string]string
	image      string            // digest of the base image
	files      map[string]string // digest of what the step with this text takes; "?…" is a gap
	env        map[string]string // of RUN
	outcomes   string            // a letter per step: hit, executed, cascaded, failed, skipped
	noCache    []string
	hosts      string // of RUN
	bare       bool   // nothing is kept of it
}

// build returns the n-th build.
func (m made) build(t *testing.T, n int) cache.Build {
	t.Helper()
	lines, err := dockerfile.Outline([]byte(m.dockerfile))
	if err != nil {
		t.Fatal(err)
	}
	plain := func(value string) string { return value }
	e := cache.Evidence{Dockerfile: cache.OutlineOf(lines, plain), Args: m.args, NoCache: m.noCache}
	b := cache.Build{Record: cache.Record{
		Builder: "docker", Ref: fmt.Sprint("build", n), Repository: "/shop", Definition: "api", Status: cache.Completed,
		Completed: time.Date(2026, 5, 1, 12, n, 0, 0, time.UTC),
	}}
	total := 0
	for _, l := range lines {
		if l.Keyword == "FROM" || m.executes(l) {
			total++
		}
	}
	key := ""
	for _, l := range lines {
		if l.Keyword == "FROM" {
			e.Operations = append(e.Operations, cache.Operation{
				Definition: cache.Definition{Source: "docker-image", Image: m.image, Digest: m.image}, Key: m.image, Fate: cache.Loaded, Line: l.Number,
			})
			key = m.image
		}
		if !m.executes(l) {
			continue
		}
		i := len(b.Steps)
		op := cache.Operation{Definition: m.definition(l), Steps: []int{i}, Line: l.Number, Inputs: []cache.Intake{{Operation: len(e.Operations) - 1}}}
		key += "|" + op.Digest
		if files, ok := m.files[l.Text]; ok {
			local := cache.Intake{Operation: 0, Local: "context", Content: files, Taken: "tree-" + files}
			if gap, unknown := strings.CutPrefix(files, "?"); unknown {
				local = cache.Intake{Operation: 0, Local: "context", Unknown: cache.Gap(gap)}
				key = "?"
			}
			op.Inputs, key = append(op.Inputs, local), key+files
		}
		if !strings.HasPrefix(key, "?") {
			op.Key = key
		}
		outcome := map[byte]cache.Outcome{'h': cache.Hit, 'e': cache.Executed, 'c': cache.Cascaded, 'f': cache.Failed, 's': cache.Skipped}[m.outcomes[i]]
		op.Fate = map[cache.Outcome]cache.Fate{cache.Hit: cache.Loaded, cache.Executed: cache.Made, cache.Cascaded: cache.Made}[outcome]
		e.Operations = append(e.Operations, op)
		b.Steps = append(b.Steps, cache.Step{Name: fmt.Sprintf("[%d/%d] %s", i+2, total, l.Text), Index: i + 2, Total: total, Line: l.Number, Outcome: outcome})
	}
	if !m.bare {
		b.Evidence = &e
	}
	return b
}

func (m made) executes(l dockerfile.Line) bool {
	return slices.Contains([]string{"RUN", "COPY", "WORKDIR"}, l.Keyword)
}

// definition has the traits that a builder's operation has: what RUN sees of the
// environment, and instructions with the values of args.
func (m made) definition(l dockerfile.Line) cache.Definition {
	text := l.Text
	for name, value := range m.args {
		text = strings.ReplaceAll(text, "$"+name, value)
	}
	kind := map[string]dockerfile.TraitKind{"RUN": dockerfile.CommandTrait, "COPY": dockerfile.DestinationTrait, "WORKDIR": dockerfile.WorkDirTrait}[l.Keyword]
	command := strings.Replace(text, "--mount=type=secret,id=s ", "", 1)
	d := cache.Definition{Digest: text, Traits: []cache.Trait{{Kind: kind, ID: "0", Digest: command}}}
	if l.Keyword == "RUN" {
		for _, name := range slices.Sorted(maps.Keys(m.env)) {
			shown := name
			if strings.HasPrefix(name, "BASE") {
				shown = "" // no instruction names it
			}
			d.Traits = append(d.Traits, cache.Trait{Kind: dockerfile.VariableTrait, Name: shown, ID: name, Digest: m.env[name]})
			d.Digest += name + m.env[name]
		}
		d.Traits = append(d.Traits, cache.Trait{Kind: dockerfile.OptionTrait, ID: "0", Digest: m.hosts})
		d.Digest += m.hosts
		if strings.Contains(text, "type=secret") {
			d.Traits = append(d.Traits, cache.Trait{Kind: dockerfile.SecretTrait, ID: "0", Digest: "mount"})
		}
	}
	return d
}

func TestExplain(t *testing.T) {
	const app = "FROM node:20\nCOPY src /src\nRUN make\n"
	src := func(state string) map[string]string { return map[string]string{"COPY src /src": state} }
	first := made{dockerfile: app, image: "i1", files: src("a"), outcomes: "ec"}
	none := cache.Explanation{}
	cascade := cache.Explanation{Causes: []cache.Cause{{Kind: cache.ByInput, Step: 0}}}
	against := func(ref string, causes ...cache.Cause) cache.Explanation {
		return cache.Explanation{Causes: causes, Against: ref}
	}
	for _, tt := range []struct {
		name   string
		builds []made // the last one is explained
		want   []cache.Explanation
	}{
		{"first", []made{first}, []cache.Explanation{against("", cache.Cause{Kind: cache.ByFirst}), cascade}},
		{
			"new since the build before one that failed",
			[]made{
				{dockerfile: "FROM node:20\nRUN make\n", image: "i1", outcomes: "e"},
				{dockerfile: "FROM node:20\nRUN make\nRUN test\n", image: "i1", outcomes: "hf"},
				{dockerfile: "FROM node:20\nRUN make\nRUN test\n", image: "i1", outcomes: "he"},
			},
			[]cache.Explanation{none, against("build0", cache.Cause{Kind: cache.ByDockerfile, Step: 1, Line: 3, After: "RUN test"})},
		},
		{"hit", []made{first, {dockerfile: app, image: "i1", files: src("a"), outcomes: "hh"}}, []cache.Explanation{none, none}},
		{
			"file", []made{first, {dockerfile: app, image: "i1", files: src("b"), outcomes: "ec"}},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByFiles, Name: "context", TakenBefore: "tree-a", TakenAfter: "tree-b"}), cascade},
		},
		{
			"pruned", []made{first, {dockerfile: app, image: "i1", files: src("b"), outcomes: "ec"}, {dockerfile: app, image: "i1", files: src("a"), outcomes: "ec"}},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByGone, Made: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}), cascade},
		},
		{
			"no cache", []made{first, {dockerfile: app, image: "i1", files: src("a"), outcomes: "ec", noCache: []string{cache.AllStages}}},
			[]cache.Explanation{against("", cache.Cause{Kind: cache.ByNoCache}), cascade},
		},
		{
			"base", []made{first, {dockerfile: app, image: "i2", files: src("a"), outcomes: "ec"}},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByBase, Line: 1, Name: "FROM node:20", Before: "i1", After: "i2"}), cascade},
		},
		{
			"another base", []made{first, {dockerfile: strings.Replace(app, "20", "22", 1), image: "i2", files: src("a"), outcomes: "ec"}},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByDockerfile, Line: 1, Before: "FROM node:20", After: "FROM node:22"}), cascade},
		},
		{
			"edit", []made{first, {dockerfile: strings.Replace(app, "make", "make all", 1), image: "i1", files: src("a"), outcomes: "he"}},
			[]cache.Explanation{none, against("build0", cache.Cause{Kind: cache.ByDockerfile, Step: 1, Line: 3, Before: "RUN make", After: "RUN make all"})},
		},
		{
			"removed above", []made{
				{dockerfile: "FROM node:20\nRUN prepare\nRUN make\n", image: "i1", outcomes: "ec"}, {dockerfile: "FROM node:20\nRUN make\n", image: "i1", outcomes: "e"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByDockerfile, Before: "RUN prepare"})},
		},
		{
			"inserted", []made{first, {dockerfile: strings.Replace(app, "RUN", "WORKDIR /w\nRUN", 1), image: "i1", files: src("a"), outcomes: "hec"}},
			[]cache.Explanation{none, against("build0", cache.Cause{Kind: cache.ByDockerfile, Step: 1, Line: 3, After: "WORKDIR /w"}), {Causes: []cache.Cause{{Kind: cache.ByInput, Step: 1}}}},
		},
		{
			"arg", []made{
				{dockerfile: "FROM x\nARG V=1\nRUN make\n", image: "i", env: map[string]string{"V": "1"}, outcomes: "e"},
				{dockerfile: "FROM x\nARG V=1\nRUN make\n", image: "i", env: map[string]string{"V": "2"}, args: map[string]string{"V": "2"}, outcomes: "e"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByArg, Name: "V", Line: 2, How: cache.GivenNow})},
		},
		{
			"default of a global arg", []made{
				{dockerfile: "ARG V=1\nFROM x\nARG V\nRUN make\n", image: "i", env: map[string]string{"V": "1"}, outcomes: "e"},
				{dockerfile: "ARG V=2\nFROM x\nARG V\nRUN make\n", image: "i", env: map[string]string{"V": "2"}, outcomes: "e"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByArg, Name: "V", Line: 1, How: cache.Edited})},
		},
		{
			"options, and an epoch that RUN does not have", []made{
				{dockerfile: "FROM x\nRUN make\n", image: "i", args: map[string]string{"SOURCE_DATE_EPOCH": "5"}, outcomes: "e"},
				{dockerfile: "FROM x\nRUN make\n", image: "i", hosts: "a:1.2.3.4", outcomes: "e"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByOptions})},
		},
		{
			"arg in an instruction", []made{
				{dockerfile: "FROM x\nARG D\nWORKDIR /$D\n", image: "i", args: map[string]string{"D": "a"}, outcomes: "e"},
				{dockerfile: "FROM x\nARG D\nWORKDIR /$D\n", image: "i", args: map[string]string{"D": "b"}, outcomes: "e"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByArg, Name: "D", Line: 2, How: cache.GivenOther})},
		},
		{
			"env", []made{
				{dockerfile: "FROM x\nENV V=1\nRUN make\n", image: "i", env: map[string]string{"V": "1"}, outcomes: "e"},
				{dockerfile: "FROM x\nENV V=2\nRUN make\n", image: "i", env: map[string]string{"V": "2"}, outcomes: "e"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByEnv, Name: "V", Line: 2, How: cache.Edited})},
		},
		{
			"env of an arg", []made{
				{dockerfile: "FROM x\nARG A\nENV V=$A\nRUN make\n", image: "i", args: map[string]string{"A": "1"}, env: map[string]string{"V": "1"}, outcomes: "e"},
				{dockerfile: "FROM x\nARG A\nENV V=$A\nRUN make\n", image: "i", env: map[string]string{"V": ""}, outcomes: "e"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByEnv, Name: "V", Line: 3, How: cache.Derived, Through: "A"})},
		},
		{
			"env of the base image", []made{
				{dockerfile: "FROM x\nRUN make\n", image: "i1", env: map[string]string{"BASE": "1"}, outcomes: "e"},
				{dockerfile: "FROM x\nRUN make\n", image: "i2", env: map[string]string{"BASE": "2"}, outcomes: "e"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByBase, Line: 1, Name: "FROM x", Before: "i1", After: "i2"})},
		},
		{
			"secret", []made{
				{dockerfile: "FROM x\nRUN make\n", image: "i", outcomes: "e"},
				{dockerfile: "FROM x\nRUN --mount=type=secret,id=s make\n", image: "i", outcomes: "e"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.BySecret, Line: 2, Before: "RUN make", After: "RUN --mount=type=secret,id=s make"})},
		},
		{
			"uncertain", []made{first, {dockerfile: app, image: "i1", files: src("?moving"), outcomes: "ec"}},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByUnknown, Name: "context", Gap: cache.Moving}), cascade},
		},
		{
			"uncertain before, and known before that", []made{first, {dockerfile: app, image: "i1", files: src("?moving"), outcomes: "ec"}, {dockerfile: app, image: "i1", files: src("c"), outcomes: "ec"}},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByFiles, Name: "context", TakenBefore: "tree-a", TakenAfter: "tree-c"}), cascade},
		},
		{
			"the nearest tells", []made{
				first,
				{dockerfile: strings.Replace(app, "20", "22", 1), image: "i2", files: src("a"), outcomes: "ec"},
				{dockerfile: app, image: "i1", files: src("b"), outcomes: "ec"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByFiles, Name: "context", TakenBefore: "tree-a", TakenAfter: "tree-b"}), cascade},
		},
		{
			"built on what hit", []made{
				{dockerfile: app, image: "i1", files: src("a"), outcomes: "ec"},
				{dockerfile: strings.Replace(app, "make", "other", 1), image: "i1", files: src("b"), outcomes: "ec"},
				{dockerfile: app, image: "i1", files: src("b"), outcomes: "he"},
			},
			[]cache.Explanation{none, against("build1", cache.Cause{Kind: cache.ByDockerfile, Step: 1, Line: 3, Before: "RUN other", After: "RUN make"})},
		},
		{
			"a failed build has no result", []made{
				first, {dockerfile: app, image: "i1", files: src("b"), outcomes: "es", bare: true}, {dockerfile: app, image: "i1", files: src("b"), outcomes: "ec"},
			},
			[]cache.Explanation{against("build0", cache.Cause{Kind: cache.ByFiles, Name: "context", TakenBefore: "tree-a", TakenAfter: "tree-b"}), cascade},
		},
		{
			"nothing kept before", []made{{dockerfile: app, image: "i1", outcomes: "ec", bare: true}, first},
			[]cache.Explanation{against("", cache.Cause{Kind: cache.ByUnknown, Gap: cache.NoEvidence, Earlier: true}), cascade},
		},
		{
			"nothing kept", []made{first, {dockerfile: app, image: "i1", outcomes: "ec", bare: true}},
			[]cache.Explanation{against("", cache.Cause{Kind: cache.ByUnknown, Gap: cache.NoEvidence}), {Causes: []cache.Cause{{Kind: cache.ByInput, Step: -1}}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var builds cache.Builds
			for n, m := range tt.builds {
				builds = append(builds, m.build(t, n))
			}
			last := builds[len(builds)-1]
			earlier := builds[:len(builds)-1]
			slices.Reverse(earlier)
			if d := cmp.Diff(tt.want, cache.Explain(last, earlier, nil)); d != "" {
				t.Errorf("explanations (-want +got):\n%s", d)
			}
		})
	}
}

// A variable that is made of itself again and again, as PATH is, is followed to the
// end once.
func TestExplainVariableOfItself(t *testing.T) {
	const times = 60
	text := "FROM x\nARG A\nENV P=$A\n" + strings.Repeat("ENV P=$P:/bin\n", times) + "RUN make\n"
	before := made{dockerfile: text, image: "i", args: map[string]string{"A": "1"}, env: map[string]string{"P": "1"}, outcomes: "e"}.build(t, 0)
	b := made{dockerfile: text, image: "i", args: map[string]string{"A": "2"}, env: map[string]string{"P": "2"}, outcomes: "e"}.build(t, 1)
	want := []cache.Cause{{Kind: cache.ByEnv, Name: "P", Line: 3 + times, How: cache.Derived, Through: "P"}}
	if d := cmp.Diff(want, cache.Explain(b, cache.Builds{before}, nil)[0].Causes); d != "" {
		t.Errorf("explanations (-want +got):\n%s", d)
	}
}

// Another build can be asked for than the one that tells most.
func TestExplainAgainst(t *testing.T) {
	m := made{dockerfile: "FROM x\nCOPY src /src\n", image: "i1", files: map[string]string{"COPY src /src": "a"}, outcomes: "e"}
	old := m.build(t, 0)
	m.image = "i2"
	m.files = map[string]string{"COPY src /src": "b"}
	before := m.build(t, 1)
	m.files = map[string]string{"COPY src /src": "c"}
	b := m.build(t, 2)
	got := cache.Explain(b, cache.Builds{before, old}, &old)[0]
	var kinds []cache.CauseKind
	for _, c := range got.Causes {
		kinds = append(kinds, c.Kind)
	}
	if got.Against != "build0" || !slices.Equal(kinds, []cache.CauseKind{cache.ByBase, cache.ByFiles}) {
		t.Errorf("against the older build: %+v, want its image and its files, against build0", got)
	}
	again := m.build(t, 3)
	if got := cache.Explain(again, cache.Builds{old}, &b)[0]; got.Causes[0].Kind != cache.ByGone {
		t.Errorf("against a build of the same: %+v, want the cause %q", got, cache.ByGone)
	}
}

// What another stage was made of does not matter where it came out equal.
func TestExplainStageThatCameOutEqual(t *testing.T) {
	at := func(n int, gen, src string, fates ...cache.Fate) cache.Build {
		step := func(i int, outcome cache.Outcome, name string) cache.Step {
			return cache.Step{Name: name, Index: i, Total: 4, Outcome: outcome}
		}
		taken := func(files string) cache.Intake {
			return cache.Intake{Local: "context", Content: files, Taken: "tree-" + files}
		}
		op := func(i int, does, key string, inputs ...cache.Intake) cache.Operation {
			return cache.Operation{Definition: cache.Definition{Digest: does}, Key: key, Fate: fates[i], Steps: []int{i}, Inputs: inputs}
		}
		outcome := map[cache.Fate]cache.Outcome{cache.Made: cache.Executed, cache.Loaded: cache.Hit}
		return cache.Build{
			Record: cache.Record{Ref: fmt.Sprint("build", n), Steps: []cache.Step{
				step(2, outcome[fates[0]], "[gen 2/2] COPY gen /gen"), step(2, outcome[fates[1]], "[3/4] COPY --from=gen /out /out"), step(3, outcome[fates[2]], "[4/4] COPY src /src"),
			}},
			Evidence: &cache.Evidence{Operations: []cache.Operation{
				op(0, "gen", "gen"+gen, taken(gen)),
				op(1, "from", "from"+gen, cache.Intake{Operation: 0}),
				op(2, "src", "src"+gen+src, cache.Intake{Operation: 1}, taken(src)),
			}},
		}
	}
	before := at(0, "a", "a", cache.Made, cache.Made, cache.Made)
	b := at(1, "b", "b", cache.Made, cache.Loaded, cache.Made)
	want := []cache.Cause{{Kind: cache.ByFiles, Step: 2, Name: "context", TakenBefore: "tree-a", TakenAfter: "tree-b"}}
	if d := cmp.Diff(want, cache.Explain(b, cache.Builds{before}, nil)[2].Causes); d != "" {
		t.Errorf("explanations (-want +got):\n%s", d)
	}
}

// counted counts whose evidence is asked for.
type counted struct {
	cache.Builds
	asked map[int]bool
}

func (c counted) Evidence(i int) *cache.Evidence {
	c.asked[i] = true
	return c.Builds.Evidence(i)
}

// Of a hundred builds, the evidence of those is read that are compared.
func TestExplainReadsWhatItCompares(t *testing.T) {
	m := made{dockerfile: "FROM x\nCOPY src /src\nRUN make\n", image: "i1", outcomes: "ec"}
	var builds cache.Builds
	for n := range 100 {
		m.files = map[string]string{"COPY src /src": fmt.Sprint("state", n)}
		builds = append(builds, m.build(t, n))
	}
	last := builds[99]
	earlier := counted{builds[:99], map[int]bool{}}
	slices.Reverse(earlier.Builds)
	if got := cache.Explain(last, earlier, nil); got[0].Against != "build98" || len(earlier.asked) != 10 {
		t.Errorf("read the evidence of %d builds, want 10; explained %+v, want it against build98", len(earlier.asked), got[0])
	}
}

// TestExplainOtherShape: the Dockerfile is not blamed where it has not changed, although the
// steps of two builds are made of each other in other ways.
func TestExplainOtherShape(t *testing.T) {
	shape := func(text string, args map[string]string, n int, onBase bool) cache.Build {
		b := made{dockerfile: text, args: args, image: "a", outcomes: "he"}.build(t, n)
		if onBase { // the last step works on the image that the stage starts from
			b.Evidence.Operations[2].Inputs[0].Operation = 0
		}
		b.Evidence.Operations[2].Key = fmt.Sprint("key", n)
		return b
	}
	for _, tt := range []struct {
		name, text string
		args       [2]map[string]string
		want       cache.Cause
	}{
		{
			"what was worked out does not fit", "FROM node:20\nCOPY src /src\nRUN make\n", [2]map[string]string{},
			cache.Cause{Kind: cache.ByUnknown, Step: 1, Gap: cache.Unmatched, Earlier: true},
		}, {
			"an ARG says what FROM names", "ARG B=node\nFROM $B\nCOPY src /src\nRUN make\n", [2]map[string]string{{"B": "one"}, {"B": "two"}},
			cache.Cause{Kind: cache.ByArg, Step: 1, Name: "B", Line: 1, How: cache.GivenOther},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, after := shape(tt.text, tt.args[0], 1, true), shape(tt.text, tt.args[1], 2, false)
			got := cache.Explain(after, cache.Builds{before}, nil)[1].Causes
			if d := cmp.Diff([]cache.Cause{tt.want}, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
