package suggest

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// steering matches, by tool, the names of variables that are settings of its installs.
var steering = map[string]*regexp.Regexp{
	"npm":      regexp.MustCompile(`(?i)^npm_config_|^NODE_OPTIONS$`),
	"yarn":     regexp.MustCompile(`(?i)^(npm_config|yarn)_|^NODE_OPTIONS$`),
	"pnpm":     regexp.MustCompile(`(?i)^(npm|pnpm)_config_|^NODE_OPTIONS$`),
	"bun":      regexp.MustCompile(`(?i)^(npm|bun)_config_`),
	"conda":    regexp.MustCompile(`^(CONDA|CONDARC|MAMBA|MAMBARC|PIP)(_|$)`),
	"pip":      regexp.MustCompile(`^PIP_`),
	"uv":       regexp.MustCompile(`^UV_`),
	"poetry":   regexp.MustCompile(`^(POETRY|PIP)_`),
	"pipenv":   regexp.MustCompile(`^(PIPENV|PIP)_`),
	"pdm":      regexp.MustCompile(`^PDM_`),
	"go":       regexp.MustCompile(`^GO(FLAGS|WORK|ENV|MODCACHE|PATH|PROXY|AUTH)$`),
	"cargo":    regexp.MustCompile(`^CARGO_`),
	"maven":    regexp.MustCompile(`^(MAVEN|MVNW?)_`),
	"gradle":   regexp.MustCompile(`^GRADLE_`),
	"bundler":  regexp.MustCompile(`^BUNDLE_|^RUBY(OPT|LIB)$`),
	"composer": regexp.MustCompile(`^COMPOSER(_|$)`),
	"dotnet":   regexp.MustCompile(`(?i)^(NUGET_|Restore|MSBuild|Directory(Build|Packages|Solution)|CustomBefore|CustomAfter)`),
	"mix":      regexp.MustCompile(`^(MIX|HEX)_`),
}

// anyTools matches variables that name files for programs of many kinds: certificates,
// settings, and code that an interpreter runs first.
var anyTools = regexp.MustCompile(`^(NODE_EXTRA_CA_CERTS|OPENSSL_CONF|APT_CONFIG|TAR_OPTIONS|GEMRC|DEBCONF_DB_\w+|CURL_HOME|WGETRC|AWS_CA_BUNDLE|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC|GIT_\w+|BASH_ENV|ENV|LD_\w+|` +
	`JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|_JAVA_OPTIONS|JAVA_OPTS|RUBYOPT|RUBYLIB|PYTHON(PATH|STARTUP|HOME)|PHPRC|PHP_INI_SCAN_DIR|ERL_\w+|ELIXIR_\w+)$`)

// harmlessValues matches, by variable, the values that do not change which files an install reads.
// With other values it would read other manifests, or run code.
var harmlessValues = map[string]*regexp.Regexp{
	"COMPOSER":       regexp.MustCompile(`^(\./)?composer\.json$`),
	"BUNDLE_GEMFILE": regexp.MustCompile(`(^|/)Gemfile$`),
	"MIX_EXS":        regexp.MustCompile(`^(\./)?mix\.exs$`),
	"RUBYOPT":        regexp.MustCompile(`^(-[wWEK]\S*|--(yjit|jit|disable|enable|encoding)\S*|\s)*$`), // others load code
	"PIPENV_PIPFILE": regexp.MustCompile(`(^|/)Pipfile$`),
	"GOFLAGS":        regexp.MustCompile(`^(-(trimpath|buildvcs=\w+|mod=(mod|readonly)|v|x|p=\d+|modcacherw)( |$))*$`),
	"GOWORK":         regexp.MustCompile(`^off$`),
	"NODE_OPTIONS":   regexp.MustCompile(`^(--(max[-_]old[-_]space[-_]size|max-semi-space-size|dns-result-order|max-http-header-size)=\w+|--(openssl-legacy-provider|no-warnings|use-openssl-ca|use-system-ca|no-deprecation|trace-warnings)|\s)*$`),
	"UV_PROJECT":     regexp.MustCompile(`^$`),
	"UV_CONFIG_FILE": regexp.MustCompile(`^$`),
	"UV_WORKING_DIR": regexp.MustCompile(`^$`),

	"UV_WORKING_DIRECTORY": regexp.MustCompile(`^$`),
	"PIP_CONFIG_FILE":      regexp.MustCompile(`^/dev/null$`), // pip: reads no file of settings
}

// written returns the values of the variables that instruction i sees, as ENVs and ARGs write
// them. Variables of other ENVs are expanded; those of ARGs are not, as a build may set another
// value.
func (v *stageView) written(i int) map[string]string {
	env, all, global := map[string]string{}, map[string]string{}, map[string]string{}
	for _, in := range v.file.Globals {
		for _, a := range in.Vars {
			if a.Set {
				global[a.Name] = a.Value
			}
		}
	}
	for _, in := range v.declaring(i) {
		for _, a := range in.Vars {
			if in.Keyword == "ENV" {
				env[a.Name] = expand(a.Value, env)
				all[a.Name] = env[a.Name]
				continue
			}
			value, above := global[a.Name]
			_, there := all[a.Name]
			switch {
			case a.Set:
				value = a.Value
			case there && !above:
				continue // it keeps its value
			}
			delete(env, a.Name)
			all[a.Name] = value
		}
	}
	return all
}

// declaring returns the ENVs and ARGs whose variables instruction i sees: a stage has those of the
// ones that it starts from.
func (v *stageView) declaring(i int) []dockerfile.Instruction {
	return slices.DeleteFunc(append(instructionsOf(v.file, v.stage.BaseStage), v.stage.Instructions[:i]...), func(in dockerfile.Instruction) bool {
		return in.Keyword != "ENV" && in.Keyword != "ARG"
	})
}

// given returns the values that a build gives to ARGs whose variables instruction i sees. They may be
// secrets: never show them, nor what they name.
func (v *stageView) given(b Build, i int) map[string]string {
	given := map[string]string{}
	for _, in := range v.declaring(i) {
		for _, a := range in.Vars {
			delete(given, a.Name)
			if value, ok := b.Args[a.Name]; ok && in.Keyword == "ARG" {
				given[a.Name] = value
			}
		}
	}
	return given
}

// folderVariables matches variables that name folders in which programs keep files or find tools and
// libraries.
var folderVariables = regexp.MustCompile(`^(GOBIN|GOCACHE|RUSTUP_HOME|PLAYWRIGHT_BROWSERS_PATH|PUPPETEER_\w+|CYPRESS_\w+|PYTHONUSERBASE|PIPX_\w+|GEM_(HOME|PATH)|PNPM_HOME|` +
	`NVM_DIR|COREPACK_HOME|XDG_\w+|GNUPGHOME|TMPDIR|CC|CXX|CPP|LD|AR|CPATH|LIBRARY_PATH|\w+_INCLUDE_PATH|PKG_CONFIG\w*|CMAKE_\w+|RUSTC_\w+|PERL5LIB|` +
	`GOROOT|GOTMPDIR|RUST(DOC)?FLAGS|(CGO_)?(C|CXX|CPP|LD|F)FLAGS|NODE_PATH|PREFIX|DESTDIR|PYTHONPYCACHEPREFIX|DPKG_(ROOT|ADMINDIR)|PERL5OPT|` +
	`(JAVA|ORACLE|CUDA|LLVM|GDAL|MKL)_HOME|(HDF5|NETCDF4|OPENSSL|BLAS|GEOS|PROJ|OPENBLAS|NCCL)_\w+)$`)

// steers reports whether a variable is a setting of some program.
func steers(name string) bool {
	if anyTools.MatchString(name) || folderVariables.MatchString(name) {
		return true
	}
	for _, own := range steering {
		if own.MatchString(name) {
			return true
		}
	}
	return false
}

// ofCompiler matches a flag, as of a compiler, right before the file or folder that it names.
var ofCompiler = regexp.MustCompile(`^-([ILr]|isystem)`)

// namesDir matches variables whose values are folders, even if they do not look like it.
var namesDir = regexp.MustCompile(`(?i)_(TARGET|PREFIX|ROOT|SRC|HOME|DIR|FOLDER)$`)

// binFolders are the folders in which a shell looks for programs by default.
var binFolders = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// led returns the folders, as image paths, that variables name for programs of instruction i, and
// further folders in which its shell looks for programs.
func (v *stageView) led(i int) (folders, programs []string) {
	for name, value := range v.written(i) {
		value = expand(value, v.env[i])
		if name == "PATH" {
			programs = append(programs, v.searched(i, value)...)
			continue
		}
		for _, word := range strings.FieldsFunc(value, separates) {
			word = ofCompiler.ReplaceAllString(word, "")
			switch {
			case strings.Contains(word, "$"), strings.Contains(value, "://") && !strings.Contains(value, "file:"), path.Ext(word) != "", !steers(name):
			case path.IsAbs(word):
				folders = append(folders, path.Clean(word))
			case namesDir.MatchString(name):
				folders = append(folders, resolve(v.dirs[i], word, 0))
			}
		}
	}
	slices.Sort(folders)
	slices.Sort(programs)
	return folders, programs
}

// searched returns the folders, as image paths, in which the shell of instruction i looks for programs
// by a value of PATH, without those of binFolders. One that is relative is looked for in each working
// folder up to there, and an empty one is that folder itself.
func (v *stageView) searched(i int, value string) (list []string) {
	for _, word := range strings.Split(strings.Trim(value, `"'`), ":") {
		switch word = strings.TrimSpace(word); {
		case word == "$PATH" || word == "${PATH}":
		case strings.Contains(word, "$"):
			return append(list, "/") // it may be any folder
		case path.IsAbs(word) && slices.Contains(binFolders, path.Clean(word)):
		case path.IsAbs(word):
			list = append(list, path.Clean(word))
		default:
			for _, dir := range v.dirs[:i+1] {
				if at := resolve(dir, word, 0); !slices.Contains(list, at) {
					list = append(list, at)
				}
			}
		}
	}
	return list
}

// startFiles are read whatever a RUN does: for its user, groups and home, and to load its programs.
var startFiles = append([]string{"/etc/ld.so.preload", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/usr/lib/ld-*", "/usr/lib64/ld-*"}, accounts...)

// starting returns the image paths of what is read to begin with instruction i, a RUN or WORKDIR,
// whatever it does: the accounts of the image, in which its user is looked up, and of a RUN what loads
// programs, and the shell.
func (v *stageView) starting(i int) []string {
	run := v.stage.Instructions[i].Run
	switch {
	case run == nil && v.byRoot(i):
		return nil
	case run == nil:
		return accounts
	case run.Script == "": // no shell
		return startFiles
	}
	shell := "/bin/sh"
	if len(v.shell[i]) > 0 {
		shell = v.shell[i][0]
	}
	list := slices.Clone(startFiles)
	if strings.Contains(shell, "/") {
		return append(list, resolve(v.dirs[i], shell, 0))
	}
	_, folders := v.led(i)
	for _, dir := range slices.Concat(binFolders, folders) {
		list = append(list, path.Join(dir, shell))
	}
	return list
}

// leading returns the image paths to which variables that a build gives may lead programs of
// instruction t, a RUN: to folders of PATH, the home, libraries.
func (v *stageView) leading(b Build, t int) (list []string) {
	if v.stage.Instructions[t].Run == nil {
		return nil
	}
	for name, value := range v.given(b, t) {
		if name != "PATH" && name != "HOME" && !steers(name) || strings.Contains(value, "://") {
			continue
		}
		for _, word := range strings.FieldsFunc(value, separates) {
			if path.IsAbs(word) && !slices.Contains(binFolders, path.Clean(word)) || strings.HasPrefix(word, ".") {
				list = append(list, resolve(v.dirs[t], word, 0))
			}
		}
	}
	slices.Sort(list)
	return list
}

// starts returns what instruction c, a COPY or ADD, may bring of what is read to begin with
// instruction t, or "". What comes from another stage or image into a folder of programs is taken
// to be programs.
func (v *stageView) starts(b Build, c, t int) string {
	for _, p := range append(v.leading(b, t), v.starting(t)...) {
		files := v.broughtFiles(b, c)
		program := !takesContext(v.stage.Instructions[c]) && len(files) > 0 && slices.Contains(binFolders, path.Dir(p)) && !slices.Contains(files, rooted(p))
		if !program && v.clash(b, c, []string{p}) != "" {
			return p
		}
	}
	return ""
}

// namesInputs matches variables whose values are files or folders, even if they do not look like it.
var namesInputs = regexp.MustCompile(`(?i)(_(FIND_LINKS|(BUILD_)?CONSTRAINTS?|REQUIREMENTS?|OVERRIDES?|CERT|CERTS|CERT_FILE|CA_BUNDLE|CAFILE|CONFIG_FILE)|^(APT_CONFIG|WGETRC|NETRC|OPENSSL_CONF))$`)

// named returns the files, as image paths, that variables name for programs of instruction i, as far
// as that is known. For an install, fromEnvironment also says what is not known.
func (v *stageView) named(i int) (files []string) {
	for name, value := range v.written(i) {
		if !steers(name) || strings.Contains(value, "://") {
			continue
		}
		for _, word := range strings.FieldsFunc(expand(value, v.env[i]), separates) {
			word = ofCompiler.ReplaceAllString(word, "")
			isFile := path.Ext(word) != "" || anyTools.MatchString(name) && path.IsAbs(word) || namesInputs.MatchString(name)
			if isFile && !strings.Contains(word, "$") {
				files = append(files, resolve(v.dirs[i], word, 0))
			}
		}
	}
	slices.Sort(files)
	return files
}

// separates reports whether a character stands between the words in the value of a variable.
func separates(c rune) bool { return strings.ContainsRune(" \t:;,=\"'", c) }

// fromEnvironment returns the files, as image paths, that an install reads because of
// variables, or an obstacle if that is not known.
func fromEnvironment(r reader, tool string) (files []string, obstacle string) {
	steer := steering[tool]
	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		value := r.env[name]
		own := steer != nil && steer.MatchString(name)
		switch {
		case !own && !anyTools.MatchString(name):
			continue // it is for the project's program, like FLASK_APP
		case strings.Contains(value, "://") && !strings.Contains(value, "file:"):
			continue // an index or a proxy
		}
		if harmless := harmlessValues[name]; own && harmless != nil && !harmless.MatchString(strings.Trim(value, `"'`)) {
			return nil, name + " has it read what is not known"
		}
		for _, word := range strings.FieldsFunc(value, separates) {
			word, options := strings.CutPrefix(word, "@") // java reads further options from such a file
			image, obstacle := namedByVariable(r, name, word, own)
			if obstacle != "" {
				return nil, obstacle
			}
			if own && image != "" && tool == "dotnet" {
				return nil, name + ", which MSBuild takes for a property, leads to other files of the sources"
			}
			if image != "" && !slices.Contains(files, image) {
				files = append(files, image)
			}
			if options && image != "" {
				files = append(files, namedFiles(r, string(r.file(image)))...)
			}
		}
	}
	return files, fromBuild(r, steer)
}

// fromBuild returns an obstacle if a variable that a build gives, a setting of the install's tool as
// steer matches them or of any, may lead the install to a file or folder of the sources.
func fromBuild(r reader, steer *regexp.Regexp) string {
	for _, name := range slices.Sorted(maps.Keys(r.given)) {
		value := r.given[name]
		own := steer != nil && steer.MatchString(name)
		if !own && !anyTools.MatchString(name) || strings.Contains(value, "://") && !strings.Contains(value, "file:") {
			continue
		}
		if harmless := harmlessValues[name]; own && harmless != nil && !harmless.MatchString(value) {
			return name + ", which a build gives, has it read what is not known"
		}
		for _, word := range strings.FieldsFunc(value, separates) {
			if image, obstacle := namedByVariable(r, name, strings.TrimPrefix(word, "@"), own); image != "" || obstacle != "" {
				return name + ", which a build gives, leads to files of the sources"
			}
		}
	}
	return ""
}

// namedByVariable returns the file, as an image path, that a word in the value of a variable names
// for an install, or "". own says that the variable is a setting of the install's tool: then it is an
// obstacle if the word names a folder of the sources, or may name one.
func namedByVariable(r reader, variable, word string, own bool) (image, obstacle string) {
	switch {
	case strings.Contains(word, "$"):
		if own && strings.Contains(word, "/") && !strings.Contains(strings.ToLower(variable), "cache") {
			return "", variable + " says where something lies, which is not known"
		}
		return "", ""
	case !own && !strings.ContainsAny(word, "./"):
		return "", ""
	}
	image = resolve(r.dir, word, 0)
	_, found := r.find(image)
	if !found {
		if own && path.IsAbs(image) && image != r.dir && len(r.list(image, "**/*")) > 0 {
			return "", variable + " names a folder of the sources"
		}
		return "", ""
	}
	if own && r.file(image) == nil {
		return "", variable + " names a folder of the sources"
	}
	return image, ""
}
