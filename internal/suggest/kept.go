package suggest

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// linkedInto says which COPY from another stage takes files that the tool links to its cache, or
// returns "". With a mount the tool has to copy them, since no hard link leaves a mount: files that
// several packages share are then in the image several times.
func (p *mountPlan) linkedInto(in Input) string {
	if p.tool.Linked == "" {
		return ""
	}
	for _, run := range p.runs {
		stage, i := placeOf(in.File, run)
		v := in.bare(in.File.Stages[stage])
		filled := rooted(path.Join(v.dirs[i], p.tool.Linked))
		if taker, ok := copyFrom(in.File, stage, filled); ok {
			return p.tool.Program() + " links what it installs to files of its cache, and files that packages have in common to each other: `" +
				short(taker.Text) + "` would bring copies of them out of a cache mount, and the image get larger"
		}
	}
	return ""
}

// placeOf returns the stage of an instruction, and its index in that stage.
func placeOf(f *dockerfile.File, ins dockerfile.Instruction) (stage, index int) {
	stage = slices.IndexFunc(f.Stages, func(st dockerfile.Stage) bool {
		return st.Lines.From <= ins.Lines.From && ins.Lines.To <= st.Lines.To
	})
	return stage, slices.IndexFunc(f.Stages[stage].Instructions, func(other dockerfile.Instruction) bool { return other.Lines == ins.Lines })
}

// copyFrom returns the first COPY that takes something at, above or below an image path from a
// stage, or from one that starts from it.
func copyFrom(f *dockerfile.File, stage int, dir string) (dockerfile.Instruction, bool) {
	for _, st := range f.Stages {
		for _, ins := range st.Instructions {
			if ins.Copy == nil || ins.Copy.From == "" || !extends(f, f.StageOf(ins.Copy.From), stage) {
				continue
			}
			if slices.ContainsFunc(ins.Copy.Sources, func(name string) bool { return overlap(dir, path.Clean("/"+literal(name))) }) {
				return ins, true
			}
		}
	}
	return dockerfile.Instruction{}, false
}

var (
	// library matches packages that programs are compiled with: headers and what is linked.
	library = regexp.MustCompile(`-(dev|devel)(=.*)?$`)
	// libc matches those of the system itself. Its newer versions run what was compiled with older
	// ones.
	libc = regexp.MustCompile(`^(musl|libc6?|linux-libc|python3(\.\d+)?)-(dev|devel)(=.*)?$`)
	// compilers matches compilers. On Alpine Linux they compile for its own libc, musl.
	compilers = regexp.MustCompile(`^(gcc|g\+\+|clang|build-base|alpine-sdk)(=.*)?$`)
)

// compiledWith says with which package of the image the tool compiles what it keeps in its cache,
// or returns "". By the id of the mount, images without that package or with other versions of it
// share the cache, and get what does not fit them (Go: "go help cache"; pip: docs, "Caching", locally
// built wheels).
func (p *mountPlan) compiledWith(in Input, st dockerfile.Stage) string {
	if !p.tool.Compiled || p.withoutCgo(in, st) {
		return ""
	}
	alpine := p.tool.Program() != "go" && strings.Contains(rootStage(in.File, st.Index).Base, "alpine")
	for _, ins := range instructionsOf(in.File, st.Index) {
		if ins.Run == nil {
			continue
		}
		commands, _ := everyCommand(ins.Run, nil)
		for _, c := range commands {
			if !slices.Contains([]string{"apt-get", "apt", "apk", "dnf", "yum", "microdnf"}, c.words[0]) {
				continue
			}
			for _, name := range c.words[1:] {
				if library.MatchString(name) && !libc.MatchString(name) || alpine && compilers.MatchString(name) {
					others := "which images with another version of it use as well: give the mount an id of its own for each base image"
					if p.base != "" {
						others = "which other images from " + p.base + " may use, that do not have it: give the mount an id that is this image's alone"
					}
					return "what " + p.tool.Program() + " compiles with " + name + " stays in the cache, " + others
				}
			}
		}
	}
	return ""
}

// withoutCgo reports whether the tool is go, and compiles nothing with libraries of the image: cgo
// is turned off in each RUN or for the whole stage.
func (p *mountPlan) withoutCgo(in Input, st dockerfile.Stage) bool {
	if p.tool.Program() != "go" {
		return false
	}
	if !slices.ContainsFunc(p.runs, func(run dockerfile.Instruction) bool { return !strings.Contains(run.Run.Given, "CGO_ENABLED=0") }) {
		return true
	}
	n := len(st.Instructions)
	return n > 0 && in.bare(st).written(n)["CGO_ENABLED"] == "0"
}

var (
	// pomPart matches an element of a pom that names another artifact, and pomArtifact its name.
	pomPart     = regexp.MustCompile(`(?s)<(?:dependency|plugin|extension|parent)>.*?</(?:dependency|plugin|extension|parent)>`)
	pomArtifact = regexp.MustCompile(`<artifactId>\s*([^<]*?)\s*</artifactId>`)
	// pomMoving matches a version that may be published anew, and pomProperty a property that is
	// one.
	pomMoving   = regexp.MustCompile(`<version>\s*([^<]*-SNAPSHOT|LATEST|RELEASE|[\[(][^<]*)\s*</version>`)
	pomProperty = regexp.MustCompile(`<((?:[\w.-]+[.-])version|version[.-][\w.-]+)>[^<]*-SNAPSHOT\s*<`)
	// gradleMoving matches such a version in a script of Gradle or in a catalog of versions.
	gradleMoving = regexp.MustCompile(`["'][\w.-]+:[\w.-]+:[^"':]*(?:-SNAPSHOT|\+|latest\.\w+)["']|\b(?:isChanging|changing)\s*[=:]?\s*true|"latest\.\w+"|=\s*"[^"\n]*(?:-SNAPSHOT|\.\+)"`)
)

// movesOn says which version in the manifests may be published anew, by others than the project, or
// returns "". Maven and Gradle look for a newer one only once a day, if their cache is kept.
func (p *mountPlan) movesOn(in Input) string {
	program := p.tool.Program()
	if program != "maven" && program != "gradle" {
		return ""
	}
	manifests := javaManifests(in.Builds[0].Context)
	own := ownArtifacts(manifests)
	for _, name := range slices.Sorted(maps.Keys(manifests)) {
		moving := ""
		switch isPom := path.Base(name) == "pom.xml"; {
		case isPom && program == "maven":
			moving = movingInPom(manifests[name], own)
		case !isPom && program == "gradle":
			moving = movingInGradle(manifests[name])
		}
		if moving != "" {
			return name + " asks for " + moving + ", which may be another one tomorrow: " + program + " would not look for it while its cache is fresh"
		}
	}
	return ""
}

// javaManifests returns the texts of the manifests of Maven and Gradle in a context, by path.
func javaManifests(c Context) map[string]string {
	texts := map[string]string{}
	for name := range c.Files() {
		base := path.Base(name)
		if base != "pom.xml" && !strings.HasSuffix(base, ".gradle") && !strings.HasSuffix(base, ".gradle.kts") && !strings.HasSuffix(base, ".versions.toml") {
			continue
		}
		if text, err := c.Read(name); err == nil {
			texts[name] = string(text)
		}
	}
	return texts
}

// ownArtifacts returns the artifacts that the manifests are of, so that nobody else publishes them.
func ownArtifacts(manifests map[string]string) map[string]bool {
	own := map[string]bool{}
	for _, text := range manifests {
		if m := pomArtifact.FindStringSubmatch(pomPart.ReplaceAllString(text, "")); m != nil {
			own[m[1]] = true
		}
	}
	return own
}

// movingInPom returns the first version of a pom that may be published anew, in words, or "". own
// are the artifacts of the project.
func movingInPom(text string, own map[string]bool) string {
	for _, part := range pomPart.FindAllString(text, -1) {
		version, artifact := pomMoving.FindStringSubmatch(part), pomArtifact.FindStringSubmatch(part)
		if version != nil && (artifact == nil || !own[artifact[1]]) {
			return "the version " + version[1]
		}
	}
	if property := pomProperty.FindStringSubmatch(text); property != nil {
		return "the version " + property[1]
	}
	return ""
}

// movingInGradle returns the first version in a script of Gradle that may be published anew, or "".
func movingInGradle(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "version") {
			continue // the project's own
		}
		if moving := gradleMoving.FindString(line); moving != "" {
			return strings.TrimSpace(moving)
		}
	}
	return ""
}
