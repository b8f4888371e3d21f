package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stokerd/stoker/internal/api"
)

// How many findings and notes of a repository status prints.
const (
	shownFindings = 8
	shownNotes    = 3
)

// repository prints one repository of a status.
func (p printer) repository(s api.Status, r api.Repository) {
	head := []string{p.bold(filepath.Base(r.Root))}
	if at := position(r); at != "" {
		head = append(head, at)
	}
	head = append(head, plural(r.Files, "file"))
	if s.Daemon != nil {
		head = append(head, "watched for "+age(time.Duration(r.Since*float64(time.Second))))
		if !r.Allowed {
			head = append(head, p.warn("not allowed to run"))
		}
	}
	if r.Pending {
		head = append(head, p.warn("changes pending"))
	}
	p.pieces(head)
	if r.Problem != "" {
		p.problem("", r.Problem, r.Hint)
	}
	if r.Watch.Problem != "" {
		p.wrapped(p.warn("watch")+"    ", r.Watch.Problem)
	}
	p.definitions(r.Definitions)
	if left := p.findings(r.Findings, shownFindings, dockerfiles(r)); left > 0 {
		p.line(fmt.Sprintf("         and %s: stoker check lists them all", plural(left, "more finding")))
	}
	p.selfReports(r.Definitions)
	p.warmth(r.Definitions, s.Builder.Connected)
	p.notes(r)
	if r.Suggestions > 0 {
		p.line(fmt.Sprintf("%s: stoker suggest", plural(r.Suggestions, "suggestion")))
	}
}

// position returns the branch and the commit of a repository: "main@3f2c1d9".
func position(r api.Repository) string {
	commit := r.Commit
	if len(commit) > 7 {
		commit = commit[:7]
	}
	switch {
	case r.Branch != "" && commit != "":
		return r.Branch + "@" + commit
	case r.Branch != "":
		return r.Branch + " (no commit yet)"
	}
	return commit
}

// dockerfiles maps the names of definitions to their Dockerfiles.
func dockerfiles(r api.Repository) map[string]string {
	files := map[string]string{}
	for _, d := range r.Definitions {
		files[d.Name] = d.Dockerfile
	}
	return files
}

func (p printer) definitions(list []api.Definition) {
	if len(list) == 0 {
		return
	}
	// A narrow terminal shows no numbers of files, so that names are not cut.
	head, narrow := []string{"BUILD", " CONTEXT", " ", " SENT", " ", " STEPS", "HIT RATE 7d", "WARM"}, p.width > 0 && p.width < 80
	if narrow {
		head = []string{"BUILD", " CONTEXT", " SENT", " STEPS", " HITS 7d", "WARM"}
	}
	var rows [][]string
	for _, d := range list {
		row := make([]string, len(head))
		row[0] = d.Name
		rate, history := "-", ""
		if d.HitRate != nil {
			rate, history = percent(*d.HitRate), sparkline(d.History)
		}
		switch {
		case d.Problem != "":
			row[len(row)-1] = p.bad("problem")
		case narrow:
			copy(row[1:], []string{bytes(d.Context.Bytes), bytes(d.Sent.Bytes), count(d.Steps), rate, p.state(d.Warm.State)})
		default:
			copy(row[1:], []string{
				bytes(d.Context.Bytes), count(d.Context.Files) + " f", bytes(d.Sent.Bytes), count(d.Sent.Files) + " f",
				count(d.Steps), rate + "  " + history, p.state(d.Warm.State),
			})
		}
		rows = append(rows, row)
	}
	others := 0
	for _, w := range widths(head, rows)[1:] {
		others += w + 2
	}
	for _, row := range rows {
		row[0] = p.bold(p.fit(row[0], others))
	}
	p.table(head, rows)
	for _, d := range list {
		if d.Problem != "" {
			p.problem(d.Name, d.Problem, d.Hint)
		}
	}
}

// state colours the state of a definition's warmth.
func (p printer) state(state string) string {
	switch state {
	case "ready":
		return p.good(state)
	case "failed":
		return p.bad(state)
	case "waiting", "warming":
		return p.warn(state)
	}
	return p.dim(state)
}

// warmth prints why definitions are not warm, those of one reason together. It prints
// nothing without a builder, whose absence is printed already.
func (p printer) warmth(list []api.Definition, builder bool) {
	names, order := map[string][]string{}, []string{}
	for _, d := range list {
		if reason := d.Warm.Reason; reason != "" && d.Warm.State != "off" && builder {
			if names[reason] == nil {
				order = append(order, reason)
			}
			names[reason] = append(names[reason], d.Name)
		}
	}
	for _, reason := range order {
		if len(names[reason]) == len(list) {
			p.wrapped(p.dim("warm")+"     ", reason)
			continue
		}
		p.wrapped(p.dim("warm")+"     "+p.bold(p.fit(strings.Join(names[reason], ", "), 11))+"  ", reason)
	}
}

// selfReports prints in what the last build differed from what stoker had computed.
func (p printer) selfReports(list []api.Definition) {
	for _, d := range list {
		if d.Last == nil {
			continue
		}
		for _, text := range d.Last.SelfReport {
			p.wrapped(p.bad("differs")+"  "+p.bold(p.fit(d.Name, 11))+"  ", text+" (build "+d.Last.Ref+")")
		}
	}
}

// notes prints up to shownNotes remarks on what the numbers assume.
func (p printer) notes(r api.Repository) {
	notes := slices.Clone(r.Notes)
	for _, d := range r.Definitions {
		for _, n := range d.Notes {
			if !slices.Contains(notes, n) {
				notes = append(notes, n)
			}
		}
	}
	for i, n := range notes {
		if i == shownNotes {
			p.line(p.dim(fmt.Sprintf("         and %s: --json has them", plural(len(notes)-i, "more note"))))
			return
		}
		p.wrapped(p.dim("note")+"     ", p.dim(n))
	}
}
