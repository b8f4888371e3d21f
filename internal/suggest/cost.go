package suggest

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/effects"
)

// priors are the costs, in seconds, of commands that were never observed: typical values for
// projects of a few dozen dependencies on two cores. They are only good for ranking, and
// output says if they were used. Words that matched an entry do not count for later ones.
var priors = []struct {
	words   string // to look for in the command line, in which "&&" begins each command
	seconds float64
}{
	{"npm install -g ", 4}, {"npm install --global ", 4}, {"npm i -g ", 4}, {"npm i --global ", 4}, {"yarn global add", 4}, {"pnpm add -g ", 4},
	{"pnpm install", 12}, {"pnpm i ", 12}, {"pnpm ci", 12}, {"npm ci", 15}, {"npm install", 15}, {"npm i ", 15}, {"yarn install", 15}, {"yarn --frozen-lockfile", 15},
	{"yarn workspaces focus", 10}, {"bun install", 4}, {"npm run build", 12}, {"yarn build", 12}, {"yarn run build", 12},
	{"pnpm build", 12}, {"pnpm run build", 12}, {"bun run build", 6}, {"turbo run build", 12}, {"turbo build", 12}, {"npm test", 10},
	{"uv pip install", 5}, {"uv sync", 5}, {"pip install", 20}, {"pip3 install", 20}, {"pip wheel", 20}, {"pip3 wheel", 20}, {"poetry install", 20}, {"poetry sync", 20},
	{"conda env ", 60}, {"mamba env ", 30}, {"pipenv install", 25}, {"pipenv sync", 20}, {"pdm install", 15}, {"pdm sync", 15}, {"composer install", 10}, {"bundle install", 40},
	{"go mod download", 12}, {"go mod tidy", 12}, {"go build", 20}, {"go install", 20}, {"go test", 20},
	{"cargo build", 90}, {"cargo auditable build", 90}, {"cargo install", 90}, {"cargo chef cook", 90}, {"cargo test", 90}, {"cargo fetch", 10}, {"rustup toolchain install", 15},
	{"mvn ", 40}, {"mvnw ", 40}, {"gradle ", 40}, {"gradlew ", 40}, {"dotnet restore", 15}, {"dotnet build", 12}, {"dotnet publish", 15},
	{"&& sbt ", 60}, {"cabal build", 60}, {"cabal install", 60}, {"stack build", 60}, {"stack install", 60}, {"swift build", 60}, {"flutter build", 60},
	{"opam install", 60}, {"dune build", 30}, {"crystal build", 30}, {"nimble build", 20}, {"zig build", 20}, {"dart compile", 10}, {"dart pub get", 8},
	{"mix deps.get", 8}, {"mix deps.compile", 40}, {"mix compile", 15}, {"cmake --build", 40}, {"&& make ", 40}, {"&& ninja ", 40},
	{"apt-get", 15}, {"apk ", 4}, {"dnf ", 20}, {"microdnf ", 20}, {"yum ", 20}, {"zypper ", 20}, {"docker-php-ext-install", 30},
}

// Costs, in seconds, of steps without an entry in priors.
const (
	priorRun  = 3.0
	priorMove = 0.4 // a RUN of quick commands: the start of a container
	priorDir  = 0.1 // a WORKDIR
)

// separated replaces all separators of commands by "&&".
var separated = strings.NewReplacer(";", " && ", "\n", " && ", "&&", " && ")

// bareYarn matches a yarn without a command, which installs. It may have flags, but not
// --version.
var bareYarn = regexp.MustCompile(`&& yarn (--[a-uw-z]|&&|$)`)

// prior returns the cost of a RUN with this script by the table.
func prior(script string) float64 {
	total, line := 0.0, "&& "+busy(strings.Join(strings.Fields(separated.Replace(bare(script))), " "))+" "
	line = bareYarn.ReplaceAllString(line, "&& yarn install $1")
	line = strings.ReplaceAll(line, "&& apt ", "&& apt-get ")
	for _, p := range priors {
		if rest := struck(line, p.words); rest != line {
			total += p.seconds
			line = rest
		}
	}
	switch {
	case total > 0:
		return total
	case light(script):
		return priorMove
	}
	return priorRun
}

// busy removes the quick commands from a line, so that words in their arguments do not count.
func busy(line string) string {
	commands := strings.Split(line, " && ")
	return strings.Join(slices.DeleteFunc(commands, func(c string) bool {
		word, _, _ := strings.Cut(c, " ")
		return slices.Contains(quick(), word) && !strings.Contains(c, "|")
	}), " && ")
}

// struck removes words from a line wherever they start at the beginning of a word: there is no
// "go build" in "cargo build".
func struck(line, words string) string {
	for from := 0; ; {
		at := strings.Index(line[from:], words)
		if at < 0 {
			return line
		}
		at += from
		if before := line[max(at-1, 0)]; at > 0 && (before == '_' || before >= 'a' && before <= 'z' || before >= '0' && before <= '9') {
			from = at + 1
			continue
		}
		line, from = line[:at]+line[at+len(words):], at
	}
}

// bare returns the command line of a RUN without the keyword and the flags of BuildKit.
func bare(text string) string {
	text = strings.TrimPrefix(text, "RUN ")
	for {
		text = strings.TrimLeft(text, " ")
		flag, rest, more := strings.Cut(text, " ")
		if !more || !strings.HasPrefix(flag, "--") {
			return text
		}
		text = rest
	}
}

// quick returns the names of commands that take no time worth counting.
func quick() []string {
	return []string{
		":", "[", "[[", "a2dismod", "a2dissite", "a2enmod", "a2ensite", "addgroup", "adduser", "cd", "chgrp", "chmod", "chown", "echo", "exit", "export", "false",
		"groupadd", "ln", "mkdir", "mv", "phpenmod", "printf", "rm", "rmdir", "sed", "set", "test", "touch", "true", "unset", "useradd", "usermod",
	}
}

// light reports whether a script consists of quick commands only.
func light(script string) bool {
	commands, ok := everyCommand(&dockerfile.Run{Given: bare(script)}, nil)
	return ok && len(commands) > 0 && !slices.ContainsFunc(commands, func(c command) bool {
		return !slices.Contains(quick(), c.words[0]) || slices.ContainsFunc(c.words, func(w string) bool {
			return w == "--recursive" || w == "-R" && c.words[0] != "rm" // takes time in a large folder
		})
	})
}

// A pricer tells the costs of steps, and remembers whether one of them was not observed.
type pricer struct {
	seconds map[string]float64 // observed costs: Input.Seconds
	guessed bool
	loadOf  func(line int) load                     // what the COPY or ADD on a line of today's Dockerfile takes
	script  func(run dockerfile.Instruction) string // what the shell executes of a RUN: Input.scriptOf
}

// pricer returns a pricer with the observed costs.
func (in Input) pricer() *pricer {
	return &pricer{seconds: in.Seconds, loadOf: in.loadOf, script: in.scriptOf}
}

// scriptOf returns what the shell executes of a RUN: of one of the Dockerfile as it is, without what the
// first build is known not to run.
func (in Input) scriptOf(run dockerfile.Instruction) string {
	if len(run.Run.Args) > 0 {
		return strings.Join(run.Run.Args, " ")
	}
	for _, st := range in.File.Stages {
		for i, ins := range st.Instructions {
			if ins.Lines == run.Lines && ins.Text == run.Text {
				return in.heard(st, i, in.Builds[0])
			}
		}
	}
	return run.Run.Given
}

// cost returns the cost of an instruction in seconds.
func (p *pricer) cost(in dockerfile.Instruction) float64 {
	if s, ok := p.seconds[in.Text]; ok {
		return s
	}
	p.guessed = true
	switch {
	case in.Run != nil:
		script := p.script(in)
		return prior(script) * left(in.Text, script)
	case in.Copy != nil:
		return p.loadOf(in.Lines.From).seconds()
	}
	return priorDir
}

// scripts returns what RUNs execute of which the name of the step does not tell it, by line: those with
// heredocs, of which it has only the first line, and those with commands that the build does not run.
func (in Input) scripts(b Build, text []byte) map[int]string {
	f, err := in.parse(text)
	if err != nil {
		return nil // cannot be: the frontend converted the text
	}
	in.File = f
	found := map[int]string{}
	for _, st := range f.Stages {
		for i, ins := range st.Instructions {
			if ins.Run == nil || len(ins.Run.Args) > 0 {
				continue
			}
			if heard := in.heard(st, i, b); ins.Run.Heredocs > 0 || heard != ins.Run.Given {
				found[ins.Lines.From] = heard
			}
		}
	}
	return found
}

// step returns the cost of step i of the plan that is weighed, in seconds. script is that of scripts.
func (p *pricer) step(plan scale, i int, script string) float64 {
	s := plan.plan.Steps[i]
	if known, ok := p.seconds[s.Instruction]; ok {
		return known
	}
	p.guessed = true
	switch s.Keyword {
	case "RUN":
		script = cmp.Or(script, bare(s.Instruction))
		return prior(script) * left(s.Instruction, script)
	case "COPY", "ADD":
		return plan.load(i).seconds()
	}
	return priorDir
}

// split divides the cost of a RUN between what its script has up to headEnd and from tailFrom on, in
// proportion to the priors of these.
func (p *pricer) split(in dockerfile.Instruction, headEnd, tailFrom int) (float64, float64) {
	p.guessed = true
	script := p.script(in)
	head, tail := script[:headEnd], script[tailFrom:]
	a, b := prior(head), prior(tail)
	if whole := prior(head + "\n" + tail); a+b-whole > priorRun { // both have the same command, which counts once
		a, b = a*whole/(a+b), b*whole/(a+b)
	}
	if s, ok := p.seconds[in.Text]; ok {
		return s * a / (a + b), s * b / (a + b)
	}
	left := left(in.Text, script)
	return a * left, b * left
}

// mounted matches the flag for a cache mount, mountTarget the path in it.
var (
	mounted     = regexp.MustCompile(`--mount=\S*type=cache\S*`)
	mountTarget = regexp.MustCompile(`\b(?:target|dst|destination)=([^,\s]+)`)
)

// left returns the share, 0..1, of its prior that a RUN still takes with the cache mounts that
// its text has.
func left(text, script string) float64 {
	var targets []string
	for _, flag := range mounted.FindAllString(text, -1) {
		if m := mountTarget.FindStringSubmatch(flag); m != nil {
			targets = append(targets, path.Clean(m[1]))
		}
	}
	commands, ok := everyCommand(&dockerfile.Run{Given: script}, nil)
	if !ok || len(targets) == 0 {
		return 1
	}
	part := 1.0
	for _, tool := range effects.Caches() {
		var own []string
		download := true
		for _, c := range commands {
			if c.is(tool) {
				own = append(own, c.text())
				download = download && c.starts("go", "mod", "download")
			}
		}
		if len(own) == 0 || !slices.ContainsFunc(targets, func(t string) bool { return holds(t, tool) }) {
			continue
		}
		spares := tool.Spares
		if download {
			spares = 0.9 // it does nothing else
		}
		part *= 1 - spares*min(prior(strings.Join(own, " && "))/prior(script), 1)
	}
	return part
}

// usualHomes returns the home folders of the users that most images run as.
func usualHomes() []string { return []string{"/root", "/home/node"} }

// holds reports whether a mount at target may contain the cache of a tool: a folder of the
// cache is in it for one of the usual homes, or its path names the tool.
func holds(target string, tool *effects.Cache) bool {
	inHome := slices.ContainsFunc(usualHomes(), func(home string) bool { _, ok := below(home, target); return ok })
	return covers(target, tool) || !inHome && strings.Contains(target, tool.Program())
}

// covers reports whether one of the folders of a tool's cache is in target.
func covers(target string, tool *effects.Cache) bool {
	var dirs []string
	for image := range tool.Images {
		dirs = append(dirs, tool.At(image, "")...)
	}
	for _, home := range usualHomes() {
		dirs = append(dirs, tool.At("", home)...)
	}
	return slices.ContainsFunc(dirs, func(d string) bool { _, ok := below(target, d); return ok })
}

// source returns the source of the costs so far: Prior if one was guessed.
func (p *pricer) source() string {
	if p.guessed {
		return Prior
	}
	return Observed
}
