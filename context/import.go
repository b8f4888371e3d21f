package buildctx

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// An Import is a cache outside the builder that a build may take results from.
type Import struct {
	// Type is where the cache is kept: "registry", "local", "s3" and so on.
	Type string
	// Ref is the image reference of a cache in a registry. It is empty for a registry
	// that needs more than a reference, and for all other types: their attributes may
	// be credentials, which an Import never holds.
	Ref string
}

// NewImports returns the import that the attributes of a `--cache-from` describe, as a
// list of one. The list is empty if buildx would drop it: a GitHub cache (type "gha")
// needs a token, which env has only in a GitHub workflow (buildx: build.CreateCaches).
// Attributes without a type are an error.
func NewImports(attrs, env map[string]string) ([]Import, error) {
	i := Import{Type: attrs["type"]}
	switch i.Type {
	case "":
		return nil, errNoType
	case "registry":
		if attrs["registry.insecure"] == "" {
			i.Ref = attrs["ref"]
		}
	case "gha":
		if attrs["token"] == "" && env["ACTIONS_RUNTIME_TOKEN"] == "" {
			return nil, nil
		}
	}
	return []Import{i}, nil
}

// ParseImports parses a value of `--cache-from` as [ParseCaches] does, and returns the
// imports that it describes (see [NewImports]).
func ParseImports(text string, env map[string]string) ([]Import, error) {
	caches, err := ParseCaches(text)
	if err != nil {
		return nil, err
	}
	var list []Import
	for _, attrs := range caches {
		imports, err := NewImports(attrs, env)
		if err != nil {
			return nil, err
		}
		list = append(list, imports...)
	}
	return list, nil
}

// ParseCaches parses a value of `--cache-from` or `--cache-to`, which is either a list
// of image references or the attributes of one cache, as NAME=VALUE (buildx:
// buildflags.ParseCacheEntry). It returns the attributes of each cache by lower-case
// name; "type" is always among them.
func ParseCaches(text string) ([]map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return nil, fmt.Errorf("it is no list of NAME=VALUE: %w", err)
	}
	if !strings.Contains(text, "=") {
		var list []map[string]string
		for _, ref := range fields {
			list = append(list, map[string]string{"type": "registry", "ref": ref})
		}
		return list, nil
	}
	attrs := map[string]string{}
	for _, field := range fields {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return nil, errors.New("it is no list of NAME=VALUE")
		}
		attrs[strings.ToLower(name)] = value
	}
	if attrs["type"] == "" {
		return nil, errNoType
	}
	return []map[string]string{attrs}, nil
}

var errNoType = errors.New("the cache has no type")
