package suggest

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// steering matches the variables by which the tools of an install take settings.
func steering(tool string) *regexp.Regexp {
	return regexp.MustCompile(`^(?i:` + map[string]string{
		"npm": `npm_config_\w+`, "yarn": `(npm_config|yarn)_\w+`, "pnpm": `(npm_config|pnpm_config)_\w+`, "bun": `(npm_config|bun_config)_\w+`,
		"pip": `pip_\w+`, "uv": `uv_\w+`, "poetry": `(poetry|pip)_\w+`, "pipenv": `(pipenv|pip)_\w+`, "pdm": `pdm_\w+`,
		"go": `go(flags|work|env|modcache|path)`, "cargo": `cargo_\w+`, "maven": `m(a?ve)?n_\w+|maven_\w+`, "gradle": `gradle_\w+`,
		"bundler": `bundle_\w+`, "composer": `composer(_\w+)?`, "dotnet": `nuget_\w+`, "mix": `(mix|hex)_\w+`,
	}[tool] + `)$`)
}

// other matches settings by which a tool takes other manifests than those that it is
// known to take, or runs code.
var other = map[string]*regexp.Regexp{
	"COMPOSER":        regexp.MustCompile(`^(\./)?composer\.json$`),
	"BUNDLE_GEMFILE":  regexp.MustCompile(`(^|/)Gemfile$`),
	"PIPENV_PIPFILE":  regexp.MustCompile(`(^|/)Pipfile$`),
	"GOFLAGS":         regexp.MustCompile(`^(-(trimpath|buildvcs=\w+|mod=(mod|readonly)|v|x|p=\d+|modcacherw)( |$))*$`),
	"GOWORK":          regexp.MustCompile(`^off$`),
	"NODE_OPTIONS":    regexp.MustCompile(`^(--(max[-_]old[-_]space[-_]size|max-semi-space-size|dns-result-order|max-http-header-size)=\w+|--(openssl-legacy-provider|no-warnings|use-openssl-ca|use-system-ca|no-deprecation|trace-warnings)|\s)*$`),
	"UV_PROJECT":      regexp.MustCompile(`^$`),
	"UV_CONFIG_FILE":  regexp.MustCompile(`^$`),
	"PIP_CONFIG_FILE": regexp.MustCompile(`^/dev/null$`),
}

// written returns what ENV and ARG write for the variables that instruction i sees,
// with what other ENVs say put in place: an ARG may be given another value.
func (v *stageView) written(i int) map[string]string {
	env, all := map[string]string{}, map[string]string{}
	add := func(in dockerfile.Instruction) {
		for _, a := range in.Vars {
			if in.Keyword == "ENV" {
				env[a.Name] = expand(a.Value, env)
			} else {
				all[a.Name] = a.Value
			}
		}
	}
	for at := v.stage.BaseStage; at >= 0; at = v.file.Stages[at].BaseStage {
		for _, in := range v.file.Stages[at].Instructions {
			if in.Keyword == "ENV" {
				add(in)
			}
		}
	}
	for _, in := range v.stage.Instructions[:i] {
		add(in)
	}
	maps.Copy(all, env)
	return all
}

// fromEnvironment returns files, as image paths, that variables of the environment
// lead an install to, or says why what they lead it to is not known.
func fromEnvironment(r reader, tool string) (files []string, obstacle string) {
	own := steering(tool)
	for _, name := range slices.Sorted(maps.Keys(r.env)) {
		value := r.env[name]
		mine := own.MatchString(name) || name == "NODE_OPTIONS" && own.MatchString("npm_config_x")
		if usual := other[name]; mine && usual != nil && !usual.MatchString(value) {
			return nil, name + " has it read what is not known"
		}
		for _, word := range strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(" \t:;,=\"'", c) }) {
			if strings.Contains(word, "$") {
				if mine && strings.Contains(word, "/") {
					return nil, name + " says where something lies, which is not known"
				}
				continue
			}
			if !strings.ContainsAny(word, "./") {
				continue
			}
			image := resolve(r.dir, word, 0)
			if _, ok := r.find(image); ok {
				if !slices.Contains(files, image) {
					files = append(files, image)
				}
			} else if mine && path.IsAbs(image) && image != r.dir && len(r.list(image, "**/*")) > 0 {
				return nil, name + " names a folder of the sources"
			}
		}
	}
	return files, ""
}
