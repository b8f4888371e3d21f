package dockerfile

import (
	"path"
	"strings"
)

// Ships reports whether a file that step puts at dest ends up in the image, because the step
// belongs to the image itself or because a later COPY --from copies the file. What a RUN does
// with the file is not known, and is not guessed. A file that a later step deletes does
// end up in the image, as it still is in the layer of the step that put it there.
func (p *Plan) Ships(step int, dest string) bool {
	return p.ships(step, path.Clean("/"+dest), map[shipment]bool{})
}

// A shipment is a path in the result of a step.
type shipment struct {
	step int
	path string
}

// ships is Ships for a clean path. It adds what it looks into to seen, and does not look into
// it again.
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

// extends reports whether the result of step has the layers of base.
func (p *Plan) extends(step, base int) bool {
	for ; step >= 0; step = p.Steps[step].Base {
		if step == base {
			return true
		}
	}
	return false
}

// Landings returns the paths to which a COPY of source to dest may copy the file at
// source/rest, where rest is "" for source itself. There are two if only the builder knows
// whether dest is a directory, into which source would be copied.
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

// below reports whether name matches pattern or lies below a match, and returns the rest of
// name. As in COPY, wildcards do not match a slash.
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

// split returns the elements of a path, none for the root.
func split(name string) []string {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}
