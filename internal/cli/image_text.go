package cli

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/stokerd/stoker/internal/api"
)

// print prints the facts about an image, and then what is wrong with it; with --layer only
// what is in that layer.
func (c *imageOptions) print(a api.Image) {
	if a.Tree != nil {
		c.printTree(a)
		c.notes(a.Notes)
		c.printGates(a.Gates, a.Signature)
		return
	}
	p := c.out
	p.line(p.bold(p.fit(a.Name, 0)))
	p.fact("holds", fmt.Sprintf("%s unpacked, %s stored, %s, %s, for %s", bytes(a.Unpacked), bytes(a.Stored),
		plural(len(a.Layers), "layer"), plural(a.Files, "file"), a.Platform))
	c.printFacts(a)
	c.printLayers(a.Layers)
	c.printLosses(a)
	c.printFiles("the biggest files", a.Biggest)
	c.printLeftovers(a.Leftovers)
	c.printSetID(a.SetID)
	c.printSecrets(a.Secrets)
	c.notes(a.Notes)
	c.printGates(a.Gates, a.Signature)
}

// fact prints a line of a summary: a name of up to 8 letters, and a text.
func (p printer) fact(name, text string) { p.wrapped(p.dim(fmt.Sprintf("%-8s", name))+" ", text) }

func (c *imageOptions) printFacts(a api.Image) {
	p := c.out
	p.fact("from", a.From)
	if a.Base != nil {
		p.fact("base", baseText(a.Base))
	}
	if a.System != "" {
		p.fact("system", a.System)
	}
	waste := "none that a container does not see"
	if a.Hidden > 0 {
		waste = bytes(a.Hidden) + " that no container sees"
	}
	p.fact("waste", fmt.Sprintf("%s; as dive counts, efficiency %.1f%%, wasted %s", waste, a.Efficiency*100, bytes(a.WastedBytes)))
	k := a.Config
	user := k.User
	if k.Root {
		user = p.warn("root")
	}
	words := []string{"user " + user}
	for _, f := range []struct{ name, text string }{
		{"entrypoint", strings.Join(k.Entrypoint, " ")}, {"cmd", strings.Join(k.Cmd, " ")}, {"in", k.WorkingDir},
		{"ports", strings.Join(k.Exposed, " ")}, {"volumes", strings.Join(k.Volumes, " ")},
	} {
		if f.text != "" {
			words = append(words, f.name+" "+f.text)
		}
	}
	if k.Healthcheck == "" || k.Healthcheck == "none" {
		words = append(words, "no health check")
	} else {
		words = append(words, "health check "+k.Healthcheck)
	}
	p.fact("runs", strings.Join(words, ", "))
	if len(a.Platforms) > 1 {
		others := slices.DeleteFunc(slices.Clone(a.Platforms), func(name string) bool { return name == a.Platform })
		p.fact("also for", strings.Join(others, ", "))
	}
}

// baseText says which image is the base, and how that is known.
func baseText(b *api.ImageBase) string {
	var words []string
	switch its := upTo(b.Layers); {
	case b.How == "layers":
		words = append(words, b.Name+", "+its+": they are its")
	case b.How == "annotations":
		words = append(words, strings.TrimSpace(b.Name+" "+b.Digest)+" by its annotations")
		if b.Layers > 0 {
			words = append(words, its+" as the history looks")
		}
	case b.How == "history":
		words = append(words, "an image of "+its+", as the history looks")
	}
	if b.Different {
		words = append(words, "the one given with --base is not it")
	}
	return strings.Join(words, "; ")
}

// upTo names the first n layers.
func upTo(n int) string {
	if n == 1 {
		return "layer 1"
	}
	return fmt.Sprintf("layers 1-%d", n)
}

func (c *imageOptions) printLayers(list []api.ImageLayer) {
	p := c.out
	var rows [][]string
	const others = 40
	for _, l := range list {
		hidden := "-"
		if l.Hidden > 0 {
			hidden = bytes(l.Hidden)
		}
		stored := bytes(l.Stored)
		if l.Compression == "none" {
			stored = "as is"
		}
		text := cmp.Or(oneLine(l.Instruction), "-")
		if p.width > 0 {
			text = clip(text, max(p.width-others, 20))
		}
		if l.Base {
			text = p.dim(text)
		}
		rows = append(rows, []string{fmt.Sprint(l.Number), bytes(l.Unpacked), stored, count(l.Files), hidden, text})
	}
	if len(rows) > 0 {
		p.line()
		p.table([]string{" #", " SIZE", " STORED", " FILES", " HIDDEN", "INSTRUCTION"}, rows)
	}
}

// most returns how many of n entries are printed: all with --all, else --top at most.
func (c *imageOptions) most(n int) int {
	if c.all {
		return n
	}
	return min(n, c.top)
}

func (c *imageOptions) heading(text string) {
	c.out.line()
	c.out.line(c.out.bold(text))
}

func (c *imageOptions) printLosses(a api.Image) {
	n := c.most(len(a.Losses))
	if n == 0 {
		return
	}
	c.heading("hidden by later layers")
	var rows [][]string
	for _, l := range a.Losses[:n] {
		how := l.How
		if how == "covered" {
			how = "made opaque"
		}
		in := numbers(l.Layers)
		if len(l.Layers) == 1 && l.Layers[0] == l.By {
			in = "the same layer"
		}
		name := l.Path
		if l.Files > 1 {
			name += fmt.Sprintf(" (%s files)", count(l.Files))
		}
		rows = append(rows, []string{bytes(l.Bytes), c.out.fit(name, 50), "of " + in, fmt.Sprintf("%s in %d", how, l.By)})
	}
	c.out.table([]string{" SIZE", "PATH", "IN", "BY"}, rows)
	c.left(a.LossCount - n)
}

// left says that n more entries are not printed.
func (c *imageOptions) left(n int) {
	if n > 0 {
		c.out.line(c.out.dim(fmt.Sprintf("and %s more: --all or --json lists them", count(n))))
	}
}

// numbers names layers: "layer 3" or "layers 3, 5".
func numbers(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = fmt.Sprint(n)
	}
	if len(list) > 1 {
		return "layers " + strings.Join(words, ", ")
	}
	return "layer " + strings.Join(words, ", ")
}

func (c *imageOptions) printFiles(title string, list []api.ImageFile) {
	n := c.most(len(list))
	if n == 0 {
		return
	}
	c.heading(title)
	var rows [][]string
	for _, f := range list[:n] {
		rows = append(rows, []string{bytes(f.Size), c.out.fit(f.Path, 20), fmt.Sprint(f.Layer)})
	}
	c.out.table([]string{" SIZE", "PATH", " LAYER"}, rows)
}

func (c *imageOptions) printLeftovers(list []api.ImageLeftover) {
	if len(list) == 0 {
		return
	}
	c.heading("left over")
	n := c.most(len(list))
	for _, l := range list[:n] {
		whose := numbers(l.Layers)
		if l.Base {
			whose += ", the base's"
		}
		where := l.Path
		if where == "." {
			where = "all over the image"
		}
		c.out.wrapped(fmt.Sprintf("%8s  ", bytes(l.Bytes)), fmt.Sprintf("%s  %s, %s, %s", c.out.bold(l.Kind), where, plural(l.Files, "file"), whose))
		if !l.Base {
			c.out.wrapped(strings.Repeat(" ", 10), c.out.dim(l.Advice))
		}
	}
	c.left(len(list) - n)
}

func (c *imageOptions) printSetID(list []api.ImageFile) {
	if len(list) == 0 {
		return
	}
	c.heading("files that run with others' rights")
	n := c.most(len(list))
	var rows [][]string
	for _, f := range list[:n] {
		rows = append(rows, []string{f.Mode, fmt.Sprintf("%d:%d", f.UID, f.GID), c.out.fit(f.Path, 32), fmt.Sprint(f.Layer)})
	}
	c.out.table([]string{"MODE", "OWNER", "PATH", " LAYER"}, rows)
	c.left(len(list) - n)
}

func (c *imageOptions) printSecrets(list []api.ImageSecret) {
	if len(list) == 0 {
		return
	}
	c.heading("secrets")
	n := c.most(len(list))
	for _, s := range list[:n] {
		place := s.Path
		switch {
		case s.Where != "file" && s.Name != "":
			place = s.Where + " " + s.Name
		case s.Where != "file":
			place = s.Where
		case s.Line > 0:
			place = fmt.Sprintf("%s:%d", s.Path, s.Line)
		}
		words := []string{s.Rule}
		if s.Layer > 0 {
			words = append(words, fmt.Sprintf("layer %d", s.Layer))
		}
		if s.Base {
			words = append(words, "the base's")
		}
		if s.GoneBy > 0 {
			words = append(words, fmt.Sprintf("layer %d hides it, which takes nothing back", s.GoneBy))
		}
		c.out.wrapped(c.out.severity(s.Severity, "secret")+"   "+c.out.bold(c.out.fit(place, 9))+"  ", strings.Join(words, ", "))
		if s.Where != "file" {
			c.out.wrapped(strings.Repeat(" ", 9), c.out.dim(s.Message))
		}
	}
	c.left(len(list) - n)
}

// printGates prints one line for each limit, and for the signature.
func (c *imageOptions) printGates(g *api.ImageGates, s *api.ImageSignature) {
	if g == nil && s == nil {
		return
	}
	c.out.line()
	if s != nil {
		c.printSignature(*s)
	}
	if g == nil {
		return
	}
	for _, r := range g.Rules {
		limit, actual := fmt.Sprint(r.Limit), fmt.Sprintf("%.4f", r.Actual)
		if r.Bytes {
			limit, actual = bytes(int64(r.Limit)), bytes(int64(r.Actual))
		}
		word := c.out.good("pass")
		if !r.OK {
			word = c.out.bad("FAIL")
		}
		bound := "at most"
		if r.Rule == "lowestEfficiency" {
			bound = "at least"
		}
		c.out.printf("%s  %s: %s, %s %s\n", word, r.Rule, actual, bound, limit)
	}
}

// printTree prints what is in the layer that --layer names.
func (c *imageOptions) printTree(a api.Image) {
	p := c.out
	l := a.Layers[a.Tree.Layer-1]
	p.line(p.bold(p.fit(a.Name, 0)))
	p.fact("layer", fmt.Sprintf("%d of %d, %s, %s, hidden %s", l.Number, len(a.Layers), bytes(l.Unpacked), plural(l.Files, "file"), bytes(l.Hidden)))
	if l.Instruction != "" {
		p.fact("made by", oneLine(l.Instruction))
	}
	nodes := make([]api.TreeNode, len(a.Tree.Entries))
	for i, n := range a.Tree.Entries {
		kind := n.Type
		if kind == "opaque" || kind == "deleted" {
			kind = "dir"
		}
		nodes[i] = api.TreeNode{
			Path: n.Path, Type: kind, Depth: n.Depth, Left: n.Left,
			Context: api.Size{Files: n.Files, Bytes: n.Size}, Sent: api.Size{Files: n.Files, Bytes: n.Hidden},
		}
		if n.Type == "deleted" {
			nodes[i].Type = "file"
			nodes[i].Path = path.Join(path.Dir(n.Path), path.Base(n.Path)+" (deleted)")
		}
	}
	if len(nodes) == 0 {
		return
	}
	var rows [][]string
	list, wide := p.outline(nodes, 30)
	for _, o := range list {
		files, hidden := "", "-"
		if o.folder {
			files = count(o.context.Files)
		}
		if o.sent.Bytes > 0 {
			hidden = bytes(o.sent.Bytes)
		}
		rows = append(rows, []string{bytes(o.context.Bytes), hidden, files, o.within(wide)})
	}
	p.table([]string{" SIZE", " HIDDEN", " FILES", "PATH"}, rows)
}

func (c *imageOptions) printSignature(s api.ImageSignature) {
	word, text := c.out.good("pass"), "by "+s.By
	if !s.OK {
		word, text = c.out.bad("FAIL"), "none by "+s.By+" was found: "+s.Problem
	}
	c.out.wrapped(word+"  ", "signature: "+text)
}
