package scaffold

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/stokerd/stoker/internal/effects"
)

// width is where comments are broken.
const width = 100

// A page is a Dockerfile in the making.
type page struct {
	b     strings.Builder
	hints []string
}

func (d *page) text() []byte { return []byte(d.b.String()) }

// add writes lines as they are.
func (d *page) add(lines ...string) {
	for _, line := range lines {
		d.b.WriteString(line + "\n")
	}
}

// note writes a comment.
func (d *page) note(text string) { d.b.WriteString(comment(text)) }

// hint tells the reader something that does not belong into the file.
func (d *page) hint(format string, args ...any) {
	d.hints = append(d.hints, fmt.Sprintf(format, args...))
}

// comment breaks a text into comment lines.
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

// from begins a stage, with the reason for its image above it.
func (d *page) from(image, name, why string) {
	d.add("")
	if why != "" {
		d.note(why)
	}
	d.add("FROM " + image + " AS " + name)
}

// run writes a RUN: each mount and each command on a line of its own.
func (d *page) run(mounts []string, commands ...string) {
	d.b.WriteString("RUN ")
	for _, m := range mounts {
		d.b.WriteString("--mount=" + m + " \\\n    ")
	}
	d.add(strings.Join(commands, " \\\n    && "))
}

// env writes one ENV of name and value pairs.
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

// mountsOf are the cache mounts of a tool that runs as root in an image.
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

// list is the exec form of a command.
func list(words ...string) string {
	text, err := marshal(words)
	if err != nil {
		return "[]" // strings always marshal
	}
	return strings.ReplaceAll(text, `","`, `", "`)
}

func marshal(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSpace(b.String()), err
}

// labels are OCI annotations that a manifest gives.
// https://github.com/opencontainers/image-spec/blob/main/annotations.md
type labels struct {
	title, description, licenses, source string
}

// end writes what ends every image: labels that cost no step, the user, the port,
// the health check and the command.
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

// quote makes a text of a manifest one word of a LABEL: no variable, no quote and
// no line end in it is read as such, and a long one is cut.
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

// word makes a name plain: what is not a letter, digit, dot or dash becomes a dash.
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
