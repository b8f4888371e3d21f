package buildkit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"

	buildctx "github.com/stokerd/stoker/context"
)

// A Cache is a remote cache, as `--cache-from` and `--cache-to` spell it.
type Cache struct {
	Type  string            // registry, local, s3 and so on
	Attrs map[string]string // may hold credentials
}

// cacheOptions returns caches as BuildKit's client names them.
func cacheOptions(caches []Cache) []client.CacheOptionsEntry {
	var list []client.CacheOptionsEntry
	for _, c := range caches {
		list = append(list, client.CacheOptionsEntry{Type: c.Type, Attrs: c.Attrs})
	}
	return list
}

// Imports returns caches as a definition names those that its builds import from. One
// that a definition could not name has its type alone.
func Imports(caches []Cache) []buildctx.Import {
	var list []buildctx.Import
	for _, c := range caches {
		attrs := maps.Clone(c.Attrs)
		if attrs == nil {
			attrs = map[string]string{}
		}
		attrs["type"] = c.Type
		imports, err := buildctx.NewImports(attrs, map[string]string{})
		if err != nil || len(imports) == 0 {
			imports = []buildctx.Import{{Type: c.Type}} // the builder may import from it all the same
		}
		list = append(list, imports...)
	}
	return list
}

// Imports returns the remote caches that the client told the build to import from. One
// without a type stands for a list that cannot be read.
func (ev Event) Imports() []buildctx.Import {
	if ev.record == nil {
		return nil
	}
	var caches []Cache
	attrs := ev.record.FrontendAttrs
	if text := attrs["cache-imports"]; text != "" {
		if err := json.Unmarshal([]byte(text), &caches); err != nil {
			return []buildctx.Import{{}}
		}
	}
	if text := attrs["cache-from"]; text != "" {
		for _, ref := range strings.Split(text, ",") {
			caches = append(caches, Cache{Type: "registry", Attrs: map[string]string{"ref": ref}})
		}
	}
	return Imports(caches)
}

// Unread returns the number of remote caches that the builder could not read. The build
// goes on without them.
func (s Solved) Unread() int {
	n := 0
	for _, v := range s.seen.vertices {
		if strings.HasPrefix(v.Name, importVertex) && v.Error != "" && !v.canceled() {
			n++
		}
	}
	return n
}

// solveAndFetch solves what opt's frontend makes, and has the builder pull results that it
// finds in remote caches. It does so only when something reads their files, so that the
// root directory of each result is listed.
func (b *Builder) solveAndFetch(ctx context.Context, opt client.SolveOpt, report func(Progress)) (*replay, error) {
	request := gateway.SolveRequest{Frontend: opt.Frontend, FrontendOpt: opt.FrontendAttrs, Evaluate: true}
	opt.FrontendAttrs = map[string]string{} // the client adds to it
	seen, _, err := b.run(ctx, reportProgress(report), func(updates chan *client.SolveStatus) (*client.SolveResponse, error) {
		return b.client.Build(ctx, opt, "stoker", func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
			result, err := c.Solve(ctx, request)
			if err != nil {
				return nil, err
			}
			results := slices.Collect(maps.Values(result.Refs))
			for _, ref := range append(results, result.Ref) {
				if ref == nil {
					continue // an image without files
				}
				if _, err := ref.ReadDir(ctx, gateway.ReadDirRequest{Path: "/"}); err != nil {
					return nil, fmt.Errorf("fetch the result: %w", err)
				}
			}
			return result, nil
		}, updates)
	})
	return seen, err
}
