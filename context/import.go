package buildctx

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// An Import is a cache that is kept outside of the builder, and that builds look into.
type Import struct {
	// Type is where it is kept: "registry", "local", "s3" and so on.
	Type string
	// Ref is the image that a registry keeps it as; empty where it takes more than
	// that to ask for it. What other types have to tell can be credentials.
	Ref string
}

// NewImports returns the cache with the attributes that `--cache-from` gives, or none
// where the client leaves it out: GitHub's is there for what runs on GitHub, which env
// tells (buildx: build.CreateCaches).
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

// ParseImports reads a value of `--cache-from`: names of images, or the attributes of
// one cache (buildx: buildflags.ParseCacheEntry).
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

// ParseCaches reads a value of `--cache-from` or `--cache-to`: names of images, or the
// attributes of one cache, its type among them.
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
