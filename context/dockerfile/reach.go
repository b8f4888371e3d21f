package dockerfile

import (
	"path"
	"strings"
)

// Ships reports whether a file that step puts at dest ends up in the image:
// because the step is part of it, or because a later COPY --from carries the
// path over. What a RUN does with the file is not known and not guessed; a file
// that a later step deletes still is in the layer that brought it.
func (p *Plan) Ships(step int, dest string) bool {
	return p.ships(step, path.Clean("/"+dest), map[shipment]bool{})
}

// A shipment is a path in the result of a step.
type shipment struct {
	step int
	path string
}

func (p *Plan) ships(step int, dest string, seen map[shipment]bool) bool {
	if seen[shipment{step, dest}] {
		return false
	}
	seen[shipment{step, dest}] = true
	if p.Steps[step].Final {
		return true
	}
	for j := range p.Steps {
		for _, t := range p.Steps[j].From {
			if t.Mount || !p.extends(t.Step, step) {
				continue
			}
			rest, ok := below(t.Path, dest)
			if !ok {
				continue
			}
			for _, landing := range Landings(t.Dest, dest, rest) {
				if p.ships(j, landing, seen) {
					return true
				}
			}
		}
	}
	return false
}

// extends reports whether the result of step holds the layers of base.
func (p *Plan) extends(step, base int) bool {
	for ; step >= 0; step = p.Steps[step].Base {
		if step == base {
			return true
		}
	}
	return false
}

// Landings returns where COPY may put what lies at rest below source, rest being
// "" for the source itself: at dest, or below it should dest happen to be a
// directory, which only a builder knows. At most one of them comes to be.
func Landings(dest, source, rest string) []string {
	if rest != "" {
		return []string{path.Join("/", dest, rest)}
	}
	inside := path.Join("/", dest, path.Base(source))
	if strings.HasSuffix(dest, "/") {
		return []string{inside}
	}
	return []string{path.Join("/", dest), inside}
}

// below reports whether name is pattern, or lies below it, and returns the rest.
// Wildcards match within a component, as they do in COPY.
func below(pattern, name string) (rest string, ok bool) {
	p, n := split(pattern), split(name)
	if len(n) < len(p) {
		return "", false
	}
	for i := range p {
		if ok, err := path.Match(p[i], n[i]); err != nil || !ok {
			return "", false
		}
	}
	return strings.Join(n[len(p):], "/"), true
}

func split(name string) []string {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}
