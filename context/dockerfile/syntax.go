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

// A File is a Dockerfile as it is written: the stages and instructions, without variables
// expanded, and the lines of each. Suggestions and edits are made by it.
type File struct {
	Name    string        // as it is shown to the user
	Text    []byte        // must not be changed
	Escape  byte          // the line continuation and escape character, \ or `
	Syntax  string        // the frontend that `# syntax=` names; "" if there is none
	Globals []Instruction // the ARGs before the first FROM
	Stages  []Stage
}

// A Stage is a FROM and the instructions up to the next one.
type Stage struct {
	Index        int
	Name         string // in lower case, as BuildKit compares it; "" if it has none
	Base         string // as written: an image, or the name of an earlier stage
	BaseStage    int    // index of the stage that Base names, -1 for an image
	From         Instruction
	Instructions []Instruction // without FROM
	Lines        Lines         // from FROM to its last instruction
}

// An Instruction is one instruction of a Dockerfile.
type Instruction struct {
	Keyword string // in capitals
	// Text is the instruction as BuildKit names it: the keyword is in capitals,
	// continuation lines are joined, variables are not expanded, and of a RUN's
	// heredoc there is the first line only.
	Text  string
	Lines Lines // including heredocs
	// Comments are the comment lines directly above, which are taken to be about the
	// instruction. They are the zero Lines if there are none, and never include parser
	// directives.
	Comments Lines
	// Names are the variables that ARG or ENV declares, in order.
	Names []string
	// Vars are the same variables with their values.
	Vars []Variable
	// Flags are as written, such as "--chown=node:node".
	Flags []string
	// Value is the argument of WORKDIR and USER, "" for others.
	Value string
	// Shell is the command that SHELL sets.
	Shell []string
	// Command is what CMD, ENTRYPOINT or HEALTHCHECK starts; nil for others.
	Command *Command
	// Ports are those of EXPOSE, as written, sorted.
	Ports []string
	Copy  *Copy // of COPY and ADD; nil for others
	Run   *Run  // of RUN; nil for others
}

// A Variable is declared by ARG or ENV.
type Variable struct {
	Name string
	// Value is as written, without variables expanded. It may be a secret and must
	// never be shown.
	Value string
	// Set is false for an ARG without a default.
	Set bool
}

// A Command is what a container of the image runs.
type Command struct {
	// Args are the words of the list form; empty for the shell form, and for [].
	Args []string
	// Script is the command line of the shell form.
	Script string
	// None reports HEALTHCHECK NONE.
	None bool
}

// Whole returns the lines of the instruction and of its comments.
func (i Instruction) Whole() Lines {
	if i.Comments.From > 0 {
		return Lines{i.Comments.From, i.Lines.To}
	}
	return i.Lines
}

// A Copy has the arguments and flags of a COPY or ADD, without variables expanded.
type Copy struct {
	Sources  []string // without heredocs
	Heredocs int      // how many there are
	Dest     string
	From     string // of --from; "" stands for the build context
	Chown    string
	Chmod    string
	Link     bool
	Parents  bool
	Exclude  []string
	JSON     bool // the paths are written as a list, ["a", "b"]
}

// A Run has the command and the mounts of a RUN, without variables expanded.
type Run struct {
	// Script is the command line of the shell form, without flags, with continuation
	// lines joined; "" for the list form.
	Script   string
	Args     []string // the words of the list form
	Heredocs int      // how many there are
	// Given is the text that the shell executes: Script and the heredocs that it uses,
	// or the heredoc alone if Script is nothing else. It is "" for the list form, and
	// for a heredoc that names its interpreter (BuildKit: dockerfile2llb.dispatchRun).
	Given  string
	Mounts []Mount
	// offsets[i] is the offset of Script[i] in the file's text; nil if it is unknown.
	offsets []int
}

// Offset returns the offset in the file's text of byte i of the script, where i may be the
// script's length. It returns false if the script has a heredoc, and for the list form.
func (r *Run) Offset(i int) (int, bool) {
	if r.offsets == nil || i < 0 || i > len(r.offsets) || len(r.offsets) == 0 {
		return 0, false
	}
	if i == len(r.offsets) {
		return r.offsets[i-1] + 1, true
	}
	return r.offsets[i], true
}

// A Mount is a --mount of a RUN, without variables expanded. If one of a RUN's mounts cannot
// be read without the value of a variable, all of them are taken for bind mounts, of which
// only From is known.
type Mount struct {
	Type   string // bind, cache, tmpfs, secret or ssh
	From   string
	Source string
	Target string
}

// Parse returns the Dockerfile with this text. It refuses what BuildKit's parser refuses,
// with an [*Error] that has the line, and name as the file.
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

// parseInstruction returns the instruction of a node. Without a linter, BuildKit crashes on
// a `# check=skip=…` comment above it (linter.WithMergedConfig).
func parseInstruction(node *parser.Node) (any, error) {
	return instructions.ParseInstructionWithLinter(node, linter.New(&linter.Config{}))
}

// add adds the instruction of one node of the syntax tree.
func (f *File) add(node *parser.Node, src *source) error {
	cmd, err := parseInstruction(node)
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

// Args returns the names that ARG instructions declare, each once, in order.
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

// Predefined reports whether a build arg has an effect without an ARG that declares it: as
// a proxy for RUN, or on the frontend (BuildKit: dockerui.Client, llb.ProxyEnv).
func Predefined(arg string) bool {
	upper := strings.ToUpper(arg)
	return upper == "ALL_PROXY" || upper == "NO_PROXY" || upper == "HTTP_PROXY" || upper == "HTTPS_PROXY" || upper == "FTP_PROXY" ||
		strings.HasPrefix(arg, "BUILDKIT_") || arg == "SOURCE_DATE_EPOCH"
}

// Stage returns the index of the last stage with this name, in upper or lower case, or -1.
func (f *File) Stage(name string) int {
	for i := len(f.Stages) - 1; i >= 0; i-- {
		if f.Stages[i].Name != "" && strings.EqualFold(f.Stages[i].Name, name) {
			return i
		}
	}
	return -1
}

// StageOf returns the index of the stage that --from or a mount's from= names, by its name
// or number, or -1.
func (f *File) StageOf(from string) int {
	if n, err := strconv.Atoi(from); err == nil {
		if n >= 0 && n < len(f.Stages) {
			return n
		}
		return -1
	}
	return f.Stage(from)
}

// instruction returns the Instruction of a node of the syntax tree, which BuildKit parses
// as cmd.
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
			v := Variable{Name: a.Key, Set: a.Value != nil}
			if v.Set {
				v.Value = *a.Value
			}
			in.declare(v)
		}
	case *instructions.EnvCommand:
		for _, e := range c.Env {
			in.declare(Variable{e.Key, e.Value, true})
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

// declare adds a variable that the instruction declares.
func (i *Instruction) declare(v Variable) {
	i.Names, i.Vars = append(i.Names, v.Name), append(i.Vars, v)
}

// command returns the Command of a CMD or ENTRYPOINT.
func command(c instructions.ShellDependantCmdLine) *Command {
	if c.PrependShell {
		return &Command{Script: strings.Join(c.CmdLine, " ")}
	}
	return &Command{Args: c.CmdLine}
}

// health returns the Command of a HEALTHCHECK. Its first word says how the rest is run.
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

// run returns the Run of a RUN.
func (f *File) run(node *parser.Node, c *instructions.RunCommand, src *source) *Run {
	r := &Run{Heredocs: len(node.Heredocs)}
	// BuildKit reads mounts when it expands variables. If that fails, because the name of a
	// variable is no such type or option as its value is, all keep the default type.
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

// given returns Run.Given for a command line and its heredocs.
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

// syntaxError returns the Error for an error of BuildKit's parser.
func syntaxError(name string, err error) error {
	e := &Error{File: name}
	var located *parser.LocationError
	if errors.As(err, &located) && len(located.Locations) > 0 && len(located.Locations[0]) > 0 {
		e.Line = located.Locations[0][0].Start.Line
	}
	e.Err = errors.New(plainMessage(err))
	return e
}
