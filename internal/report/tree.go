package report

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/internal/api"
	"github.com/stokerd/stoker/internal/project"
)

// ContextTree reports the effective context of a build as a tree of folders with their sizes,
// from req.Path down. Without a name, it is of the only build that has this folder in its
// context. The error is an *api.Error: those of [One] and [Context], and that the context
// has no such folder.
func ContextTree(p *project.Picture, req api.ContextTreeRequest) (api.ContextTree, error) {
	b, err := holder(p, req)
	if err != nil {
		return api.ContextTree{}, err
	}
	if err := selected(b); err != nil {
		return api.ContextTree{}, err
	}
	main := b.Selection.Main
	t := api.ContextTree{
		Schema: api.ContextTreeSchema, Definition: b.Definition.Name, Root: root(b), Path: ".",
		Context: size(main.Context), Sent: size(main.Sent), Notes: assumptions(b), Entries: []api.TreeNode{},
	}
	at := "."
	if req.Path != "" {
		if at, err = folder(main, req.Path); err != nil {
			return t, err
		}
		t.Path = readable(at)
	}
	top := grow(main, at, req.Sent)
	top.show(req)
	t.Entries = top.list(t.Entries, 0)
	return t, nil
}

// holder returns the build that req asks for. If it names none, a build whose context is
// req.Path is preferred to those that have the folder in their context.
func holder(p *project.Picture, req api.ContextTreeRequest) (*project.Build, error) {
	if len(req.Names) > 0 {
		return One(p, req.Names[0])
	}
	if req.Path == "" || len(p.Builds) <= 1 {
		return One(p, "")
	}
	var holding, whole []*project.Build
	for _, b := range p.Builds {
		if b.Selection == nil {
			continue
		}
		if at, err := folder(b.Selection.Main, req.Path); err == nil {
			holding = append(holding, b)
			if at == "." {
				whole = append(whole, b)
			}
		}
	}
	if len(whole) > 0 {
		holding = whole
	}
	switch len(holding) {
	case 0:
		return nil, &api.Error{
			Code: api.BadInput, Message: readable(p.Relative(req.Path)) + " is a folder of no effective context",
			Hint: "stoker context explain says why",
		}
	case 1:
		return holding[0], nil
	}
	names := make([]string, len(holding))
	for i, b := range holding {
		names[i] = b.Definition.Name
	}
	return nil, &api.Error{
		Code: api.BadInput, Message: readable(p.Relative(req.Path)) + " is in the context of several builds: name one with --build",
		Hint: "there are: " + strings.Join(names, ", "),
	}
}

// folder returns the path within l of the folder at name, which is absolute.
func folder(l buildctx.Local, name string) (string, error) {
	rel, ok := inside(l.Root, name)
	if !ok {
		return "", &api.Error{
			Code: api.BadInput, Message: readable(name) + " is not in the build context " + readable(l.Root),
			Hint: "name a folder in there, or another build",
		}
	}
	if rel == "." {
		return rel, nil
	}
	if f, ok := l.Lookup(rel); !ok || !f.Mode.IsDir() {
		return "", &api.Error{
			Code: api.BadInput, Message: readable(rel) + " is no folder of the effective context",
			Hint: "stoker context explain says why",
		}
	}
	return rel, nil
}

// inside returns name relative to root; false if it is not in there. name is absolute and
// need not exist. Symbolic links in its folder are resolved. If name is a link itself, that is
// only resolved if it is outside of root.
func inside(root, name string) (string, bool) {
	if root == "" {
		return "", false
	}
	if resolved, err := filepath.EvalSymlinks(root); err == nil {
		root = resolved
	}
	name = filepath.Clean(name)
	if name != root {
		if resolved, err := filepath.EvalSymlinks(filepath.Dir(name)); err == nil {
			name = filepath.Join(resolved, filepath.Base(name))
		}
	}
	rel, err := filepath.Rel(root, name)
	if resolved, linkErr := filepath.EvalSymlinks(name); linkErr == nil && err == nil && !filepath.IsLocal(rel) {
		rel, err = filepath.Rel(root, resolved) // a link beside the context that leads into it
	}
	return filepath.ToSlash(rel), err == nil && filepath.IsLocal(rel)
}

// A node is a file or folder of a tree, with the sizes of all at and below it.
type node struct {
	path          string
	kind          string
	context, sent api.Size
	kids          []*node // the largest first
	shown         bool    // see show
}

// grow makes the tree of the files of l in the folder at.
func grow(l buildctx.Local, at string, onlySent bool) *node {
	top := &node{path: at, kind: "dir"}
	stack := []*node{top}
	for f := range l.All() {
		if onlySent && !f.Sent || !under(at, f.Path) {
			continue
		}
		for len(stack) > 1 && !under(stack[len(stack)-1].path, f.Path) {
			stack = stack[:len(stack)-1]
		}
		n := &node{path: f.Path, kind: buildctx.TypeOf(f.Mode)}
		parent := stack[len(stack)-1]
		parent.kids = append(parent.kids, n)
		for _, p := range append(stack, n) {
			add(&p.context, f)
			if f.Sent {
				add(&p.sent, f)
			}
		}
		if f.Mode.IsDir() {
			stack = append(stack, n)
		}
	}
	top.sort()
	return top
}

// under reports whether name is below dir.
func under(dir, name string) bool {
	return dir == "." || len(name) > len(dir) && name[:len(dir)] == dir && name[len(dir)] == '/'
}

func (n *node) sort() {
	slices.SortStableFunc(n.kids, heavier)
	for _, k := range n.kids {
		k.sort()
	}
}

func heavier(a, b *node) int {
	return cmp.Or(cmp.Compare(b.context.Bytes, a.context.Bytes), cmp.Compare(b.context.Files, a.context.Files))
}

// show marks the nodes to show. Beginning with the top, it always takes the heaviest one
// whose folder is shown, within the limit and depth of req.
func (n *node) show(req api.ContextTreeRequest) {
	type candidate struct {
		*node
		depth int
	}
	frontier := []candidate{{n, 0}}
	for shown := 0; len(frontier) > 0 && (req.Limit == 0 || shown < req.Limit); shown++ {
		next := frontier[0]
		frontier = frontier[1:]
		next.shown = true
		if req.Depth > 0 && next.depth == req.Depth {
			continue
		}
		for _, k := range next.kids {
			frontier = append(frontier, candidate{k, next.depth + 1})
		}
		if req.Limit > 0 {
			slices.SortStableFunc(frontier, func(a, b candidate) int { return heavier(a.node, b.node) })
			frontier = frontier[:min(len(frontier), req.Limit-shown)]
		}
	}
}

// list appends the nodes that are shown, a folder before what is in it.
func (n *node) list(to []api.TreeNode, depth int) []api.TreeNode {
	e := api.TreeNode{Path: readable(n.path), PathBytes: rawName(n.path), Type: n.kind, Depth: depth, Context: n.context, Sent: n.sent}
	for _, k := range n.kids {
		if !k.shown {
			e.Left++
		}
	}
	to = append(to, e)
	for _, k := range n.kids {
		if k.shown {
			to = k.list(to, depth+1)
		}
	}
	return to
}
