package cache

import (
	"strings"

	"github.com/stokerd/stoker/context/dockerfile"
)

// Evidence is what decided which steps of one build ran, for [Explain]. It holds no value of
// an arg or variable. What is made from one is there as a digest under a random key: equal
// values have equal digests, but nobody can find a value by trying. It is immutable.
type Evidence struct {
	// Dockerfile is what was built, its instructions in order; nil if unknown.
	Dockerfile []Line `json:"dockerfile,omitempty"`
	// Args are digests of the values of the build args that were given, by name.
	Args map[string]string `json:"args,omitempty"`
	// NoCache are the stages for which the cache was not to be asked, or AllStages.
	NoCache    []string    `json:"noCache,omitempty"`
	Operations []Operation `json:"operations"`
	// Self are differences between what the builder asked the client for and what stoker
	// had worked out, which are defects of stoker.
	Self []string `json:"self,omitempty"`
	// Presumed is set for a build of which the builder keeps no operations, because it did
	// not succeed: Operations are what stoker works out from the files as they were all
	// through the build. They give each step the name that it had in the build.
	Presumed bool `json:"presumed,omitempty"`
	// Bare says why even that is not known of such a build, "" if it is. Operations then
	// say only what became of them and what they take in.
	Bare Gap `json:"bare,omitempty"`
}

// bare reports whether b has nothing that could be compared.
func (b Build) bare() bool { return b.Evidence == nil || b.Evidence.Bare != "" }

// AllStages stands for the stages of a build with --no-cache.
const AllStages = "*"

// A Line is an instruction of the Dockerfile (see dockerfile.Line), with a digest
// of all its text.
type Line struct {
	Number  int      `json:"number"`
	Keyword string   `json:"keyword"`
	Stage   int      `json:"stage"`
	Text    string   `json:"text"`
	Name    string   `json:"name,omitempty"`
	Base    string   `json:"base,omitempty"`
	Defines []string `json:"defines,omitempty"`
	Uses    []string `json:"uses,omitempty"`
	Digest  string   `json:"digest"`
}

// An Operation is one of BuildKit's operations in a build: see dockerfile.Op.
type Operation struct {
	Definition
	Key    string   `json:"key,omitempty"`  // digest of the key's ID; "" if that is not known
	Fate   Fate     `json:"fate,omitempty"` // what became of it
	Steps  []int    `json:"steps,omitempty"`
	Line   int      `json:"line,omitempty"` // in the Dockerfile; 0 if unknown
	Inputs []Intake `json:"inputs,omitempty"`
}

// A Definition is what an operation does, without what it takes in.
type Definition struct {
	Digest string  `json:"digest,omitempty"`
	Traits []Trait `json:"traits,omitempty"`
	// Source is the kind of a source, "" for what has inputs. Image is the digest of an
	// image, and Platform the platform that it is for.
	Source   string `json:"source,omitempty"`
	Image    string `json:"image,omitempty"`
	Platform string `json:"platform,omitempty"`
	NoKey    bool   `json:"noKey,omitempty"` // BuildKit finds it in no later build
	// Gave is the digest of what a download gave, "" if that is not known.
	Gave string `json:"gave,omitempty"`
}

// A Trait is a dockerfile.Trait. Name is that of a variable, "" if it is not one
// that the Dockerfile or the client names.
type Trait struct {
	Kind   dockerfile.TraitKind `json:"kind"`
	Name   string               `json:"name,omitempty"`
	ID     string               `json:"id"` // tells it from others of its kind
	Digest string               `json:"digest"`
}

// An Intake is what an operation takes in.
type Intake struct {
	Operation int `json:"operation"`
	// Content is the digest of the local files that are taken, and Taken that of their
	// manifest; "" if none are, or if Unknown says why they are not known.
	Content string `json:"content,omitempty"`
	Taken   string `json:"taken,omitempty"`
	Local   string `json:"local,omitempty"` // name of the context that they are from
	Unknown Gap    `json:"unknown,omitempty"`
}

// A Gap says why something about a build is not known.
type Gap string

// The gaps.
const (
	// Unwatched: nobody saw what the files were while the build ran.
	Unwatched Gap = "unwatched"
	// Undeclared: the files are from a folder that the client gave as a named context, and
	// no definition declares that, so that the builder does not tell which folder it was; or
	// they are of a build that no definition describes, and so nobody watched them.
	Undeclared Gap = "undeclared"
	// Moving: the files changed while they were sent.
	Moving Gap = "moving"
	// Unseen: files changed in a way that the builder does not look for, so that it
	// may have built what they were before.
	Unseen Gap = "unseen"
	// Unreadable: what the step takes could not be read.
	Unreadable Gap = "unreadable"
	// NoEvidence: the builder tells nothing of the build's operations, as of one
	// that failed.
	NoEvidence Gap = "no-evidence"
	// Unmatched: the builder keeps nothing of a build that failed, and what stoker
	// works out is not for sure what was built.
	Unmatched Gap = "unmatched"
	// Outdated: what was kept of the build was dropped, to keep the store small.
	Outdated Gap = "outdated"
	// Remote: what a download gave is not known.
	Remote Gap = "download"
)

// A Gathering is what evidence is made from. It holds plain hashes over values, and must not
// leave memory.
type Gathering struct {
	Plan *dockerfile.Plan

	// By operation of the plan.
	Keys   []Key
	Fates  []Fate
	Traits [][]dockerfile.Trait
	Lines  []int // in the Dockerfile; 0 if unknown

	// Take says what an operation with these selectors took of the files of a request.
	Take func(request int, selected []dockerfile.Selector) Taken
}

// Taken is what was taken of local files, or why that is not known.
type Taken struct {
	Content, Manifest string
	Unknown           Gap
}

// Gather returns e with the operations of one platform added. digest returns a digest under
// a random key, always the same one.
func (e Evidence) Gather(g Gathering, digest func(string) string) Evidence {
	named := map[string]bool{}
	for _, l := range e.Dockerfile {
		for _, name := range l.Defines {
			named[name] = true
		}
	}
	for name := range e.Args {
		named[name] = true
	}
	first := len(e.Operations)
	for i := range g.Plan.Ops {
		e.Operations = append(e.Operations, g.operation(i, first, named, digest))
	}
	return e
}

// operation returns operation i of the plan, whose first one is the operation first of the
// evidence. named are the variables whose names may be told.
func (g Gathering) operation(i, first int, named map[string]bool, digest func(string) string) Operation {
	op := g.Plan.Ops[i]
	o := Operation{Steps: op.Steps, Line: g.Lines[i], Fate: g.Fates[i]}
	if op.Digest != "" {
		o.Digest = digest(op.Digest)
	}
	if g.Keys[i].Reason == Known {
		o.Key = digest(g.Keys[i].ID)
	}
	o.NoKey = g.Keys[i].Reason == PerBuild && op.Source == nil
	if op.Source != nil {
		o.Source, o.Platform, o.Image = string(op.Source.Kind), op.Source.Platform, imageDigest(op.Source)
		if op.Source.Gave != "" {
			o.Gave = digest(op.Source.Gave)
		}
	}
	for _, t := range g.Traits[i] {
		trait := Trait{Kind: t.Kind, ID: digest(t.Name), Digest: digest(t.Sum)}
		if t.Kind == dockerfile.VariableTrait && named[t.Name] {
			trait.Name = t.Name
		}
		o.Traits = append(o.Traits, trait)
	}
	for _, in := range op.Inputs {
		o.Inputs = append(o.Inputs, g.intake(in, first))
	}
	return o
}

// intake returns an input of an operation; first is as for operation.
func (g Gathering) intake(in dockerfile.OpInput, first int) Intake {
	taken := Intake{Operation: first + in.Op}
	src := g.Plan.Ops[in.Op].Source
	if src == nil || src.Kind != dockerfile.LocalSource || in.Content == nil {
		return taken
	}
	t := g.Take(src.Request, in.Content)
	taken.Local, taken.Content, taken.Taken, taken.Unknown = src.Name, t.Content, t.Manifest, t.Unknown
	return taken
}

// OutlineOf returns the instructions of a Dockerfile for [Evidence.Dockerfile]. digest is
// that of [Evidence.Gather].
func OutlineOf(lines []dockerfile.Line, digest func(string) string) []Line {
	list := make([]Line, len(lines))
	for i, l := range lines {
		list[i] = Line{
			Number: l.Number, Keyword: l.Keyword, Stage: l.Stage, Text: l.Text, Name: l.Name, Base: l.Base,
			Defines: l.Defines, Uses: l.Uses, Digest: digest(l.Sum),
		}
	}
	return list
}

// imageDigest returns the digest of the image that src is, "" if it is none or
// that is not known.
func imageDigest(src *dockerfile.Source) string {
	if src.Kind != dockerfile.ImageSource && src.Kind != dockerfile.OCISource {
		return ""
	}
	_, digest, _ := strings.Cut(src.Name, "@")
	return digest
}
