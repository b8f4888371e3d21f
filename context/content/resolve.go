package content

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// A NotFoundError is a path that a step takes and that was not sent. The build
// fails on it.
type NotFoundError struct{ Path string }

func (e *NotFoundError) Error() string { return fmt.Sprintf("%q: not found", e.Path) }

// maxLinks is how many links are followed on one path (BuildKit:
// cache/contenthash, maxSymlinkLimit).
const maxLinks = 255

// errTooManyLinks is what BuildKit says of links in a circle.
var errTooManyLinks = errors.New("too many links")

// A place is what a path leads to.
type place struct {
	path  string // cleaned and absolute; "" for the root
	entry *Entry // nil for the root
	dir   *Dir   // of a directory
}

func (p place) isLink() bool { return p.entry != nil && p.entry.Link != "" }

func (p place) digest() Digest {
	if p.dir != nil {
		return p.dir.digest
	}
	return p.entry.Digest
}

// clean returns p as a key of the tree has it: absolute, the root as "".
func clean(p string) string {
	p = path.Join("/", p)
	if p == "/" {
		return ""
	}
	return p
}

// get returns what is at the cleaned path p; links are not followed.
func (d *Dir) get(p string) (place, bool) {
	at := place{path: p, dir: d}
	for rest := strings.TrimPrefix(p, "/"); rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if at.dir == nil {
			return place{}, false
		}
		at.entry = at.dir.find(name)
		if at.entry == nil {
			return place{}, false
		}
		at.dir = at.entry.Dir
	}
	return at, true
}

// follow returns what is at the cleaned path p, links on the way followed, and
// the last one if trailing says so. Links cannot lead out of d, and ".." behind
// what is not there goes back by name alone (BuildKit: cache/contenthash,
// getFollowLinksCallback).
func (d *Dir) follow(p string, trailing bool) (at place, ok bool, err error) {
	return d.trace(p, trailing, func(string) {})
}

// trace is follow, and calls passed with each link that is followed.
func (d *Dir) trace(p string, trailing bool, passed func(path string)) (at place, ok bool, err error) {
	if at, ok = d.get(p); ok && !(trailing && at.isLink()) || p == "" {
		return at, ok, nil
	}
	current, rest, links := "/", p, 0
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		next := clean(path.Join("/", current, part))
		at, ok = d.get(next)
		if !ok || !at.isLink() || !trailing && rest == "" {
			current = next
			continue
		}
		links++
		if links > maxLinks {
			return place{}, false, errTooManyLinks
		}
		passed(next)
		rest = at.entry.Link + "/" + rest
		if path.IsAbs(at.entry.Link) {
			current = "/"
		}
	}
	at.path = current
	return at, ok, nil
}
