package dockerfile

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// A File is a Dockerfile as it is written: its stages and instructions with
// the lines that each takes, for suggestions and edits. Variables are not
// expanded.
type File struct {
	Name    string        // as it should be shown
	Text    []byte        // not to be changed
	Escape  byte          // the line continuation and escape character, \ or `
	Syntax  string        // the frontend that `# syntax=` names; "" without
	Globals []Instruction // the ARGs before the first FROM
	Stages  []Stage
}

// A Stage is a FROM and what follows it up to the next.
type Stage struct {
	Index        int
	Name         string // in lower case, as BuildKit compares it; "" if it has none
	Base         string // as written: an image, or the name of an earlier stage
	BaseStage    int    // index of the stage that Base names, -1 for an image
	From         Instruction
	Instructions []Instruction // without FROM
	Lines        Lines         // from FROM to its last instruction
}

// An Instruction is one instruction and the lines that it takes.
type Instruction struct {
	Keyword string // in capitals
	// Text is the instruction as BuildKit names it: keyword in capitals,
	// continuation lines joined, variables as written, a RUN's heredoc by its first line.
	Text  string
	Lines Lines // heredocs included
	// Comments are the comment lines directly above, which belong to it; the
	// zero Lines if there are none. Parser directives are not among them.
	Comments Lines
	// Names are the variables that ARG or ENV declares.
	Names []string
	// Vars are the same with what is written for them, in order.
	Vars []Variable
	// Flags are written as in the file: "--chown=node:node".
	Flags []string
	// Value is the argument of WORKDIR and USER, "" for others.
	Value string
	// Shell is the command that SHELL sets.
	Shell []string
	// Command is what CMD, ENTRYPOINT or HEALTHCHECK starts; nil for others.
	Command *Command
	// Ports are those of EXPOSE, sorted, as written.
	Ports []string
	Copy  *Copy // of COPY and ADD
	Run   *Run  // of RUN
}

// A Variable is one that ARG or ENV declares.
type Variable struct {
	Name string
	// Value is as written, unexpanded. It may be a secret: never show it.
	Value string
	// Set is false for an ARG that has no default.
	Set bool
}

// A Command is what an image starts.
type Command struct {
	// Args are the words of the list form; empty in the shell form, and for [].
	Args []string
	// Script is the command line of the shell form.
	Script string
	// None reports HEALTHCHECK NONE.
	None bool
}

// Whole returns the instruction's lines with the comments that belong to it.
func (i Instruction) Whole() Lines {
	if i.Comments.From > 0 {
		return Lines{i.Comments.From, i.Lines.To}
	}
	return i.Lines
}

// A Copy is what a COPY or ADD takes and where it puts it, unexpanded.
type Copy struct {
	Sources  []string // without heredocs
	Heredocs int
	Dest     string
	From     string // of --from; "" takes from the build context
	Chown    string
	Chmod    string
	Link     bool
	Parents  bool
	Exclude  []string
	JSON     bool // written as a list, ["a", "b"]
}

// A Run is what a RUN executes.
type Run struct {
	// Script is the command line, continuation lines joined, without flags; for
	// the list form, whose words are Args, it is empty.
	Script   string
	Args     []string
	Heredocs int
	// Given is what the shell is given: Script, and with it the text of heredocs;
	// where a heredoc is all of it, that alone. It is empty for the list form, and
	// for a heredoc that names its interpreter (BuildKit: dockerfile2llb.dispatchRun).
	Given  string
	Mounts []Mount
	// offsets[i] is where Script[i] stands in the file's text; nil if unknown.
	offsets []int
}

// Offset returns where byte i of the script stands in the file's text; i may be
// the script's length. It reports false for a script with a heredoc, or in the
// list form.
func (r *Run) Offset(i int) (int, bool) {
	if r.offsets == nil || i < 0 || i > len(r.offsets) || len(r.offsets) == 0 {
		return 0, false
	}
	if i == len(r.offsets) {
		return r.offsets[i-1] + 1, true
	}
	return r.offsets[i], true
}

// A Mount is a --mount of a RUN, unexpanded. Where a variable stands for its
// type or for a flag it is read as a plain bind mount, which assumes the most.
type Mount struct {
	Type   string // bind, cache, tmpfs, secret or ssh
	From   string
	Source string
	Target string
}

// Parse reads a Dockerfile for its source text. name is used in errors, which
// are [*Error] with the line: what BuildKit's parser refuses is refused here.
func Parse(name string, text []byte) (*File, error) {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, syntaxError(name, err)
	}
	f := &File{Name: name, Text: text, Escape: byte(parsed.EscapeToken)}
	f.Syntax, _, _, _ = parser.DetectSyntax(text)
	src := newSource(text)
	for _, node := range parsed.AST.Children {
		if err := f.add(node, src); err != nil {
			return nil, syntaxError(name, err)
		}
	}
	if len(f.Stages) == 0 {
		return nil, &Error{File: name, Err: errors.New("no build stage"), Hint: "start it with FROM"}
	}
	return f, nil
}

// add appends what node stands for.
func (f *File) add(node *parser.Node, src *source) error {
	// Without a linter of its own BuildKit crashes on a `# check=skip=…` comment
	// (linter.WithMergedConfig).
	cmd, err := instructions.ParseInstructionWithLinter(node, linter.New(&linter.Config{}))
	if err != nil {
		return err
	}
	in := f.instruction(node, cmd, src)
	if from, ok := cmd.(*instructions.Stage); ok {
		f.Stages = append(f.Stages, Stage{
			Index: len(f.Stages), Name: from.Name, Base: from.BaseName, BaseStage: f.Stage(from.BaseName),
			From: in, Lines: in.Lines,
		})
		return nil
	}
	if len(f.Stages) == 0 {
		if _, ok := cmd.(*instructions.ArgCommand); !ok {
			return parser.WithLocation(errors.New("no build stage in current context"), node.Location())
		}
		f.Globals = append(f.Globals, in)
		return nil
	}
	st := &f.Stages[len(f.Stages)-1]
	st.Instructions = append(st.Instructions, in)
	st.Lines.To = in.Lines.To
	return nil
}

// Args returns the names of all ARG instructions, in their order.
func (f *File) Args() []string {
	var names []string
	add := func(list []Instruction) {
		for _, in := range list {
			for _, name := range in.Names {
				if in.Keyword == "ARG" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	add(f.Globals)
	for _, st := range f.Stages {
		add(st.Instructions)
	}
	return names
}

// Predefined reports a build arg that has an effect without an ARG: on the network of
// RUN, or on the frontend (BuildKit: dockerui.Client, llb.ProxyEnv).
func Predefined(arg string) bool {
	upper := strings.ToUpper(arg)
	return upper == "ALL_PROXY" || upper == "NO_PROXY" || upper == "HTTP_PROXY" || upper == "HTTPS_PROXY" || upper == "FTP_PROXY" ||
		strings.HasPrefix(arg, "BUILDKIT_") || arg == "SOURCE_DATE_EPOCH"
}

// Stage returns the index of the stage of that name, in any case, or -1.
func (f *File) Stage(name string) int {
	// A later stage of the same name hides an earlier one.
	for i := len(f.Stages) - 1; i >= 0; i-- {
		if f.Stages[i].Name != "" && strings.EqualFold(f.Stages[i].Name, name) {
			return i
		}
	}
	return -1
}

// StageOf resolves the argument of --from and of a mount's from=: a name as for
// [File.Stage], or a stage's number.
func (f *File) StageOf(from string) int {
	if n, err := strconv.Atoi(from); err == nil {
		if n >= 0 && n < len(f.Stages) {
			return n
		}
		return -1
	}
	return f.Stage(from)
}

// instruction describes one node of the syntax tree.
func (f *File) instruction(node *parser.Node, cmd any, src *source) Instruction {
	in := Instruction{
		Keyword: strings.ToUpper(node.Value),
		Text:    instructionText(node),
		Lines:   Lines{node.StartLine, node.EndLine},
		Flags:   node.Flags,
	}
	in.Comments = src.commentsAbove(in.Lines.From)
	switch c := cmd.(type) {
	case *instructions.CopyCommand:
		in.Copy = &Copy{
			Sources: c.SourcePaths, Heredocs: len(c.SourceContents), Dest: c.DestPath, From: c.From, Chown: c.Chown,
			Chmod: c.Chmod, Link: c.Link, Parents: c.Parents, Exclude: c.ExcludePatterns, JSON: node.Attributes["json"],
		}
	case *instructions.AddCommand:
		in.Copy = &Copy{
			Sources: c.SourcePaths, Heredocs: len(c.SourceContents), Dest: c.DestPath, Chown: c.Chown,
			Chmod: c.Chmod, Link: c.Link, Exclude: c.ExcludePatterns, JSON: node.Attributes["json"],
		}
	case *instructions.RunCommand:
		in.Run = f.run(node, c, src)
	case *instructions.WorkdirCommand:
		in.Value = c.Path
	case *instructions.UserCommand:
		in.Value = c.User
	case *instructions.ShellCommand:
		in.Shell = c.Shell
	case *instructions.ArgCommand:
		for _, a := range c.Args {
			in.Names = append(in.Names, a.Key)
			v := Variable{Name: a.Key, Set: a.Value != nil}
			if v.Set {
				v.Value = *a.Value
			}
			in.Vars = append(in.Vars, v)
		}
	case *instructions.EnvCommand:
		for _, e := range c.Env {
			in.Names = append(in.Names, e.Key)
			in.Vars = append(in.Vars, Variable{e.Key, e.Value, true})
		}
	case *instructions.CmdCommand:
		in.Command = command(c.ShellDependantCmdLine)
	case *instructions.EntrypointCommand:
		in.Command = command(c.ShellDependantCmdLine)
	case *instructions.HealthCheckCommand:
		in.Command = health(c)
	case *instructions.ExposeCommand:
		in.Ports = c.Ports
	}
	return in
}

// command describes what CMD or ENTRYPOINT starts.
func command(c instructions.ShellDependantCmdLine) *Command {
	if c.PrependShell {
		return &Command{Script: strings.Join(c.CmdLine, " ")}
	}
	return &Command{Args: c.CmdLine}
}

// health describes a HEALTHCHECK, whose first word says how the rest is run.
func health(c *instructions.HealthCheckCommand) *Command {
	if c.Health == nil || len(c.Health.Test) == 0 {
		return &Command{}
	}
	switch test := c.Health.Test; test[0] {
	case "NONE":
		return &Command{None: true}
	case "CMD-SHELL":
		return &Command{Script: strings.Join(test[1:], " ")}
	default:
		return &Command{Args: test[1:]}
	}
}

// run describes a RUN.
func (f *File) run(node *parser.Node, c *instructions.RunCommand, src *source) *Run {
	r := &Run{Heredocs: len(node.Heredocs)}
	// BuildKit reads mounts only when it expands variables; one that hangs on
	// them keeps its default type.
	_ = c.Expand(func(word string) (string, error) { return word, nil })
	for _, m := range instructions.GetMounts(c) {
		r.Mounts = append(r.Mounts, Mount{Type: string(m.Type), From: m.From, Source: m.Source, Target: m.Target})
	}
	if !c.PrependShell {
		r.Args = c.CmdLine
		return r
	}
	if node.Next != nil {
		r.Script = node.Next.Value
	}
	r.Given = given(r.Script, c.Files)
	if r.Heredocs == 0 {
		r.offsets = src.offsets(node, f.Escape, r.Script)
	}
	return r
}

// given joins a command line and its heredocs.
func given(script string, docs []instructions.ShellInlineFile) string {
	if len(docs) > 0 && parser.MustParseHeredoc(script) != nil {
		text := docs[0].Data
		if docs[0].Chomp {
			text = parser.ChompHeredocContent(text)
		}
		if strings.HasPrefix(text, "#!") {
			return ""
		}
		return text
	}
	for _, d := range docs {
		script += "\n" + d.Data + d.Name
	}
	return script
}

// syntaxError gives a parse error the shape that users see.
func syntaxError(name string, err error) error {
	e := &Error{File: name}
	var located *parser.LocationError
	if errors.As(err, &located) && len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
		e.Line = located.Locations[0][0].Start.Line
	}
	e.Err = errors.New(plainMessage(err))
	return e
}
