package suggest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// multiStage tells of images that contain what only their build needs: a compiler, or
// dependencies for development. See docs/rules/multi-stage.md.
func multiStage(in Input) []Suggestion {
	var list []Suggestion
	for _, b := range in.Builds {
		target := targetStage(in.File, b)
		if target < 0 {
			continue
		}
		ins := instructionsOf(in.File, target)
		start, ok := lastStart(ins)
		if !ok || developing(ins) || b.developed() || slices.ContainsFunc(list, func(s Suggestion) bool { return s.Lines == start.Lines }) {
			continue
		}
		what, ok := in.shipsTools(b, target)
		if !ok {
			continue
		}
		s := Suggestion{
			Rule: "multi-stage", Title: "leave what only the build needs in a stage of its own", Lines: what.run.Lines, Proof: Advice,
			Evidence: what.evidence,
			Obstacle: "which files the program needs when it runs is yours to say: copy those into a last stage with COPY --from",
		}
		s.spares(what.bytes, Image, Prior)
		list = append(list, s)
	}
	return list
}

// developing reports whether an image starts a tool for development, so that it contains such
// tools on purpose.
func developing(list []dockerfile.Instruction) bool {
	for _, ins := range list {
		if ins.Keyword != "CMD" && ins.Keyword != "ENTRYPOINT" {
			continue
		}
		if develops(strings.Fields(ins.Command.Script + " " + strings.Join(ins.Command.Args, " "))) {
			return true
		}
	}
	return false
}

// developed reports whether compose files start all containers of a build with tools for
// development.
func (b Build) developed() bool {
	return len(b.Services) > 0 && !slices.ContainsFunc(b.Services, func(s Service) bool { return !develops(s.Command) })
}

// develops reports whether a command line starts a tool for development.
func develops(words []string) bool {
	tools := []string{"sh", "bash", "/bin/sh", "/bin/bash", "npm", "npx", "yarn", "pnpm", "bun", "go", "cargo", "mvn", "gradle", "dotnet", "make", "sleep", "air", "nodemon", "./mvnw", "./gradlew"}
	return len(words) > 0 && slices.Contains(tools, words[0]) && (words[0] != "dotnet" || len(words) < 2 || !strings.HasSuffix(words[1], ".dll"))
}

// A toolchain is what a base image for builds has, and a program that runs does not need.
type toolchain struct {
	builds func(command) bool // whether a command builds a program with it
	what   string
	bytes  int64 // about, as the image is published
}

// toolchains returns the toolchains of base images, by name.
func toolchains() map[string]toolchain {
	return map[string]toolchain{
		"golang":                       {verb("go", "build"), "the Go toolchain", 260e6},
		"rust":                         {verb("cargo", "build"), "the Rust toolchain", 630e6},
		"maven":                        {verb("mvn", "package", "install", "verify"), "Maven, the JDK and what Maven downloaded", 370e6},
		"gradle":                       {verb("gradle", "build", "assemble", "bootJar", "shadowJar"), "Gradle, the JDK and what Gradle downloaded", 420e6},
		"mcr.microsoft.com/dotnet/sdk": {verb("dotnet", "publish"), "the .NET SDK", 630e6},
	}
}

// An excess is what an image contains without need.
type excess struct {
	run      dockerfile.Instruction // that needed it
	evidence string
	bytes    int64 // about; 0 if that is not known
}

// shipsTools returns what the image of a build contains without need. It reports false if there is
// nothing.
func (in Input) shipsTools(b Build, target int) (excess, bool) {
	tools, known := toolchains()[imageName(rootStage(in.File, target).Base)]
	carries := func(run dockerfile.Instruction, what string, bytes int64) (excess, bool) {
		return excess{run, fmt.Sprintf("`%s` runs in the image that ships, which carries %s for the rest of its life.", short(run.Text), what), bytes}, true
	}
	for _, i := range chainOf(in.File, target) {
		v := in.bare(in.File.Stages[i])
		for k, ins := range v.stage.Instructions {
			if ins.Run == nil {
				continue
			}
			commands, ok := v.everyCommand(k)
			if !ok {
				continue
			}
			if known && slices.ContainsFunc(commands, func(c command) bool { return len(c.words) > 0 && tools.builds(c) }) {
				return carries(ins, tools.what, tools.bytes)
			}
			if !slices.ContainsFunc(commands, buildsNode) {
				continue
			}
			if n := in.devDependencies(b); n > 0 && !in.prunes(target) {
				return carries(ins, fmt.Sprintf("the %d packages of devDependencies and what they bring", n), 0)
			}
		}
	}
	return in.shipsCompiler(target)
}

// buildsNode reports whether a command runs the script build of a package.json.
func buildsNode(c command) bool {
	return c.starts("npm", "run", "build") || c.starts("yarn", "build") || c.starts("pnpm", "build")
}

// devDependencies returns how many devDependencies the package.json at the root of the context
// has.
func (in Input) devDependencies(b Build) int {
	text, err := b.Context.Read("package.json")
	if err != nil || !b.Context.Exists("package.json") {
		return 0
	}
	var manifest struct {
		Dev map[string]any `json:"devDependencies"`
	}
	if json.Unmarshal(text, &manifest) != nil {
		return 0
	}
	return len(manifest.Dev)
}

// prunes reports whether an image may contain no dependencies for development, because its steps
// do not install them, or remove them.
func (in Input) prunes(target int) bool {
	text := ""
	for _, ins := range instructionsOf(in.File, target) {
		text += ins.Text + "\n"
	}
	for _, word := range []string{"prune", "--omit", "--production", "--prod", "workspaces focus", "standalone", "NODE_ENV", "rm -rf node_modules"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return !strings.Contains(text, "npm ci") && !strings.Contains(text, "install") && !strings.Contains(text, "RUN yarn")
}
