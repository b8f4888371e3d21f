package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Kind is the type of a file.
type Kind string

// The kinds.
const (
	Regular     Kind = "file"
	Directory   Kind = "directory"
	Symlink     Kind = "symlink"
	CharDevice  Kind = "character device"
	BlockDevice Kind = "block device"
	FIFO        Kind = "fifo"
)

// An Image is what a container finds in an image for one platform, no matter how it is
// split into layers. It is immutable.
type Image struct {
	Platform ocispecs.Platform
	Config   Config
	Files    []File // sorted by path
	layers   map[digest.Digest]*layer
}

// A File is a file or directory of an image, under one of its names.
type File struct {
	Path string // slash-separated, without a leading slash; not always UTF-8
	// Shares is another path of the same file (a hard link), the first one in the
	// order of paths; "" if it has no other.
	Shares string
	*attrs
}

// read returns the images of an OCI archive, one for each platform. It reads r to its
// end. Of each file only a digest is kept, so memory grows with the number of files and
// not with their size. Layers that are in known are taken from there. The error says
// what is wrong with the archive, or is the cause of ctx's end.
func read(ctx context.Context, r io.Reader, known map[digest.Digest]*layer) ([]Image, error) {
	a, err := readArchive(ctx, r, known)
	if err != nil {
		return nil, err
	}
	list, err := a.images()
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("the archive holds no image")
	}
	return list, err
}

// platform returns the image's platform in the usual notation: "linux/arm64".
func (i Image) platform() string { return platforms.FormatAll(i.Platform) }

// A Config is the object "config" in an image's configuration, which says how `docker
// run` starts it. Values may be secrets: only names may be printed.
type Config map[string]any

// newConfig decodes a config. It drops settings that are empty, since builders may as
// well leave those out.
func newConfig(text json.RawMessage) (Config, error) {
	c := Config{}
	if len(text) == 0 {
		return c, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&c); err != nil {
		return nil, err
	}
	maps.DeleteFunc(c, func(_ string, v any) bool {
		switch v := v.(type) {
		case nil:
			return true
		case []any:
			return len(v) == 0
		case map[string]any:
			return len(v) == 0
		}
		return v == "" || v == false
	})
	return c, nil
}

// compare returns the names of the settings in which two configurations differ.
func (c Config) compare(other Config) []string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(union(c, other))) {
		a, b := c[key], other[key]
		if reflect.DeepEqual(a, b) {
			continue
		}
		switch {
		case key == "Env":
			list = append(list, compareEnv(texts(a), texts(b))...)
		case isObject(a) || isObject(b):
			list = append(list, compareKeys(key, a, b)...)
		default:
			list = append(list, key)
		}
	}
	return list
}

// union returns a map with the entries of a and b. Of a key in both it has b's value.
func union[M ~map[K]V, K comparable, V any](a, b M) M {
	all := maps.Clone(a)
	if all == nil {
		all = M{}
	}
	maps.Copy(all, b)
	return all
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// compareKeys returns, as "SETTING KEY", the keys in which two objects differ: labels,
// ports, volumes, or fields of the health check.
func compareKeys(key string, a, b any) []string {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(union(x, y))) {
		before, was := x[name]
		after, is := y[name]
		if was != is || !reflect.DeepEqual(before, after) {
			list = append(list, key+" "+name)
		}
	}
	if len(list) == 0 { // one of them is not an object
		list = append(list, key)
	}
	return list
}

// texts returns the elements of a list as strings; none if v is not a list.
func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, one := range list {
		out = append(out, fmt.Sprint(one))
	}
	return out
}

// compareEnv returns the variables whose values differ between two unequal lists of
// NAME=VALUE. It compares all values of a name, which may be set several times. If none
// differs, only the order does.
func compareEnv(a, b []string) []string {
	byName := func(list []string) map[string][]string {
		m := map[string][]string{}
		for _, pair := range list {
			name, value, _ := strings.Cut(pair, "=")
			m[name] = append(m[name], value)
		}
		return m
	}
	x, y := byName(a), byName(b)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(union(x, y))) {
		if !slices.Equal(x[name], y[name]) {
			list = append(list, "Env "+name)
		}
	}
	if len(list) == 0 {
		list = append(list, "Env, in its order")
	}
	return list
}
