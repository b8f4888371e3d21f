package suggest

import (
	"bytes"
	"encoding/binary"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
)

// pipInstall sets main and widen by the arguments of `pip install -r FILE`. It reports false if
// they name no file of requirements, or one that is not known.
func pipInstall(in *install, all []string) bool {
	files, obstacle, ok := pipArguments(in.dir, spread(all))
	in.main = append(in.main, files...)
	if !ok || len(in.main) == 0 {
		return false
	}
	in.widen = func(r reader) ([]string, string) {
		if obstacle != "" {
			return nil, obstacle
		}
		if obstacle := environmentIn(r); obstacle != "" {
			return nil, obstacle
		}
		files := slices.Clone(in.main)
		for _, name := range requirementVariables {
			for _, word := range strings.FieldsFunc(r.env[name], separates) {
				if image := resolve(r.dir, word, 0); !strings.Contains(word, "$") && r.file(image) != nil {
					files = append(files, image)
				}
			}
		}
		return requirements(r, files)
	}
	return true
}

// Flags of pip that name files of requirements, addresses of indexes, and paths.
var (
	pipFiles   = []string{"-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints"}
	pipIndexes = []string{"-i", "--index-url", "--extra-index-url", "--index", "--default-index"}
	pipPaths   = []string{"-e", "--editable", "-t", "--target", "--prefix", "--src", "-f", "--find-links", "--root"}
)

// pipArguments returns the files of requirements, as image paths, that the arguments of `pip install`
// name in an image folder, and by what the install may work on other files. It reports false if the
// files are not known.
func pipArguments(dir string, args []string) (files []string, obstacle string, ok bool) {
	for i := 0; i < len(args); i++ {
		flag, value, joined := strings.Cut(args[i], "=")
		// argument sets value to the next argument unless it is joined to the flag.
		argument := func() bool {
			if !joined {
				if i++; i == len(args) {
					return false
				}
				value = args[i]
			}
			return true
		}
		switch {
		case slices.Contains(pipFiles, flag):
			if !argument() || strings.Contains(value, "$") || strings.Contains(value, "://") {
				return files, "", false
			}
			files = append(files, resolve(dir, value, 0))
		case slices.Contains(pipIndexes, flag):
			if !argument() {
				return files, "", false
			}
			if !strings.Contains(value, "://") && !strings.HasPrefix(value, "$") || strings.Contains(value, "file:") {
				obstacle = "pip looks for packages in " + value + ", which may be a path of the sources"
			}
		case slices.Contains(pipValues, flag):
			if !joined {
				i++
			}
		case slices.Contains(pipPaths, flag):
			obstacle = "pip is called with " + flag + ", which works on paths"
			i++
		case slices.Contains(pipSwitches, flag) && !joined:
		case strings.HasPrefix(flag, "-"):
			obstacle = "pip is called with " + flag + ", which may name a file of the sources"
		default:
			if name, _, _ := strings.Cut(args[i], "["); name == "." || name == ".." || strings.ContainsAny(args[i], "/\\") || packed.MatchString(name) {
				obstacle = "pip also installs " + args[i] + ", which may be a path of the sources"
			}
		}
	}
	return files, obstacle, true
}

// requirementVariables are variables that name files of requirements or constraints.
var requirementVariables = []string{
	"PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT", "UV_OVERRIDE",
}

// uvPipInstall is pipInstall for `uv pip install -r FILE`, which takes the arguments of pip and
// some of its own, and reads the settings of uv.
func uvPipInstall(in *install, all []string) bool {
	in.tool = "uv"
	if slices.Contains(all, "--system") {
		in.output = ""
	}
	if !pipInstall(in, all) {
		return false
	}
	asPip := in.widen
	in.widen = func(r reader) ([]string, string) {
		if obstacle := uvObstacle(r); obstacle != "" {
			return nil, obstacle
		}
		for _, file := range in.main {
			if slices.Contains([]string{"pyproject.toml", "setup.py", "setup.cfg"}, path.Base(file)) {
				return nil, "uv takes the packages from " + path.Base(file) + ", and may build the project to know them"
			}
		}
		return asPip(r)
	}
	return true
}

// Flags of pip and uv that name no file of the sources: those with a value, and those without.
var (
	pipValues = []string{
		"--trusted-host", "--timeout", "--default-timeout", "--retries", "--progress-bar", "--only-binary", "--no-binary", "--root-user-action",
		"--upgrade-strategy", "--use-feature", "--use-deprecated", "--cache-dir", "--platform", "--python-version", "--implementation", "--abi",
		"--exists-action", "--proxy", "--keyring-provider", "--resume-retries",
		"--python", "-p", "--link-mode", "--index-strategy", "--resolution", "--prerelease", "--python-platform", "--exclude-newer", "--color", "--torch-backend",
	}
	pipSwitches = []string{
		"-q", "--quiet", "-v", "--verbose", "-U", "--upgrade", "-I", "--ignore-installed", "--no-cache-dir", "--no-cache", "--user", "--no-user", "--pre",
		"--no-deps", "--force-reinstall", "--disable-pip-version-check", "--no-compile", "--compile", "--prefer-binary", "--require-hashes", "--no-input",
		"--break-system-packages", "--use-pep517", "--no-use-pep517", "--no-build-isolation", "--no-warn-script-location", "--no-warn-conflicts", "--isolated",
		"--no-index", "--no-color", "--no-clean", "--ignore-requires-python", "--no-python-version-warning", "--require-virtualenv", "--check-build-dependencies",
		"--system", "--compile-bytecode", "--no-build", "--exact", "--strict", "--reinstall", "--refresh", "--no-progress", "--no-config", "--native-tls", "-n",
	}
)

// pipFlag reports whether a word is the given flag of pip or an abbreviation of it, such as
// --no-cache, that is long enough to tell the flags about the cache from others.
func pipFlag(word, flag string) bool {
	name, _, _ := strings.Cut(word, "=")
	return len(name) >= len("--ca") && strings.HasPrefix(flag, name) && name != "--no" && name != "--no-" && name != "--no-c"
}

// What an install with pip may download.
const (
	packages       = iota // packages that are named by the command or a file
	ownSources            // what packages of the project need, which may be installed already
	ownTools              // a newer version of pip itself, or of what it builds with
	nothingFetched        // nothing: all that it installs is there
)

// pipSources says what an install with these arguments may download.
func pipSources(all []string) int {
	args, line := spread(all), strings.Join(all, " ")
	wheels, paths, tools := 0, 0, 0 // counts of arguments
	for i := 0; i < len(args); i++ {
		flag, value, joined := strings.Cut(args[i], "=")
		switch {
		case strings.Contains(args[i], "://"), strings.Contains(args[i], "$"):
			return packages
		case flag == "--no-index":
			if !strings.Contains(line, "://") && !strings.Contains(line, "$") {
				return nothingFetched
			}
		case flag == "-r" || flag == "--requirement":
			return packages
		case flag == "-e" || flag == "--editable":
			if !joined {
				if i++; i == len(args) {
					return packages
				}
				value = args[i]
			}
			if strings.Contains(value, "+") || strings.Contains(value, "$") {
				return packages
			}
			paths++
		case slices.Contains([]string{"-c", "--constraint", "-t", "--target", "--prefix", "--root", "--src", "-f", "--find-links", "-i", "--index-url",
			"--extra-index-url", "--trusted-host", "--timeout", "--retries", "--progress-bar", "--root-user-action"}, flag):
			if !joined {
				i++
			}
		case strings.HasPrefix(flag, "-"):
		case strings.HasSuffix(flag, ".whl"), path.Base(flag) == "*" && strings.Contains(path.Dir(flag), "wheel"):
			wheels++
		default:
			name, _, _ := strings.Cut(flag, "[")
			project, _, _ := strings.Cut(strings.NewReplacer("<", " ", ">", " ", "!", " ", "~", " ").Replace(name), " ")
			switch {
			case slices.Contains([]string{"pip", "setuptools", "wheel"}, project):
				tools++
			case name == ".", name == "..", strings.HasPrefix(name, "./"), strings.HasPrefix(name, "../"), path.IsAbs(name):
				paths++
			default:
				return packages
			}
		}
	}
	switch {
	case paths > 0:
		return ownSources
	case tools > 0:
		return ownTools
	case wheels > 0:
		return nothingFetched
	}
	return packages
}

// packed matches names of files with a package that pip can install.
var packed = regexp.MustCompile(`\.(whl|zip|tar|tgz|tar\.\w+)$`)

// spread splits one-letter flags that are joined with each other or with their value: -qr FILE
// and -rFILE become -q -r FILE and -r FILE.
func spread(args []string) []string {
	var list []string
	for _, a := range args {
		for len(a) > 2 && a[0] == '-' && a[1] != '-' {
			list = append(list, a[:2])
			if strings.IndexByte("rceftib", a[1]) >= 0 {
				a = strings.TrimPrefix(a[2:], "=")
			} else {
				a = "-" + a[2:]
			}
		}
		list = append(list, a)
	}
	return list
}

// requirements returns files of requirements and those that they refer to with -r and -c, as
// image paths. If a line leads to other files of the sources, it returns an obstacle.
func requirements(r reader, files []string) (more []string, obstacle string) {
	seen := map[string]bool{}
	for len(files) > 0 {
		name := files[0]
		files = files[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		more = append(more, name)
		text := r.file(name)
		if text == nil {
			return nil, path.Base(name) + " is named by a requirements file, but the context has none"
		}
		unix := strings.ReplaceAll(decoded(text), "\r\n", "\n")
		for line := range strings.Lines(strings.ReplaceAll(unix, "\\\n", " ")) {
			next, obstacle := requirement(line)
			if obstacle != "" {
				return nil, path.Base(name) + " " + obstacle
			}
			if next != "" {
				files = append(files, resolve(path.Dir(name), next, 0))
			}
		}
	}
	return more, ""
}

// decoded returns a text as UTF-8. A byte order mark at its begin says if it is UTF-16 (pip:
// utils.encoding, auto_decode).
func decoded(text []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		return string(text[3:])
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		return string(text)
	}
	var units []uint16
	for text = text[2:]; len(text) > 1; text = text[2:] {
		units = append(units, order.Uint16(text))
	}
	return string(utf16.Decode(units))
}

// requirement reads a line of a file of requirements: next is the file that it refers to, or "", and
// obstacle says by what it leads to other files of the sources, or is "".
func requirement(line string) (next, obstacle string) {
	line = strings.TrimSpace(line)
	if at := strings.Index(line, " #"); at >= 0 {
		line = strings.TrimSpace(line[:at])
	}
	if line == "" || strings.HasPrefix(line, "#") {
		return "", ""
	}
	for _, flag := range []string{"--requirement", "-r", "--constraint", "-c"} {
		if rest, ok := strings.CutPrefix(line, flag); ok {
			next = strings.TrimSpace(strings.TrimPrefix(rest, "="))
			if strings.Contains(next, "://") {
				return "", ""
			}
			if strings.ContainsAny(next, "$ ") {
				return "", "has a line that cannot be followed: " + flag
			}
			return next, ""
		}
	}
	for _, flag := range []string{"-e", "--editable"} {
		if strings.HasPrefix(line, flag) {
			return "", "installs something with " + flag
		}
	}
	if strings.HasPrefix(line, "-f") || strings.HasPrefix(line, "--find-links") {
		if !strings.Contains(line, "://") || strings.Contains(line, "file:") {
			return "", "looks for packages in a folder"
		}
		return "", ""
	}
	if strings.HasPrefix(line, "-") {
		for _, flag := range []string{"-i", "--index-url", "--extra-index-url"} {
			if strings.HasPrefix(line, flag) && (!strings.Contains(line, "://") && !strings.Contains(line, "$") || strings.Contains(line, "file:")) {
				return "", "looks for packages in a folder"
			}
		}
		return "", ""
	}
	if isPathRequirement(line) {
		return "", "installs a path of the sources"
	}
	return "", ""
}

// isPathRequirement reports whether a line of a file of requirements names a path, and not a
// package or an address.
func isPathRequirement(line string) bool {
	spec, _, _ := strings.Cut(line, ";")
	spec = strings.TrimSpace(spec)
	if name, url, ok := strings.Cut(spec, "@"); ok && !strings.ContainsAny(name, "/\\") {
		spec = strings.TrimSpace(url)
	}
	switch {
	case strings.HasPrefix(spec, "file:"), strings.Contains(spec, "+file:"):
		return true
	case strings.Contains(spec, "://"):
		return false
	}
	name, _, _ := strings.Cut(spec, "[")
	return strings.ContainsAny(strings.Fields(spec + " .")[0], "/\\") || strings.HasPrefix(spec, ".") || packed.MatchString(name)
}
