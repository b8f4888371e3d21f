package suggest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// multiStage says where an image ships what only its build needed: a compiler,
// or dependencies for development. See docs/rules/multi-stage.md.
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
		what, bytes, run, ok := in.shipsTools(b, target)
		if !ok {
			continue
		}
		s := Suggestion{
			Rule: "multi-stage", Title: "leave what only the build needs in a stage of its own", Lines: run.Lines, Proof: Advice,
			Evidence: fmt.Sprintf("`%s` runs in the image that ships, which carries %s for the rest of its life.", short(run.Text), what),
			Obstacle: "which files the program needs when it runs is yours to say: copy those into a last stage with COPY --from",
		}
		s.spares(bytes, Image, Prior)
		list = append(list, s)
	}
	return list
}

// developing reports an image that starts a tool of development: there the tools
// are meant.
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

// developed reports a build whose containers compose starts with such a tool, all of
// them.
func (b Build) developed() bool {
	return len(b.Services) > 0 && !slices.ContainsFunc(b.Services, func(s Service) bool { return !develops(s.Command) })
}

// develops reports a command line of a tool of development.
func develops(words []string) bool {
	tools := []string{"sh", "bash", "/bin/sh", "/bin/bash", "npm", "npx", "yarn", "pnpm", "bun", "go", "cargo", "mvn", "gradle", "dotnet", "make", "sleep", "air", "nodemon", "./mvnw", "./gradlew"}
	return len(words) > 0 && slices.Contains(tools, words[0]) && (words[0] != "dotnet" || len(words) < 2 || !strings.HasSuffix(words[1], ".dll"))
}

// shipsTools returns what the image of a build carries too much, about how many
// bytes that is as the images are published, 0 where nothing tells, and the RUN
// that shows it.
func (in Input) shipsTools(b Build, target int) (what string, bytes int64, run dockerfile.Instruction, ok bool) {
	builders := map[string]struct {
		verb  func(command) bool
		ships string
		bytes int64
	}{
		"golang":                       {verb("go", "build"), "the Go toolchain", 260e6},
		"rust":                         {verb("cargo", "build"), "the Rust toolchain", 630e6},
		"maven":                        {verb("mvn", "package", "install", "verify"), "Maven, the JDK and what Maven downloaded", 370e6},
		"gradle":                       {verb("gradle", "build", "assemble", "bootJar", "shadowJar"), "Gradle, the JDK and what Gradle downloaded", 420e6},
		"mcr.microsoft.com/dotnet/sdk": {verb("dotnet", "publish"), "the .NET SDK", 630e6},
	}
	image := imageName(rootStage(in.File, target).Base)
	for _, i := range chainOf(in.File, target) {
		v := newStageView(in.File, in.File.Stages[i])
		for k, ins := range v.stage.Instructions {
			if ins.Run == nil {
				continue
			}
			commands, known := everyCommand(ins.Run, v.shell[k])
			if !known {
				continue
			}
			if builder, has := builders[image]; has && slices.ContainsFunc(commands, func(c command) bool { return len(c.words) > 0 && builder.verb(c) }) {
				return builder.ships, builder.bytes, ins, true
			}
			if slices.ContainsFunc(commands, func(c command) bool {
				return c.starts("npm", "run", "build") || c.starts("yarn", "build") || c.starts("pnpm", "build")
			}) {
				if n := in.devDependencies(b); n > 0 && !in.prunes(target) {
					return fmt.Sprintf("the %d packages of devDependencies and what they bring", n), 0, ins, true
				}
			}
		}
	}
	return "", 0, dockerfile.Instruction{}, false
}

// devDependencies returns how many package.json at the context's root names.
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

// prunes reports an image that does not install dependencies for development, or
// drops them.
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
