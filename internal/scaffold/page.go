package scaffold

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// width is the longest line of a comment, in bytes.
const width = 100

// A page builds the text of a Dockerfile.
type page struct {
	b     strings.Builder
	hints []string // see Files
}

func (d *page) text() []byte { return []byte(d.b.String()) }

// add adds lines as they are.
func (d *page) add(lines ...string) {
	for _, line := range lines {
		d.b.WriteString(line + "\n")
	}
}

// note adds a comment.
func (d *page) note(text string) { d.b.WriteString(comment(text)) }

// hint adds a hint for the user, which is not a part of the file.
func (d *page) hint(format string, args ...any) {
	d.hints = append(d.hints, fmt.Sprintf(format, args...))
}

// comment returns a text as comment lines.
func comment(text string) string {
	var b strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > width && line != "#" {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
	return b.String()
}

// from begins a stage. why is a comment on the choice of its image, or "".
func (d *page) from(image, name, why string) {
	d.add("")
	if why != "" {
		d.note(why)
	}
	d.add("FROM " + image + " AS " + name)
}

// run adds a RUN, with each mount and each command on its own line.
func (d *page) run(mounts []string, commands ...string) {
	d.b.WriteString("RUN ")
	for _, m := range mounts {
		d.b.WriteString("--mount=" + m + " \\\n    ")
	}
	d.add(strings.Join(commands, " \\\n    && "))
}

// env adds an ENV of pairs NAME=value, which are on one line if there are at most two.
func (d *page) env(pairs ...string) {
	d.b.WriteString("ENV")
	for i, pair := range pairs {
		if i > 0 && len(pairs) > 2 {
			d.b.WriteString(" \\\n   ")
		}
		d.b.WriteString(" " + pair)
	}
	d.add("")
}

// mountsOf returns the cache mounts of a tool that runs as root in an image.
func mountsOf(c *effects.Cache, image string) []string {
	var list []string
	for _, dir := range c.At(image, "/root") {
		m := "type=cache,target=" + dir
		if c.Sharing != "" {
			m += ",sharing=" + c.Sharing
		}
		list = append(list, m)
	}
	return list
}

// list returns a command in exec form.
func list(words ...string) string {
	text, err := marshal(words)
	if err != nil {
		return "[]" // strings always marshal
	}
	return strings.ReplaceAll(text, `","`, `", "`)
}

// marshal returns v as JSON in which characters such as & are not escaped.
func marshal(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSpace(b.String()), err
}

// labels are the values of OCI annotations that a manifest has; "" for none.
// https://github.com/opencontainers/image-spec/blob/main/annotations.md
type labels struct {
	title, description, licenses, source string
}

// end adds the last instructions of every image: labels, user, port, health check and command.
// check is the command of the health check. Those that are empty are left out.
func (d *page) end(a *App, user string, check []string, entrypoint, cmd []string) {
	d.add("")
	d.add("ARG REVISION=\"\"")
	lines := []string{"org.opencontainers.image.title=" + quote(a.labels.title)}
	for _, l := range []struct{ name, value string }{
		{"description", a.labels.description}, {"licenses", a.labels.licenses}, {"source", a.labels.source},
	} {
		if l.value != "" {
			lines = append(lines, "org.opencontainers.image."+l.name+"="+quote(l.value))
		}
	}
	lines = append(lines, `org.opencontainers.image.revision="$REVISION"`)
	d.add("LABEL " + strings.Join(lines, " \\\n      "))
	if user != "" {
		d.add("USER " + user)
	}
	if a.Port != 0 {
		d.add("EXPOSE " + strconv.Itoa(a.Port))
	}
	if len(check) > 0 && a.Port != 0 {
		d.add("HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \\\n    CMD " + list(check...))
	}
	if len(entrypoint) > 0 {
		d.add("ENTRYPOINT " + list(entrypoint...))
	}
	if len(cmd) > 0 {
		d.add("CMD " + list(cmd...))
	}
}

// quote returns a text of a manifest as a quoted value of a LABEL, in which variables, quotes
// and line ends have no meaning. It is cut after 200 characters.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	n := 0
	for _, r := range strings.Join(strings.Fields(text), " ") {
		if n++; n > 200 {
			b.WriteString("…")
			break
		}
		switch {
		case r == '"' || r == '\\' || r == '$':
			b.WriteString(`\` + string(r))
		case strconv.IsPrint(r):
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// word returns a name in lower case, with a dash in place of anything but letters, digits, dots
// and underscores; "app" if nothing is left.
func word(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	if name := strings.Trim(b.String(), "-._"); name != "" {
		return name
	}
	return "app"
}
