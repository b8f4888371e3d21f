package image_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/internal/config"
	"github.com/stokerd/stoker/internal/image"
)

// step is a line of a history that made no layer if it ends in " (empty)".
func steps(lines ...string) []ocispec.History {
	var list []ocispec.History
	for _, line := range lines {
		text, empty := strings.CutSuffix(line, " (empty)")
		list = append(list, ocispec.History{CreatedBy: text, EmptyLayer: empty})
	}
	return list
}

// Instructions are as a Dockerfile has them, and hold no value of a build arg or a variable.
func TestInstructions(t *testing.T) {
	for made, want := range map[string]string{
		`/bin/sh -c #(nop) ADD file:0123 in / `:                                      "ADD file:0123 in /",
		`/bin/sh -c apt-get update`:                                                  "RUN apt-get update",
		`RUN /bin/sh -c npm ci # buildkit`:                                           "RUN npm ci",
		`RUN /bin/bash -o pipefail -c npm ci | tee log # buildkit`:                   "RUN npm ci | tee log",
		`RUN |1 VERSION=s3cret /bin/sh -c npm ci # buildkit`:                         "RUN npm ci",
		`RUN |2 A=s3cret B=s3cret with words /bin/bash -euxo pipefail -c npm ci`:     "RUN npm ci",
		`|2 A=s3cret B=s3cret /bin/sh -c npm ci`:                                     "RUN npm ci",
		`RUN |1 A=s3cret cmd /S /C dir # buildkit`:                                   "RUN …",
		`RUN |1 A=x /bin/sh -c s3cret /bin/sh -c npm ci`:                             "RUN … npm ci",
		`RUN |1 A=x /bin/sh -c sh -c "/bin/sh -c ls"`:                                `RUN sh -c "/bin/sh -c ls"`,
		`ENV TOKEN=s3cret`:                                                           "ENV TOKEN",
		`/bin/sh -c #(nop)  ENV A=s3cret B="s3cret with words" C=s3cret`:             "ENV A B C",
		`ENV NAME s3cret and more`:                                                   "ENV NAME",
		`ARG TOKEN=s3cret`:                                                           "ARG TOKEN",
		`ARG TOKEN`:                                                                  "ARG TOKEN",
		`COPY --chown=app:app . . # buildkit`:                                        "COPY --chown=app:app . .",
		`RUN curl -H "Authorization: Bearer glpat-0123456789abcdefghij" example.com`: "RUN … (not shown: it holds what looks like a secret)",
		``: "",
	} {
		a := analyse(t, one(t, picture{layers: [][]byte{pack(t, file{name: "a"})}, history: steps(made)}).tar(t), options(t, image.AppSecrets))
		if got := a.Layers[0].Instruction; got != want {
			t.Errorf("%s\n got %s\nwant %s", made, got, want)
		}
	}
}

func TestBases(t *testing.T) {
	layers := [][]byte{pack(t, file{name: "a"}), pack(t, file{name: "b"}), pack(t, file{name: "c"})}
	annotations := map[string]string{ocispec.AnnotationBaseImageName: "docker.io/library/node:20", ocispec.AnnotationBaseImageDigest: "sha256:1234"}
	python := steps("ADD debian", `CMD ["bash"] (empty)`, "RUN build python", `CMD ["python3"] (empty)`, "COPY . .", `CMD ["app"] (empty)`)
	base := one(t, picture{layers: layers[:2]}).dir(t)
	other := one(t, picture{layers: layers[1:2]}).dir(t)
	for name, c := range map[string]struct {
		p    picture
		base string
		want *image.Base
	}{
		"nothing":         {picture{}, "", nil},
		"history":         {picture{history: python}, "", &image.Base{Layers: 2, How: "history"}},
		"not the history": {picture{history: python[:5]}, "", &image.Base{Layers: 2, How: "history"}},
		"no such history": {picture{history: python[:4]}, "", nil},
		"annotations":     {picture{annotations: annotations}, "", &image.Base{Name: "docker.io/library/node:20", Digest: "sha256:1234", How: "annotations"}},
		"labels": {
			picture{config: ocispec.ImageConfig{Labels: annotations}, history: python}, "",
			&image.Base{Name: "docker.io/library/node:20", Digest: "sha256:1234", Layers: 2, How: "annotations"},
		},
		"named":          {picture{annotations: annotations}, base, &image.Base{Layers: 2, How: "layers"}},
		"named in vain":  {picture{history: python}, other, &image.Base{Layers: 2, How: "history", Different: true}},
		"named for none": {picture{}, other, &image.Base{Different: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c.p.layers = layers
			o := options(t, image.NoSecrets)
			if c.base != "" {
				named, err := image.Open(t.Context(), c.base, image.OpenOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer named.Close()
				o.Base = named
			}
			a := analyse(t, one(t, c.p).tar(t), o)
			if c.want != nil && c.want.How == "layers" {
				c.want.Name, c.want.Digest = c.base, a.Base.Digest
			}
			if diff := cmp.Diff(c.want, a.Base); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for i, l := range a.Layers {
				if its := c.want != nil && i < c.want.Layers; l.Base != its {
					t.Errorf("layer %d is the base's: %v", i+1, l.Base)
				}
			}
		})
	}
}

const token = "TOKEN=glpat-0123456789abcdefghij\n"

func TestSecrets(t *testing.T) {
	p := picture{
		layers: [][]byte{
			pack(t, file{name: "app/a.txt", body: token}, file{name: "usr/share/x/b.txt", body: token}, file{name: "app/node_modules/m/c.txt", body: token}),
			pack(t, file{name: "app/a.txt", body: "new"}, file{name: "app/"}, file{name: "srv/"}, file{name: "srv/late.txt", body: strings.Repeat("x\n", 1<<20) + token}),
			pack(t, file{name: "root/.ssh/id_rsa", body: "x"}),
			pack(t, file{name: ".wh.root"}),
		},
		config: ocispec.ImageConfig{
			Env: []string{
				"PATH=/bin", "API_KEY=s3cret-value", "GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568", "DB_PASSWORD_FILE=/run/secrets/db",
				"NODE_VERSION=20.1.0", "SECRET_KEY=", "TOKEN=$TOKEN", "SOME=glpat-0123456789abcdefghij",
			},
			Labels: map[string]string{"token": "glpat-0123456789abcdefghij", "version": "1"},
			Cmd:    []string{"app", "--token=glpat-0123456789abcdefghij"},
		},
		history: steps("ADD x", "RUN |1 NPM_TOKEN=s3cret-value /bin/sh -c npm ci", "ARG PASSWORD=s3cret-value (empty)", "COPY . .", "RUN rm -r /root"),
	}
	for scope, want := range map[image.Scope][]string{
		image.AppSecrets: {"app/a.txt:1 1 2", "root/.ssh/id_rsa:0 3 4"},
		image.AllSecrets: {"app/a.txt:1 1 2", "usr/share/x/b.txt:1 1 0", "root/.ssh/id_rsa:0 3 4"},
		image.NoSecrets:  nil,
	} {
		a := analyse(t, one(t, p).tar(t), options(t, scope))
		var files, others []string
		for _, s := range a.Secrets {
			if s.Where == "file" {
				files = append(files, fmt.Sprintf("%s:%d %d %d", s.Path, s.Line, s.Layer, s.GoneBy))
			} else {
				others = append(others, strings.TrimSpace(fmt.Sprintf("%s %s %d", s.Where, s.Name, s.Layer)))
			}
		}
		if diff := cmp.Diff(want, files); diff != "" {
			t.Errorf("%s: files (-want +got)\n%s", scope, diff)
		}
		texts := []string{"config  0", "config token 0", "env API_KEY 0", "env SOME 0", "history PASSWORD 0", "history NPM_TOKEN 2"}
		if diff := cmp.Diff(texts, others); diff != "" {
			t.Errorf("%s: texts (-want +got)\n%s", scope, diff)
		}
		if all := fmt.Sprintf("%+v %+v %+v", a.Secrets, a.Layers, a.Config.Labels); strings.Contains(all, "glpat-") || strings.Contains(all, "s3cret") {
			t.Errorf("%s: a value is in %s", scope, all)
		}
		if scope != image.NoSecrets && (len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "first 1 MB of 1 larger")) {
			t.Errorf("%s: notes %q", scope, a.Notes)
		}
	}
}

func TestLeftovers(t *testing.T) {
	a := analyse(t, one(t, picture{layers: [][]byte{
		pack(t, file{name: "var/lib/apt/lists/deb", body: body(10)}, file{name: "var/lib/apt/lists/lock"}, file{name: "root/.npm/_cacache/x", body: body(20)},
			file{name: "root/.npm/_logs/y", body: body(5)}, file{name: "app/.cache/pip/http/z", body: body(30)}, file{name: "usr/share/doc/a/copyright", body: body(99)}),
		pack(t, file{name: "a/__pycache__/x.pyc", body: body(3)}, file{name: "b/__pycache__/y.pyc", body: body(4)}, file{name: "srv/.git/HEAD", body: body(7)},
			file{name: "srv/.git/objects/pack/p", body: body(70)}, file{name: "go/pkg/mod/m", body: body(1)}, file{name: "tmp/x", body: body(2)}, file{name: "srv/tmp/x", body: body(1000)}),
		pack(t, file{name: "tmp/.wh.x"}),
	}}).tar(t), options(t, image.NoSecrets))
	var got []string
	for _, l := range a.Leftovers {
		got = append(got, fmt.Sprintf("%s %s %d in %d of %v", l.Kind, l.Path, l.Bytes, l.Files, l.Layers))
		if l.Advice == "" {
			t.Errorf("%s: no advice", l.Kind)
		}
	}
	want := []string{
		"git-directory srv/.git 77 in 2 of [2]", "pip-cache app/.cache/pip 30 in 1 of [1]", "npm-cache root/.npm 20 in 1 of [1]",
		"apt-lists var/lib/apt/lists 10 in 1 of [1]", "python-bytecode . 7 in 2 of [2]", "npm-cache root/.npm 5 in 1 of [1]", "go-modules go/pkg/mod 1 in 1 of [2]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestGates(t *testing.T) {
	// One of two equal copies is waste: efficiency 0.5, wasted 200, all of what is above the first layer twice.
	a := analyse(t, one(t, picture{layers: [][]byte{pack(t, file{name: "a", body: body(100)}), pack(t, file{name: "a", body: body(100)})}}).tar(t), options(t, image.NoSecrets))
	for text, want := range map[string]string{
		"":                               "lowestEfficiency:false highestUserWastedPercent:false",
		"rules:":                         "lowestEfficiency:false highestUserWastedPercent:false",
		"rules: {lowestEfficiency: 0.5}": "lowestEfficiency:true highestUserWastedPercent:false",
		"rules:\n  lowestEfficiency: 0.51\n  highestWastedBytes: 200B\n  highestUserWastedPercent: disabled\n": "lowestEfficiency:false highestWastedBytes:true",
		"highest-wasted-bytes: 199\nlowest-efficiency-threshold: off\nhighest-user-wasted-percent: '1.0'":      "highestWastedBytes:false highestUserWastedPercent:false",
		"rules: {lowestEfficiency: 95}":           `error lowestEfficiency: "95" is not between 0 and 1`,
		"rules: {highestWastedBytes: lots}":       "error highestWastedBytes:",
		"rules: {highestWatsedBytes: 1MB}":        "error highestWatsedBytes: there is no such rule",
		"rules: [a]":                              "error rules is no mapping",
		"rules: {":                                "error ",
		"rules: {highestUserWastedPercent: .nan}": `error highestUserWastedPercent:`,
	} {
		name := write(t, filepath.Join(t.TempDir(), image.DiveFile), []byte(text))
		g, ok, err := image.ReadDive(name, config.ParseSize)
		if words, wrong := strings.CutPrefix(want, "error "); wrong {
			if err == nil || !strings.Contains(err.Error(), words) || !strings.HasPrefix(err.Error(), name) {
				t.Errorf("%q: error %v, want %q", text, err, words)
			}
			continue
		}
		if err != nil || !ok {
			t.Errorf("%q: %v", text, err)
		}
		var got []string
		for _, r := range g.Check(a) {
			got = append(got, fmt.Sprintf("%s:%v", r.Name, r.OK))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", text, got, want)
		}
	}
	if g, ok, err := image.ReadDive(filepath.Join(t.TempDir(), "none"), config.ParseSize); ok || err != nil || *g.LowestEfficiency != 0.9 || *g.HighestUserWastedPercent != 0.1 {
		t.Errorf("ReadDive without a file: %+v, %v, error %v; want dive's defaults and false", g, ok, err)
	}
}

func TestDiff(t *testing.T) {
	shared := pack(t, file{name: "d/"}, file{name: "d/same", body: "same"}, file{name: "d/mode", body: "m"}, file{name: "d/owner", body: "o"},
		file{name: "d/content", body: "one"}, file{name: "d/gone", body: "12345"}, file{name: "d/type", body: "x"}, file{name: "link -> a"}, file{name: "two", body: "22"}, file{name: "three => two"})
	a := picture{layers: [][]byte{shared}, config: ocispec.ImageConfig{User: "a", Env: []string{"SAME=1", "OLD=s3cret", "KEY=s3cret"}, Cmd: []string{"x"}}}
	b := picture{
		layers: [][]byte{shared, pack(t, file{name: "d/mode", body: "m", mode: 0o755}, file{name: "d/owner", body: "o", uid: 7}, file{name: "d/content", body: "three"},
			file{name: "d/.wh.gone"}, file{name: "d/type -> x"}, file{name: "link -> b"}, file{name: "new/"}, file{name: "new/file", body: "1234567"}, file{name: "three", body: "22"}, file{name: "d/same", body: "same"})},
		config: ocispec.ImageConfig{User: "b", Env: []string{"SAME=1", "NEW=s3cret", "KEY=s3cret2"}, Cmd: []string{"x"}, Labels: map[string]string{"v": "2"}},
	}
	o := options(t, image.NoSecrets)
	o.Contents = true
	d, err := image.Diff(analyse(t, one(t, a).tar(t), o), analyse(t, one(t, b).tar(t), o))
	if err != nil {
		t.Fatal(err)
	}
	var files, fields []string
	for _, f := range d.Files {
		files = append(files, fmt.Sprintf("%s %s %v %d %d", f.Change, f.Path, f.What, f.A, f.B))
	}
	want := []string{
		"added new/file [] 0 7", "changed d/content [content] 3 5", "removed d/gone [] 5 0", "changed d/mode [mode] 1 1", "changed d/owner [owner] 1 1",
		"changed d/type [type] 1 0", "changed link [content] 0 0",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got)\n%s", diff)
	}
	for _, c := range d.Config {
		fields = append(fields, fmt.Sprintf("%s %s %s %s", c.Field, c.Name, c.A, c.B))
	}
	if diff := cmp.Diff([]string{"user  a b", "env KEY set changed", "env NEW  set", "env OLD set ", "label v  2"}, fields); diff != "" {
		t.Errorf("config (-want +got)\n%s", diff)
	}
	if d.Shared != (image.Size{Files: 1, Bytes: 17}) || d.Added != (image.Size{Files: 1, Bytes: 7}) || d.Removed != (image.Size{Files: 1, Bytes: 5}) {
		t.Errorf("shared %v, added %v, removed %v; want 1 of 17, 1 of 7 and 1 of 5 bytes", d.Shared, d.Added, d.Removed)
	}
	if _, err := image.Diff(analyse(t, one(t, a).tar(t), options(t, image.NoSecrets)), analyse(t, one(t, b).tar(t), o)); err == nil {
		t.Error("Diff of an image that was analysed without Contents: no error")
	}
}
