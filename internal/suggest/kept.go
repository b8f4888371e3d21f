package suggest

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// linkedInto says which COPY takes files that are links of each other only because the
// tool links them to its cache, or returns "". A link does not leave a mount: there the
// tool copies, and the image has the same content several times.
func (p *mountPlan) linkedInto(in Input) string {
	if p.tool.Linked == "" {
		return ""
	}
	f := in.File
	for _, run := range p.runs {
		at := slices.IndexFunc(f.Stages, func(st dockerfile.Stage) bool { return run.Lines.From >= st.Lines.From && run.Lines.To <= st.Lines.To })
		v := newStageView(f, f.Stages[at])
		i := slices.IndexFunc(v.stage.Instructions, func(ins dockerfile.Instruction) bool { return ins.Lines == run.Lines })
		filled := rooted(path.Join(v.dirs[i], p.tool.Linked))
		for _, st := range f.Stages {
			for _, ins := range st.Instructions {
				if ins.Copy == nil || ins.Copy.From == "" || !extends(f, f.StageOf(ins.Copy.From), at) {
					continue
				}
				for _, name := range ins.Copy.Sources {
					if overlap(filled, path.Clean("/"+literal(name))) {
						return p.tool.Program() + " links what it installs to files of its cache, and files that packages have in common to each other: `" +
							short(ins.Text) + "` would bring copies of them out of a cache mount, and the image get larger"
					}
				}
			}
		}
	}
	return ""
}

var (
	// library matches packages with what programs are compiled against, and libc those of
	// the system's own, which stay compatible.
	library = regexp.MustCompile(`-(dev|devel)(=.*)?$`)
	libc    = regexp.MustCompile(`^(musl|libc6?|linux-libc|python3(\.\d+)?)-(dev|devel)(=.*)?$`)
	// compilers are packages that compile; those of Alpine Linux for its own libc alone.
	compilers = regexp.MustCompile(`^(gcc|g\+\+|clang|build-base|alpine-sdk)(=.*)?$`)
)

// compiledWith says with which library of the image the tool compiles what it keeps in its
// cache, or returns "". By the default name of the mount, images with other versions of it
// share that cache (Go: "go help cache"; pip: docs, "Caching", locally built wheels).
func (p *mountPlan) compiledWith(in Input, st dockerfile.Stage) string {
	if !p.tool.Compiled {
		return ""
	}
	if p.tool.Program() == "go" && !slices.ContainsFunc(p.runs, func(run dockerfile.Instruction) bool { return !strings.Contains(run.Run.Given, "CGO_ENABLED=0") }) {
		return ""
	}
	v := newStageView(in.File, st)
	if n := len(st.Instructions); n > 0 && p.tool.Program() == "go" && v.written(n)["CGO_ENABLED"] == "0" {
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
					return "what " + p.tool.Program() + " compiles with " + name + " stays in the cache, which images with another version of it use as well: give the mount an id of its own for each base image"
				}
			}
		}
	}
	return ""
}

var (
	pomPart     = regexp.MustCompile(`(?s)<(?:dependency|plugin|extension|parent)>.*?</(?:dependency|plugin|extension|parent)>`)
	pomArtifact = regexp.MustCompile(`<artifactId>\s*([^<]*?)\s*</artifactId>`)
	pomMoving   = regexp.MustCompile(`<version>\s*([^<]*-SNAPSHOT|LATEST|RELEASE|[\[(][^<]*)\s*</version>`)
	pomProperty = regexp.MustCompile(`<((?:[\w.-]+[.-])version|version[.-][\w.-]+)>[^<]*-SNAPSHOT\s*<`)
	// gradleMoving finds versions of packages that others than the project set anew.
	gradleMoving = regexp.MustCompile(`["'][\w.-]+:[\w.-]+:[^"':]*(?:-SNAPSHOT|\+|latest\.\w+)["']|\b(?:isChanging|changing)\s*[=:]?\s*true|"latest\.\w+"|=\s*"[^"\n]*(?:-SNAPSHOT|\.\+)"`)
)

// movesOn says which package the manifests ask for by a version that others may publish
// anew, or returns "". Maven and gradle look for such once a day, by what is in their cache.
func (p *mountPlan) movesOn(in Input) string {
	program := p.tool.Program()
	if program != "maven" && program != "gradle" {
		return ""
	}
	texts, own := map[string]string{}, map[string]bool{}
	c := in.Builds[0].Context
	for name := range c.Files() {
		base := path.Base(name)
		if base != "pom.xml" && !strings.HasSuffix(base, ".gradle") && !strings.HasSuffix(base, ".gradle.kts") && !strings.HasSuffix(base, ".versions.toml") {
			continue
		}
		if text, err := c.Read(name); err == nil {
			texts[name] = string(text)
			if m := pomArtifact.FindStringSubmatch(pomPart.ReplaceAllString(string(text), "")); m != nil {
				own[m[1]] = true
			}
		}
	}
	said := func(what, name string) string {
		return name + " asks for " + what + ", which may be another one tomorrow: " + program + " would not look for it while its cache is fresh"
	}
	for name, text := range texts {
		if program == "gradle" {
			for line := range strings.Lines(text) {
				if at := gradleMoving.FindString(line); at != "" && !strings.HasPrefix(strings.TrimSpace(line), "version") && path.Base(name) != "pom.xml" {
					return said(strings.TrimSpace(at), name)
				}
			}
			continue
		}
		if path.Base(name) != "pom.xml" {
			continue
		}
		for _, part := range pomPart.FindAllString(text, -1) {
			if at := pomMoving.FindStringSubmatch(part); at != nil {
				if artifact := pomArtifact.FindStringSubmatch(part); artifact == nil || !own[artifact[1]] {
					return said("the version "+at[1], name)
				}
			}
		}
		if at := pomProperty.FindStringSubmatch(text); at != nil {
			return said("the version "+at[1], name)
		}
	}
	return ""
}
