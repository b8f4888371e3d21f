package suggest

import (
	"cmp"
	"path"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/stokerd/stoker/internal/effects"
)

// condaInstall sets main and widen by the arguments of a command of conda, mamba or micromamba that
// makes or fills an environment. It reports false if they do not say by which files alone.
func condaInstall(in *install, args []string) bool {
	for i := 0; i < len(args); i++ {
		flag, value, joined := strings.Cut(args[i], "=")
		switch flag {
		case "-f", "--file", "-n", "--name", "-c", "--channel", "--solver":
			if !joined {
				if i++; i == len(args) {
					return false
				}
				value = args[i]
			}
			switch {
			case strings.ContainsAny(value, "$*?"):
				return false
			case (flag == "-f" || flag == "--file") && !strings.Contains(value, "://"):
				in.main = append(in.main, resolve(in.dir, value, 0))
			case strings.HasSuffix(flag, "c") || flag == "--channel":
				if condaPlace(value) {
					return false
				}
			}
		default:
			if !strings.HasPrefix(flag, "-") {
				return false // a package
			}
		}
	}
	if len(in.main) == 0 {
		in.main = []string{path.Join(in.dir, "environment.yml")} // the default
	}
	in.widen = func(r reader) (more []string, obstacle string) {
		for _, name := range in.main {
			text := r.file(name)
			if text == nil {
				continue // another COPY brings it
			}
			read, obstacle := condaFile(r, name, text)
			if obstacle != "" {
				return nil, path.Base(name) + " " + obstacle
			}
			more = append(more, read...)
		}
		return more, ""
	}
	return true
}

// condaFile returns the files, as image paths, that a file of conda leads to, and by what it may lead
// to others. It is an environment, in YAML, or a list of packages.
func condaFile(r reader, name string, text []byte) (files []string, obstacle string) {
	if ext := path.Ext(name); ext != ".yml" && ext != ".yaml" {
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && condaPlace(line) {
				return nil, "installs a path of the sources"
			}
		}
		return nil, ""
	}
	var env struct {
		Name, Prefix string
		Channels     []string
		Dependencies []any
	}
	if yaml.Unmarshal(text, &env) != nil {
		return nil, "cannot be read"
	}
	if env.Name == "" && env.Prefix != "" {
		return nil, "says in which folder the environment lies" // a name would overrule it
	}
	for _, channel := range env.Channels {
		if condaPlace(channel) {
			return nil, "looks for packages in a folder"
		}
	}
	for _, dependency := range env.Dependencies {
		switch d := dependency.(type) {
		case string:
			if condaPlace(d) {
				return nil, "installs a path of the sources"
			}
		case map[string]any:
			more, obstacle := condaPip(r, path.Dir(name), d["pip"])
			if obstacle != "" || len(d) != 1 {
				return nil, cmp.Or(obstacle, "has packages of a kind that is not known")
			}
			files = append(files, more...)
		default:
			return nil, "has packages of a kind that is not known"
		}
	}
	return files, ""
}

// condaPip is condaFile for the lines of an environment that conda hands to pip, which it runs as
// `python -m pip` in the folder of the file.
func condaPip(r reader, dir string, lines any) (files []string, obstacle string) {
	list, ok := lines.([]any)
	if !ok {
		return nil, "has packages of a kind that is not known"
	}
	for _, one := range list {
		line, ok := one.(string)
		if !ok {
			return nil, "has packages of a kind that is not known"
		}
		next, obstacle := requirement(line)
		if obstacle != "" {
			return nil, obstacle
		}
		if next == "" {
			continue
		}
		more, obstacle := requirements(r, []string{resolve(dir, next, 0)})
		if obstacle != "" {
			return nil, "leads to a file that is in the way: " + obstacle
		}
		files = append(files, more...)
	}
	for _, module := range append(r.list(dir, "*.py"), r.list(dir, "*/__init__.py")...) {
		name := path.Base(strings.TrimSuffix(strings.TrimSuffix(module, "/__init__.py"), ".py")) + ".py"
		if effects.Module(name) {
			return nil, "has pip run in a folder with " + strings.TrimSuffix(name, ".py") + ", which it would load in place of Python's own module"
		}
	}
	return files, ""
}

// condaPlace reports whether a channel or a package is a path.
func condaPlace(word string) bool {
	return strings.HasPrefix(word, "/") || strings.HasPrefix(word, ".") || strings.HasPrefix(word, "~") || strings.Contains(word, "file:") ||
		!strings.Contains(word, "://") && (strings.HasSuffix(word, ".conda") || strings.HasSuffix(word, ".tar.bz2"))
}
