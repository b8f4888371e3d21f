package suggest

import (
	"slices"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/replay"
)

// A Memory keeps what follows from a Dockerfile, proposed texts of it and the contexts of its builds,
// whichever of these is asked about: what a RUN reads and writes, where links may be, which
// instructions may change places. It is for inputs with the same Name of the File, the same Commits and
// the same Builds, told apart by Name, in any order. It is for one goroutine at a time.
type Memory struct {
	ids      map[string]int // of builds, by name
	files    map[string]*dockerfile.File
	views    map[viewOf]*stageView
	ways     map[seen][]way // of waysIn
	sights   map[seen]sight // of look
	widened  map[widening]wider
	landings map[seen][]string
	pairs    map[pair]bool   // of independent
	loads    map[string]load // what COPYs take: see scale.load
	history  *replay.History
}

// NewMemory returns an empty memory.
func NewMemory() *Memory {
	return &Memory{
		ids: map[string]int{}, files: map[string]*dockerfile.File{}, views: map[viewOf]*stageView{},
		ways: map[seen][]way{}, sights: map[seen]sight{}, widened: map[widening]wider{}, landings: map[seen][]string{}, pairs: map[pair]bool{}, loads: map[string]load{},
	}
}

// A seen is an instruction of a stage in one build; at is 0 for the stage as a whole.
type seen struct {
	view      *stageView
	build, at int
}

// idOf returns the id of a build.
func (m *Memory) idOf(b Build) int {
	id, ok := m.ids[b.Name]
	if !ok {
		id = len(m.ids) + 1
		m.ids[b.Name] = id
	}
	return id
}

// read sets what works out the states of steps over the commits.
func (m *Memory) read(commits *changes.Log) {
	if m.history == nil {
		m.history = replay.NewHistory(commits)
	}
}

// parse is dockerfile.Parse for a text of the Dockerfile.
func (in Input) parse(text []byte) (*dockerfile.File, error) {
	if in.shared == nil {
		return dockerfile.Parse(in.File.Name, text)
	}
	f, ok := in.shared.files[string(text)]
	if !ok {
		var err error
		if f, err = dockerfile.Parse(in.File.Name, text); err != nil {
			return nil, err
		}
		in.shared.files[string(text)] = f
	}
	return f, nil
}

// A viewOf is a stage of a file, and what its view has from the builds: the files of a context, and
// the defaults of ARGs.
type viewOf struct {
	file  *dockerfile.File
	stage int
	files string // as of Build.Files
	build int    // the id of the build whose context it is, if files does not tell; else 0
	given bool
	whole bool // with the instructions of the base stages
}

// view returns a stage's view with the context of the first build.
func (in Input) view(st dockerfile.Stage) *stageView { return in.viewIn(in.Builds[0], st) }

// viewIn returns a stage's view with the context of a build.
func (in Input) viewIn(b Build, st dockerfile.Stage) *stageView {
	return in.remembered(st, viewWith(b), func() *stageView {
		v := newStageView(in.File, st)
		v.context = b.Context
		return v
	})
}

// likely returns a stage's view with the context of the first build in which an ARG has its default
// value unless a build sets it.
func (in Input) likely(st dockerfile.Stage) *stageView {
	if !slices.ContainsFunc(st.Instructions, func(ins dockerfile.Instruction) bool { return ins.Keyword == "ARG" }) {
		return in.view(st)
	}
	with := viewWith(in.Builds[0])
	with.given = true
	return in.remembered(st, with, func() *stageView {
		v := viewFor(in.File, st, in.Builds)
		v.context = in.Builds[0].Context
		return v
	})
}

// bare returns a stage's view without a context, in which the values of ARGs are not known.
func (in Input) bare(st dockerfile.Stage) *stageView {
	return in.remembered(st, viewOf{}, func() *stageView { return newStageView(in.File, st) })
}

// viewWith returns what tells views with the context of a build from others.
func viewWith(b Build) viewOf {
	if b.Files != "" {
		return viewOf{files: b.Files}
	}
	return viewOf{build: b.id}
}

// remembered returns the view that was made of a stage before, or builds it. The stage is as in the file
// or, without a base stage, has the instructions of its base stages as well. Another is not remembered.
func (in Input) remembered(st dockerfile.Stage, key viewOf, build func() *stageView) *stageView {
	own := in.File.Stages[st.Index]
	as := own.Instructions
	if key.whole = own.BaseStage != st.BaseStage; key.whole {
		as = instructionsOf(in.File, st.Index)
	}
	if in.shared == nil || len(as) != len(st.Instructions) || key.whole && st.BaseStage >= 0 {
		return build()
	}
	key.file, key.stage = in.File, st.Index
	v, ok := in.shared.views[key]
	if !ok {
		v = build()
		in.shared.views[key] = v
	}
	return v
}

// everyCommand is [everyCommand] for instruction i, a RUN. The answer must not be changed in place.
func (v *stageView) everyCommand(i int) ([]command, bool) {
	a, ok := v.commands[i]
	if !ok {
		a.list, a.known = everyCommand(v.stage.Instructions[i].Run, v.shell[i])
		a.list = slices.Clip(a.list)
		if v.commands == nil {
			v.commands = map[int]commands{}
		}
		v.commands[i] = a
	}
	return a.list, a.known
}

// A commands is an answer of everyCommand.
type commands struct {
	list  []command
	known bool
}
