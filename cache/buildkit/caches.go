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

// A Cache is one that is kept outside of the builder, as `--cache-from` and
// `--cache-to` spell it. Attrs may hold credentials.
type Cache struct {
	Type  string // registry, local, s3 and so on
	Attrs map[string]string
}

func cacheOptions(caches []Cache) []client.CacheOptionsEntry {
	var list []client.CacheOptionsEntry
	for _, c := range caches {
		list = append(list, client.CacheOptionsEntry{Type: c.Type, Attrs: c.Attrs})
	}
	return list
}

// Imports returns caches as a definition names those that its builds look into.
func Imports(caches []Cache) []buildctx.Import {
	var list []buildctx.Import
	for _, c := range caches {
		attrs := maps.Clone(c.Attrs)
		if attrs == nil {
			attrs = map[string]string{}
		}
		attrs["type"] = c.Type
		imports, err := buildctx.NewImports(attrs, map[string]string{})
		if err != nil || len(imports) == 0 { // which the builder was told of all the same
			imports = []buildctx.Import{{Type: c.Type}}
		}
		list = append(list, imports...)
	}
	return list
}

// Imports returns the caches elsewhere that the build looked into, as far as it says.
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

// Unread returns of how many caches elsewhere the builder could make nothing. It goes
// on without them.
func (s Solved) Unread() int {
	n := 0
	for _, v := range s.seen.vertices {
		if strings.HasPrefix(v.Name, importVertex) && v.Error != "" && !v.canceled() {
			n++
		}
	}
	return n
}

// fetch is solve where the build looks into caches elsewhere. A result that is found
// there comes to the builder when somebody looks into it, and not before.
func (b *Builder) fetch(ctx context.Context, opt client.SolveOpt, report func(Progress)) (*replay, error) {
	request := gateway.SolveRequest{Frontend: opt.Frontend, FrontendOpt: opt.FrontendAttrs, Evaluate: true}
	opt.FrontendAttrs = map[string]string{} // the client adds to it
	seen, _, err := b.run(ctx, func(seen *replay, s *client.SolveStatus) {
		if report != nil && len(s.Vertexes) > 0 {
			report(seen.progress())
		}
	}, func(updates chan *client.SolveStatus) (*client.SolveResponse, error) {
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
