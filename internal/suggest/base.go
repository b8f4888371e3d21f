package suggest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// rootImages returns the names of images that are known to run as root.
func rootImages() []string {
	return []string{
		"node", "python", "golang", "rust", "ruby", "php", "composer", "maven", "gradle", "eclipse-temurin", "amazoncorretto", "openjdk",
		"alpine", "debian", "ubuntu", "fedora", "rockylinux", "almalinux", "amazonlinux", "buildpack-deps", "oven/bun", "ghcr.io/astral-sh/uv",
		"mcr.microsoft.com/dotnet/sdk", "rustlang/rust", "lukemathwalker/cargo-chef",
	}
}

// imageName returns an image reference without tag and digest. Of an image of Docker's library
// it is the short name, also if the reference names the registry or a known mirror.
func imageName(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	last := strings.LastIndex(name, "/") + 1
	if i := strings.Index(name[last:], ":"); i >= 0 { // the tag may be a variable with a default: ${TAG:-1}
		name = name[:last+i]
	}
	for _, host := range []string{"docker.io/", "registry.docker.com/", "index.docker.io/", "registry-1.docker.io/", "mirror.gcr.io/", "public.ecr.aws/docker/"} {
		name = strings.TrimPrefix(name, host)
	}
	return strings.TrimPrefix(name, "library/")
}

// givenBy returns what is known of the configuration of a base image: its working folder, else baseDir,
// and variables. Of PHP's official images, those with a server start in the folder of its pages.
func givenBy(ref string) (dir string, env map[string]string) {
	dir, env = baseDir, map[string]string{}
	if imageName(ref) != "php" {
		return dir, env
	}
	env["PHPIZE_DEPS"] = "autoconf dpkg-dev file g++ gcc libc-dev make pkgconf re2c" // or so, by the distribution
	name, _, _ := strings.Cut(ref, "@")
	if strings.Contains(name, "-apache") || strings.Contains(name, "-fpm") {
		dir = "/var/www/html"
	}
	return dir, env
}

// rootStage returns the lowest base stage of a stage, which starts from an image.
func rootStage(f *dockerfile.File, stage int) dockerfile.Stage {
	for f.Stages[stage].BaseStage >= 0 {
		stage = f.Stages[stage].BaseStage
	}
	return f.Stages[stage]
}

// variables matches what a variable stands for in the name of an image.
var variables = regexp.MustCompile(`\$(\{[^}]*\}|\w+)`)

// namesStage reports whether a stage, or one that it starts from, starts from a variable that in some
// build is, or may be, the name of a stage above: what that sets and makes is then not known.
func (in Input) namesStage(st dockerfile.Stage) bool {
	root := rootStage(in.File, st.Index)
	if root.Index == 0 || !strings.Contains(root.Base, "$") || strings.ContainsAny(variables.ReplaceAllString(root.Base, ""), ":/@") {
		return false
	}
	return slices.ContainsFunc(in.Builds, func(b Build) bool {
		args := map[string]string{}
		for _, ins := range in.File.Globals {
			for _, a := range ins.Vars {
				if value, given := b.Args[a.Name]; given {
					args[a.Name] = value
				} else if a.Set {
					args[a.Name] = expand(strings.Trim(a.Value, `"'`), args)
				}
			}
		}
		name := expand(root.Base, args)
		at := in.File.StageOf(name)
		return strings.Contains(name, "$") || at >= 0 && at < root.Index
	})
}

// doubted returns a suggestion as advice if it is for a stage of which it is not known what it starts
// from.
func (in Input) doubted(s Suggestion) Suggestion {
	if s.Proof != ByConstruction || s.File != "" || strings.HasPrefix(s.Rule, "buildkit/") {
		return s
	}
	for _, st := range in.File.Stages {
		if s.Lines.To >= st.Lines.From && s.Lines.From <= st.Lines.To && in.namesStage(st) {
			s.Proof, s.Obstacle = Advice, "which stage "+rootStage(in.File, st.Index).Base+" is, a variable decides: what that sets and makes is not known"
			break
		}
	}
	return s
}

// onWindows reports whether a stage is known to be for Windows: by the image that it starts from, or
// since the Dockerfile sets the escape character that Windows has its own for.
func onWindows(f *dockerfile.File, stage int) bool {
	base := rootStage(f, stage).Base
	return f.Escape == '`' || strings.Contains(base, "nanoserver") || strings.Contains(base, "windowsservercore") ||
		strings.HasPrefix(base, "mcr.microsoft.com/windows") || strings.HasPrefix(base, "mcr.microsoft.com/dotnet/framework/")
}

// byRoot reports whether the user at instruction t is known to be root, since neither the
// Dockerfile nor the image that it starts from sets another. A WORKDIR there makes a folder that
// root owns (BuildKit: dockerfile2llb.dispatchWorkdir).
func (v *stageView) byRoot(t int) bool {
	if base := imageName(rootStage(v.file, v.stage.Index).Base); base != "scratch" && !slices.Contains(rootImages(), base) {
		return false
	}
	isUser := func(in dockerfile.Instruction) bool { return in.Keyword == "USER" }
	for at := v.stage.BaseStage; at >= 0; at = v.file.Stages[at].BaseStage {
		if slices.ContainsFunc(v.file.Stages[at].Instructions, isUser) {
			return false
		}
	}
	return !slices.ContainsFunc(v.stage.Instructions[:t], isUser)
}

// startsAtRoot reports whether / is known to be the working folder of the image that the stage
// starts from. Others start among files of their own: php in /var/www/html.
func (v *stageView) startsAtRoot() bool {
	return slices.Contains([]string{
		"node", "python", "rust", "ruby", "maven", "eclipse-temurin", "amazoncorretto", "openjdk", "alpine", "debian", "ubuntu", "fedora",
		"rockylinux", "almalinux", "amazonlinux", "buildpack-deps", "busybox", "scratch", "nginx", "mcr.microsoft.com/dotnet/sdk",
	}, imageName(rootStage(v.file, v.stage.Index).Base))
}

// ownerByName reports whether instruction i, a COPY or ADD, names its owner, so that the builder
// looks it up in the accounts of the image.
func (v *stageView) ownerByName(i int) bool {
	return strings.ContainsFunc(strings.ReplaceAll(v.stage.Instructions[i].Copy.Chown, "root", "0"), func(c rune) bool {
		return c != ':' && (c < '0' || c > '9')
	})
}

// mayName returns a function that reports whether instruction t, by writing to a path or place,
// may decide what the name of an owner stands for in instruction i, a COPY or ADD.
func (v *stageView) mayName(i, t int) func(written string) bool {
	name, group, _ := strings.Cut(v.stage.Instructions[i].Copy.Chown, ":")
	inBase := imageName(rootStage(v.file, v.stage.Index).Base) == "node" && name == "node" && (group == "" || group == "node")
	return func(written string) bool {
		if _, ok := effects.PlacesOf(written); ok {
			return i > t && !inBase // packages add users, but do not change those that exist
		}
		return slices.ContainsFunc(accounts, func(a string) bool { return overlap(a, folderOf(written)) })
	}
}
