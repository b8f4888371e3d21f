package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/scaffold"
)

type initOptions struct {
	*options
	lang, base, main, entry, health string
	port                            int
	noPort                          bool
	all, dryRun, force, json        bool
}

func newInit(o *options) *cobra.Command {
	i := &initOptions{options: o}
	cmd := &cobra.Command{
		Use:   "init [DIR…]",
		Short: "Write a Dockerfile and an ignore file for a Node.js, Python or Go app",
		Long: `Write a Dockerfile and an ignore file for the app in this folder, or in each DIR:
stages for dependencies, build and run, cache mounts, a small base image, a user
other than root. Package manager, version, entry and port are read from the
project's own files, and what was found is shown.

Nothing is written over unless --force is given. Where something cannot be told it
is asked on a terminal; elsewhere the message names the flag.`,
		RunE: func(cmd *cobra.Command, args []string) error { return i.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.StringVar(&i.lang, "lang", "", "only apps in this `language`: node, python or go")
	f.StringVar(&i.base, "base", "", "`kind` of base image: slim, alpine, distroless or scratch")
	f.StringVar(&i.main, "main", "", "of a Go module, the `folder` of package main; its Dockerfile goes beside go.mod")
	f.StringVar(&i.entry, "entry", "", "what is started: a `file`, a Python module, or MODULE:OBJECT")
	f.IntVar(&i.port, "port", 0, "the `port` that the app listens on")
	f.BoolVar(&i.noPort, "no-port", false, "the app listens nowhere: no health check")
	f.StringVar(&i.health, "health", "", "the `path` that the health check asks for")
	f.BoolVar(&i.all, "all", false, "every app below the folder")
	f.BoolVar(&i.dryRun, "dry-run", false, "print the files instead of writing them")
	f.BoolVar(&i.force, "force", false, "write over files that are there")
	f.BoolVar(&i.json, "json", false, "print JSON")
	return cmd
}

// check returns an error if flags exclude each other, or have a value that is not known.
func (i *initOptions) check() error {
	switch {
	case i.lang != "" && !slices.Contains(scaffold.Languages(), scaffold.Language(i.lang)):
		return usage("", "there is no language %q here; known are node, python and go", i.lang)
	case i.base != "" && !slices.Contains(scaffold.Bases(), scaffold.Base(i.base)):
		return usage("", "there is no base %q; known are slim, alpine, distroless and scratch", i.base)
	case i.port < 0 || i.port > 65535:
		return usage("", "%d is no port", i.port)
	case i.noPort && i.port != 0:
		return usage("", "--port and --no-port exclude each other")
	case i.health != "" && (!strings.HasPrefix(i.health, "/") || strings.ContainsAny(i.health, "'\"\\ $\n")):
		return usage("stoker init --health /healthz", "--health takes a path of the app, as in /healthz")
	case i.all && (i.main != "" || i.entry != ""):
		return usage("", "--all takes the apps as they are found: --main and --entry are about one")
	}
	return nil
}

func (i *initOptions) run(ctx context.Context, args []string) error {
	if err := i.check(); err != nil {
		return err
	}
	dir, err := project.Root(ctx, i.Dir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // only read, or written and synced
	apps, err := i.chosen(root, dir, args)
	if err != nil {
		return err
	}
	answer := api.Init{Schema: api.InitSchema, DryRun: i.dryRun}
	var files []scaffold.Files
	for _, app := range apps {
		app, f, err := i.complete(app)
		if err != nil {
			return err
		}
		files = append(files, f)
		answer.Apps = append(answer.Apps, initApp(app, f))
	}
	if !i.dryRun {
		if err := scaffold.Save(root, files, i.force); err != nil {
			var exists *scaffold.ExistsError
			if errors.As(err, &exists) {
				return usage("--force writes over it, --dry-run shows what would be written", "%v", err)
			}
			return err
		}
	}
	if i.json {
		return i.out.json(answer)
	}
	i.print(shown(answer), answer)
	return nil
}

// complete returns app with what the flags choose, and its files, which are not
// written yet. It asks the user for the entry if neither the app nor a flag tells it.
func (i *initOptions) complete(app scaffold.App) (scaffold.App, scaffold.Files, error) {
	c := scaffold.Choice{Base: scaffold.Base(i.base), Port: i.port, Entry: i.entry, Health: i.health, Main: i.main != ""}
	if i.noPort {
		c.Port = -1
	}
	if app.Entry == "" && c.Entry == "" {
		answer, ok := i.ask(fmt.Sprintf("What does %s start? A file, relative to %s:", app.Name, app.Dir))
		if !ok {
			return app, scaffold.Files{}, usage("stoker init --entry FILE", "%s: nothing tells what it starts", app.Name)
		}
		c.Entry = answer
	}
	app, err := app.Choose(c)
	if err != nil {
		return app, scaffold.Files{}, usage("", "%s: %v", app.Name, err)
	}
	files, err := app.Write(c.Base)
	if err != nil {
		return app, files, usage("", "%s: %v", app.Name, err)
	}
	return app, files, nil
}

// chosen returns the apps that the arguments, the flags or the user name.
func (i *initOptions) chosen(root *os.Root, dir string, args []string) ([]scaffold.App, error) {
	found, err := scaffold.Detect(root.FS(), ".", filepath.Base(dir))
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(a scaffold.App) bool {
		return i.lang != "" && string(a.Language) != i.lang ||
			i.main != "" && (a.Language != scaffold.Go || a.Entry != path.Clean(filepath.ToSlash(i.main)))
	})
	if len(args) == 0 {
		args = []string{"."}
	}
	var chosen []scaffold.App
	for _, arg := range args {
		rel, err := i.relative(dir, arg)
		if err != nil {
			return nil, err
		}
		list, err := i.below(found, rel)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, list...)
	}
	return chosen, nil
}

// relative returns the path of a folder that an argument names, relative to the root of
// the repository and with slashes. It must exist and be below the root.
func (i *initOptions) relative(root, arg string) (string, error) {
	full := arg
	if !filepath.IsAbs(full) {
		full = filepath.Join(i.Dir, arg)
	}
	if info, err := os.Stat(full); err != nil || !info.IsDir() {
		return "", usage("", "there is no folder %s", arg)
	}
	// The root may have been found through a link.
	for _, at := range []*string{&root, &full} {
		if real, err := filepath.EvalSymlinks(*at); err == nil {
			*at = real
		}
	}
	rel, err := filepath.Rel(root, full)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", usage("", "%s lies outside of the repository", arg)
	}
	return filepath.ToSlash(rel), nil
}

// below returns the apps of found that are meant by the folder rel: its own or, if it
// has none or with --all, those below it. If there are several without --all, the user
// is asked for one.
func (i *initOptions) below(found []scaffold.App, rel string) ([]scaffold.App, error) {
	var own, under []scaffold.App
	for _, a := range found {
		if a.Dir == rel {
			own = append(own, a)
		}
		if rel == "." || a.Dir == rel || strings.HasPrefix(a.Dir, rel+"/") {
			under = append(under, a)
		}
	}
	list := under
	if len(own) > 0 && !i.all {
		list = own
	}
	switch {
	case len(list) == 0:
		return nil, usage("it looks for package.json, go.mod, requirements.txt, pyproject.toml and Pipfile with something to start",
			"there is no app of Node.js, Python or Go in %s", rel)
	case i.all || len(list) == 1:
		return list, nil
	}
	var names []string
	for n, a := range list {
		names = append(names, fmt.Sprintf("%d  %s: %s, %s", n+1, a.Dir, a.Language, a.Name))
	}
	answer, ok := i.ask("Which app?\n" + strings.Join(names, "\n") + "\nA number, or all:")
	if !ok {
		return nil, usage("stoker init DIR, or --all; --lang and --main tell apps of one folder apart",
			"there are %d apps here:\n%s", len(list), strings.Join(names, "\n"))
	}
	if answer == "all" {
		return list, nil
	}
	n, err := strconv.Atoi(answer)
	if err != nil || n < 1 || n > len(list) {
		return nil, usage("", "%q is none of them", answer)
	}
	return list[n-1 : n], nil
}

// ask puts a question to the user on the terminal. It returns false if there is no
// terminal, or if the answer is empty.
func (i *initOptions) ask(question string) (string, bool) {
	in, ok := i.Stdin.(*os.File)
	if !ok || i.json || !term.IsTerminal(int(in.Fd())) || i.err.height == 0 {
		return "", false
	}
	lines := strings.Split(question, "\n")
	for n, line := range lines {
		lines[n] = visible(line, nil)
	}
	i.err.printf("%s ", strings.Join(lines, "\n"))
	line, err := bufio.NewReader(in).ReadString('\n')
	answer := strings.TrimSpace(line)
	return answer, err == nil && answer != ""
}

// initApp returns an app and its files as the API has them.
func initApp(a scaffold.App, f scaffold.Files) api.InitApp {
	app := api.InitApp{
		Name: a.Name, Dir: a.Dir, Context: a.Context, Language: string(a.Language), Version: a.Version, Tool: a.Tool, Framework: a.Framework,
		Base: string(f.Base), Entry: a.Entry, Port: a.Port, Hints: f.Hints,
		Files: []api.InitFile{{Path: f.Dockerfile, Text: string(f.DockerfileText)}, {Path: f.Ignore, Text: string(f.IgnoreText)}},
	}
	if a.Port != 0 {
		app.Health = a.Health
	}
	for _, e := range a.Evidence {
		app.Evidence = append(app.Evidence, api.InitEvidence{Path: e.Path, Says: e.Says})
	}
	return app
}

// print prints what was found and written. answer is [shown]; raw is not, and has the
// texts of the files. With --dry-run the files go to stdout and all else to stderr.
func (i *initOptions) print(answer, raw api.Init) {
	to := i.out
	if i.dryRun {
		to = i.err
	}
	for n, a := range answer.Apps {
		title := []string{a.Language + " " + a.Version, a.Tool, a.Framework, "on " + a.Base, "starts " + a.Entry}
		if a.Port != 0 {
			title = append(title, fmt.Sprintf("port %d", a.Port))
		}
		title = slices.DeleteFunc(title, func(s string) bool { return s == "" || s == a.Language })
		to.line(to.bold(a.Name), " "+strings.Join(title, ", "))
		for _, e := range a.Evidence {
			if e.Path == "" {
				to.line("  " + to.dim(e.Says))
			} else {
				to.line("  " + to.dim("found "+e.Path+": ") + e.Says)
			}
		}
		for _, f := range raw.Apps[n].Files {
			if i.dryRun {
				i.out.line("# ---- " + visible(f.Path, nil) + " ----")
				i.out.printf("%s", f.Text)
			} else {
				to.line(to.good("wrote"), visible(f.Path, nil))
			}
		}
		for _, hint := range a.Hints {
			i.hint("%s", hint)
		}
	}
	if !i.dryRun && len(raw.Apps) == 1 {
		a := raw.Apps[0]
		i.hint("docker build -t %s -f %s %s", a.Name, a.Files[0].Path, a.Context)
	}
}
