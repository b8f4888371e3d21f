package suggest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// compilerPackage matches packages that are a compiler, or install one with what it needs.
var compilerPackage = regexp.MustCompile(`^(build-essential|build-base|alpine-sdk|gcc|g\+\+|gcc-c\+\+|clang)(=.*)?$`)

// withCompilers are images whose full variants have compilers of their own, so that a package of
// one adds next to nothing.
var withCompilers = []string{"python", "node", "ruby", "perl", "golang", "rust", "php", "gcc", "buildpack-deps"}

// compilerUsers are programs that call a compiler, or install packages of which some are compiled.
var compilerUsers = []string{
	"pip", "pip3", "uv", "poetry", "pipenv", "pdm", "bundle", "gem", "npm", "yarn", "pnpm", "cargo", "mix",
	"make", "cmake", "ninja", "meson", "cc", "gcc", "g++", "clang", "pecl", "docker-php-ext-install",
}

// shipsCompiler returns what is told of a compiler that the steps of an image install, use and leave
// in it. It reports false if there is none.
func (in Input) shipsCompiler(target int) (excess, bool) {
	base := rootStage(in.File, target).Base
	if slices.Contains(withCompilers, imageName(base)) && !strings.Contains(base, "slim") && !strings.Contains(base, "alpine") {
		return excess{}, false
	}
	var (
		packages  []string
		by, using dockerfile.Instruction
		used      bool
	)
	for _, i := range chainOf(in.File, target) {
		v := in.bare(in.File.Stages[i])
		for k, ins := range v.stage.Instructions {
			if ins.Run == nil {
				continue
			}
			commands, _ := v.everyCommand(k)
			for _, c := range commands {
				switch {
				case removesPackages(c):
					return excess{}, false
				case verbOf(c, "install", "apt-get", "apt", "dnf", "yum", "microdnf") || verbOf(c, "add", "apk"):
					for _, name := range c.words[1:] {
						if compilerPackage.MatchString(name) && !slices.Contains(packages, name) {
							packages, by = append(packages, name), ins
						}
					}
				case len(packages) > 0 && !used && mayCompile(c):
					used, using = true, ins
				}
			}
		}
	}
	if !used {
		return excess{}, false
	}
	where := "for `" + short(using.Text) + "`"
	if using.Lines == by.Lines {
		where = "for its other commands"
	}
	bytes := int64(170e6) // about, with the headers of the C library
	if slices.ContainsFunc(packages, func(name string) bool {
		return strings.Contains(name, "build") || strings.Contains(name, "+") || strings.Contains(name, "sdk")
	}) {
		bytes = 250e6
	}
	return excess{by, fmt.Sprintf("`%s` installs %s %s, and the image that ships carries %s for the rest of its life.",
		short(by.Text), list(packages, "and"), where, pronounOf(len(packages))), bytes}, true
}

// mayCompile reports whether a command compiles, or installs packages of which some are. A tool that
// npm installs for the whole image is not what the compiler is there for.
func mayCompile(c command) bool {
	_, pip := pipArgs(c)
	global := slices.Contains(c.words, "-g") || slices.Contains(c.words, "--global")
	return pip || slices.Contains(compilerUsers, c.words[0]) && !global
}

// removesPackages reports whether a command removes packages of the system.
func removesPackages(c command) bool {
	return verbOf(c, "del", "apk") || slices.ContainsFunc([]string{"remove", "purge", "autoremove", "erase"}, func(verb string) bool {
		return verbOf(c, verb, "apt-get", "apt", "dnf", "yum", "microdnf")
	})
}
