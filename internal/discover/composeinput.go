package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
)

// composeInput mediates between compose's loader and the file system for one project: it
// decides which files may be read, and records files and variables that are used.
type composeInput struct {
	*finder
	main    string            // main file, relative to the repository
	blamed  string            // file that an error is about, if it is not main
	dirs    []string          // of the files read so far: an include is relative to one of them
	unset   map[string]bool   // names of variables without a value or default
	values  map[string]bool   // values of variables that were used; no message may contain one
	written map[string]string // by text with variables expanded: the text as written
}

// newComposeInput returns the input of the project with a main file, relative to the
// repository.
func newComposeInput(f *finder, main string) *composeInput {
	return &composeInput{
		finder: f, main: main, dirs: []string{filepath.Join(f.root, filepath.FromSlash(path.Dir(main)))},
		unset: map[string]bool{}, values: map[string]bool{}, written: map[string]string{},
	}
}

// load reads the project, with paths relative to dir. Files for running services (env_file,
// label_file) are not read, and what only matters then is not checked.
func (in *composeInput) load(ctx context.Context, dir string, files []string) (*types.Project, error) {
	details := types.ConfigDetails{WorkingDir: dir}
	if !slices.Contains(in.dirs, dir) {
		in.dirs = append(in.dirs, dir)
	}
	for _, rel := range files {
		data, err := in.readFile(rel)
		if err != nil {
			return nil, fmt.Errorf("cannot be read: %s", reason(err))
		}
		if err := vetIncludes(data); err != nil {
			return nil, err
		}
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{
			Filename: filepath.Join(in.root, filepath.FromSlash(rel)), Content: data,
		})
	}
	env, err := in.environment(filepath.Join(dir, ".env"))
	if err != nil {
		return nil, err
	}
	details.Environment = env
	return loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		name := loader.NormalizeProjectName(filepath.Base(dir))
		if name == "" {
			name = "stoker" // any name will do: no build depends on it
		}
		o.SetProjectName(name, true)
		o.Profiles = []string{"*"}
		o.SkipConsistencyCheck = true
		o.SkipResolveEnvironment = true
		o.SkipResolveLabels = true
		o.ResourceLoaders = []loader.ResourceLoader{in}
		o.Interpolate.Substitute = in.substitute
	})
}

// environment returns the variables of the .env file and of the caller, which win.
func (in *composeInput) environment(file string) (types.Mapping, error) {
	in.read(file)
	env := types.Mapping{}
	err := regular(file)
	if err == nil {
		var values map[string]string
		// Errors of the parser quote the line, which may hold a secret.
		if values, err = dotenv.GetEnvFromFile(in.options.Env, []string{file}); err != nil {
			err = errors.New("is not a list of NAME=value lines")
		}
		maps.Copy(env, values)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		in.blamed = in.rel(file)
		return nil, fmt.Errorf("cannot be read: %s", reason(err))
	}
	maps.Copy(env, in.options.Env)
	return env, nil
}

// substitute expands the variables in a text, and records it if that changes it.
func (in *composeInput) substitute(text string, lookup template.Mapping) (string, error) {
	expanded, err := template.SubstituteWithOptions(text, func(name string) (string, bool) {
		value, ok := lookup(name)
		if ok {
			in.values[value] = true
		}
		return value, ok
	}, template.WithoutLogging, template.WithReplacementFunction(in.replace))
	if plain := strings.ReplaceAll(text, "$$", "$"); plain != expanded {
		in.written[expanded] = plain
	}
	return expanded, err
}

// replace expands one reference as compose does, and records the name of a variable that
// has neither a value nor a default.
func (in *composeInput) replace(reference string, lookup template.Mapping, cfg *template.Config) (string, error) {
	value, known, err := template.DefaultReplacementAppliedFunc(reference, lookup, cfg)
	if name := strings.Trim(reference, "${}"); err == nil && !known && !strings.HasPrefix(reference, "$$") && name != "" {
		in.unset[name] = true
	}
	return value, err
}

// Accept implements loader.ResourceLoader. The loader asks it about every file that an
// include or extends names. It accepts those that must not be read, so that Load can
// refuse them; the others are left to compose's own loader of local files.
func (in *composeInput) Accept(file string) bool {
	return in.refusal(file) != nil
}

// Load implements loader.ResourceLoader. It returns the reason not to read the file.
func (in *composeInput) Load(_ context.Context, file string) (string, error) {
	return "", in.refusal(file)
}

// Dir implements loader.ResourceLoader. It is never called, as Load always fails.
func (in *composeInput) Dir(string) string { return "" }

// refusal returns why a file must not be read, or nil if it may.
func (in *composeInput) refusal(file string) error {
	if strings.Contains(file, "://") || strings.HasPrefix(file, "git@") || strings.HasPrefix(file, "oci:") || strings.HasPrefix(file, "github.com/") {
		return fmt.Errorf("%s is remote, and stoker fetches nothing to read a repository", file)
	}
	places := []string{file}
	if !filepath.IsAbs(file) {
		places = places[:0]
		for _, dir := range in.dirs {
			places = append(places, filepath.Join(dir, file))
		}
	}
	for _, place := range places {
		err := regular(place)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = in.vet(place)
		}
		if err != nil {
			return fmt.Errorf("%s %w", file, err)
		}
	}
	return nil
}

// vet checks a file that is about to be included: its own includes, and the .env beside
// it, which compose reads too.
func (in *composeInput) vet(place string) error {
	dir := filepath.Dir(place)
	if !slices.Contains(in.dirs, dir) {
		in.dirs = append(in.dirs, dir)
	}
	in.read(place)
	in.read(filepath.Join(dir, ".env"))
	if err := regular(filepath.Join(dir, ".env")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("has a .env beside it that %w", err)
	}
	data, err := os.ReadFile(place)
	if err != nil {
		return err
	}
	return vetIncludes(data)
}

// explain turns an error of the loader into a problem of the file that it is about, with
// the line where it can be found and without values of variables.
func (in *composeInput) explain(err error) Problem {
	text := err.Error()
	for value := range in.values {
		// Shorter values also occur in ordinary words, and are no secrets.
		if len(value) >= 4 {
			text = strings.ReplaceAll(text, value, "…")
			text = strings.ReplaceAll(text, strings.Trim(strconv.Quote(value), `"`), "…")
		}
	}
	p := Problem{File: cmp.Or(in.blamed, in.main), Text: text, Hint: "see `docker compose config`"}
	if m := lacksVariable.FindStringSubmatch(text); m != nil {
		p.Hint = "set " + m[1] + " in the environment, or in the .env file that is read with this one"
	}
	for file := range in.files {
		if rest, ok := strings.CutPrefix(text, "validating "+file+": "); ok {
			p.File, p.Text = in.rel(file), rest
		} else if rest, ok := strings.CutPrefix(text, "failed to parse "+file+": "); ok {
			p.File, p.Text = in.rel(file), rest
		}
	}
	p.Text = firstSentence(strings.ReplaceAll(p.Text, in.root+string(filepath.Separator), ""))
	p.Text = strings.TrimPrefix(p.Text, "decoding failed due to the following error(s): ")
	if data, err := os.ReadFile(filepath.Join(in.root, filepath.FromSlash(p.File))); err == nil {
		p.Line = lineOf(data, p.Text)
	}
	return p
}

// lacksVariable matches the loader's error for ${NAME:?} and ${NAME?} (compose-go: template).
var lacksVariable = regexp.MustCompile(`required variable (\w+) is missing a value`)

// firstSentence returns the first line of a message, and the second if the
// first only announces it.
func firstSentence(text string) string {
	first, rest, _ := strings.Cut(text, "\n")
	if strings.HasSuffix(first, ":") {
		second, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		first += " " + second
	}
	return first
}

// reason says why a file cannot be read, without its path.
func reason(err error) string {
	var pathErr *os.PathError
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return syscall.ENOENT.Error() // a file stands where a folder is expected
	case errors.As(err, &pathErr):
		return pathErr.Err.Error()
	}
	return "it " + err.Error()
}
