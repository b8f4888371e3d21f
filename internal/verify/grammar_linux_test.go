package verify_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// A grammar is rules by name. In an alternative of a rule "<name>" is expanded, and "\n" is a
// new line; one that stands twice is drawn twice as often.
type grammar map[string][]string

// readGrammar reads a file in which a line "name:" begins a rule, with its alternatives below it,
// one a line; <empty> is an empty one.
func readGrammar(t *testing.T, name string) grammar {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	g, rule := grammar{"empty": {""}}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if next, ok := strings.CutSuffix(line, ":"); ok && !strings.Contains(next, " ") {
			rule = next
		} else if line != "" && line[0] != '#' {
			g[rule] = append(g[rule], strings.ReplaceAll(line, `\n`, "\n"))
		}
	}
	return g
}

// few leaves the rules only n alternatives each, so that what is drawn meets.
func (g grammar) few(r *rand.Rand, n int, names ...string) {
	for _, name := range names {
		list := slices.Clone(g[name])
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		g[name] = list[:min(n, len(list))]
	}
}

// draw expands a text.
func (g grammar) draw(r *rand.Rand, text string) string {
	before, after, ok := strings.Cut(text, "<")
	if !ok {
		return text
	}
	name, rest, _ := strings.Cut(after, ">")
	if list := g[name]; len(list) > 0 {
		return before + g.draw(r, list[r.IntN(len(list))]) + g.draw(r, rest)
	}
	return before + "<" + g.draw(r, after) // of the shell
}

// drawStages draws a Dockerfile of one or two stages.
func drawStages(r *rand.Rand, all grammar) string {
	g := maps.Clone(all)
	g.few(r, 4, "dir")
	g.few(r, 7, "place")
	g.few(r, 6, "src", "setting")
	g.few(r, 3, "var", "word")
	var out strings.Builder
	if r.IntN(4) == 0 {
		out.WriteString("# syntax=docker/dockerfile:1\n")
	}
	global := r.IntN(3) == 0
	if global {
		out.WriteString(g.draw(r, "ARG V=<word>\nARG BASE=<base>\n"))
	}
	for i := range 1 + r.IntN(2) {
		kind := g.draw(r, "<kind>")
		image, ok := imagesOf[kind]
		if !ok {
			image = g.draw(r, "<base>")
		}
		if kind == "" {
			switch k := r.IntN(6); {
			case i > 0 && k < 2:
				image = "one"
			case i > 0 && k == 2:
				image = "scratch"
			case global && k == 3:
				image = "$BASE"
			}
		}
		name := []string{"one", "two"}[i]
		fmt.Fprintf(&out, "FROM %s AS %s\n", image, name)
		if i > 0 {
			g["instruction"], g["stage"] = slices.Concat(g["instruction"], g["from"]), []string{"one", "0"}
		}
		if image == "scratch" {
			out.WriteString(g.draw(r, strings.Repeat("<copy>\n", 1+r.IntN(3))))
			continue
		}
		out.WriteString(drawFolders(r, g, image))
		lines := r.IntN(3)
		if kind == "" {
			lines += 3
		}
		for k := range lines + 1 {
			if k == lines/2 && kind != "" {
				out.WriteString(g.draw(r, "<"+kind+">\n"))
			}
			out.WriteString(g.draw(r, "<instruction>\n"))
		}
	}
	return out.String()
}

// imagesOf says from which image a stage with an install starts, by the rule for it.
var imagesOf = map[string]string{
	"node": "node:20", "node-web": "node:20", "deps-node": "node:20", "python": "python:3.12", "python-web": "python:3.12", "deps-python": "python:3.12",
	"golang": "golang:1.26", "deps-golang": "golang:1.26", "debian": "debian:bookworm-slim", "alpine": "alpine:3.20",
}

// drawFolders draws how a stage begins: the stand-ins are without folders that images of a
// distribution have.
func drawFolders(r *rand.Rand, g grammar, image string) string {
	if image == "one" {
		return ""
	}
	text := "ENV STANDIN_SECONDS=0\n"
	if image != "$BASE" && !strings.HasPrefix(image, "busybox") {
		text += "RUN mkdir -p /opt /srv /usr/src /usr/lib /usr/share /usr/local/bin /usr/local/lib /var/cache /var/lib /var/log\n"
	}
	if r.IntN(5) > 0 {
		text += g.draw(r, "RUN <making> "+strings.Join(g["dir"][:len(g["dir"])-r.IntN(4)/2], " ")+"\n")
	}
	return text
}
