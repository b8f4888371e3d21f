package suggest

import (
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// priors are seconds of one execution by kind of command, for steps that were
// never observed: middling values for projects of a few dozen dependencies on
// two cores. They only rank; output says that they were used.
var priors = []struct {
	words   string // what the command line holds
	seconds float64
}{
	{"npm ci", 15}, {"npm install", 15}, {"npm i ", 15}, {"yarn install", 15}, {"pnpm install", 12},
	{"pip install", 20}, {"pip3 install", 20}, {"go mod download", 12}, {"go build", 20}, {"go install", 20}, {"go test", 20},
	{"npm run build", 12}, {"yarn build", 12}, {"npm test", 10}, {"apt-get", 15}, {"apk ", 4}, {"dnf ", 20}, {"yum ", 20},
}

const (
	priorRun  = 3.0
	priorCopy = 0.3
	priorDir  = 0.1
)

// prior returns the table's cost of a RUN with this command line.
func prior(script string) float64 {
	total := 0.0
	for _, p := range priors {
		if strings.Contains(script+" ", p.words) {
			total += p.seconds
		}
	}
	if total == 0 {
		return priorRun
	}
	return total
}

// A pricer gives the cost of steps and remembers whether the table was needed.
type pricer struct {
	seconds map[string]float64
	guessed bool
}

func (p *pricer) cost(in dockerfile.Instruction) float64 {
	if s, ok := p.seconds[in.Text]; ok {
		return s
	}
	p.guessed = true
	switch {
	case in.Run != nil:
		return prior(in.Run.Script + strings.Join(in.Run.Args, " "))
	case in.Copy != nil:
		return priorCopy
	}
	return priorDir
}

// step is the cost of a step of a plan.
func (p *pricer) step(s dockerfile.Step) float64 {
	if known, ok := p.seconds[s.Instruction]; ok {
		return known
	}
	p.guessed = true
	switch s.Keyword {
	case "RUN":
		return prior(s.Instruction)
	case "COPY", "ADD":
		return priorCopy
	}
	return priorDir
}

// split divides the cost of a RUN over its two parts in the table's proportion.
func (p *pricer) split(in dockerfile.Instruction, head, tail string) (float64, float64) {
	p.guessed = true
	a, b := prior(head), prior(tail)
	if s, ok := p.seconds[in.Text]; ok {
		return s * a / (a + b), s * b / (a + b)
	}
	return a, b
}

func (p *pricer) source() string {
	if p.guessed {
		return Prior
	}
	return Observed
}
