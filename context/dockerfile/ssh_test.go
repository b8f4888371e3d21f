package dockerfile_test

import (
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stokerd/stoker/context/dockerfile"
)

// TestNothingDialled converts what names a repository over ssh in each way that a
// build has, and listens there.
func TestNothingDialled(t *testing.T) {
	const commit = "0123456789012345678901234567890123456789"
	tests := []struct {
		name, text string
		steps      int
		edit       func(in *dockerfile.Input, host string)
		image      string // the configuration of "base"
		keyed      bool   // the repository's commit is given, so that it has a key
	}{
		{name: "url", text: "FROM scratch\nADD ssh://git@HOST/x.git /\n", steps: 1},
		{name: "capitals", text: "FROM scratch\nadd SSH://HOST/x /\n", steps: 1},
		{name: "commit", text: "FROM scratch\nADD ssh://git@HOST/x.git#" + commit + ":sub /\n", steps: 1, keyed: true},
		{name: "checksum", text: "FROM scratch\nARG R=ssh://HOST/x.git\nADD --checksum=" + commit + " $R#" + commit + " /\n", steps: 1, keyed: true},
		{name: "flags", text: "FROM scratch\nADD --keep-git-dir=true --link ssh://HOST/x.git /\n", steps: 1},
		{name: "quoted", text: "FROM scratch\nADD 's's\"h\"\\://HOST/x.git /\n", steps: 1},
		{name: "quoted with a variable", text: "FROM scratch\nARG R=x.git\nADD \"ssh://HOST/$R\" \"https://example.com/$R\" 's's\"h\"://HOST/\"$R\" /\n", steps: 1},
		{name: "list", text: "FROM scratch\nADD [ \"a\", \"ssh://HOST/x.git\",\"/\" ]\n", steps: 1},
		{name: "list of variables", text: "FROM scratch\nARG R=ssh://HOST/x.git\nADD [\"$R\", \"${R}#main\", \"/\"]\n", steps: 1},
		{name: "continued", text: "FROM scratch\nADD \\\n # why\n ssh://HOST/\\\nx.git \\\n /\nRUN x\n", steps: 2},
		{name: "backtick", text: "# escape=`\nFROM scratch\nADD ss`h://HOST/x.git `\n /\n", steps: 1},
		{name: "arg", text: "ARG G=ssh://HOST\nFROM scratch\nARG G\nADD $G/x.git /\n", steps: 1},
		{name: "parts", text: "FROM scratch\nARG A=ss B=h\nADD ${A}${B}://HOST/x.git /\n", steps: 1},
		{name: "changed by a pattern", text: "FROM scratch\nARG A=xsh://HOST/x.git\nADD ${A/x/s} /\n", steps: 1},
		{name: "default", text: "FROM scratch\nARG A\nADD ${A:-ssh://HOST/x.git} /\n", steps: 1},
		{
			name: "build arg", text: "FROM scratch\nARG A\nADD $A /\n", steps: 1,
			edit: func(in *dockerfile.Input, host string) { in.Args = map[string]string{"A": "ssh://" + host + "/x.git"} },
		},
		{
			name: "by platform", text: "FROM scratch\nARG TARGETARCH\nENV amd64=ssh://HOST/x.git\nADD ${TARGETARCH#$TARGETARCH}$amd64 /\n", steps: 2,
			edit: func(in *dockerfile.Input, _ string) { in.Platforms = []string{"linux/amd64", "linux/arm64"} },
		},
		{name: "environment of a base image", text: "FROM base\nADD $R /\n", steps: 1, image: `{"Env": ["R=ssh://HOST/x.git"]}`},
		{name: "heredoc", text: "FROM scratch\nARG R=ssh://HOST/x.git\nADD $R <<E ssh://HOST/y /\nADD ssh://HOST/z /\nE\nRUN x\n", steps: 2},
		{name: "two", text: "FROM scratch\nADD ssh://HOST/x.git#a ssh://HOST/x.git#b /\n", steps: 1},
		{name: "stage", text: "FROM scratch AS a\nADD ssh://HOST/x.git /\nFROM scratch\nCOPY --from=a / /\n", steps: 2},
		{name: "trigger of a stage", text: "FROM base AS a\nONBUILD ADD ssh://HOST/x.git /\nFROM a\nRUN x\n", steps: 2},
		{name: "trigger with a variable", text: "FROM base AS a\nARG R=ssh://HOST/x.git\nENV R=$R\nONBUILD ADD $R /\nFROM a AS b\nENV R=ssh://HOST/y.git\nFROM a\nRUN x\n", steps: 2},
		{name: "trigger of an image", text: "FROM base\nRUN x\n", steps: 2, image: `{"OnBuild": ["ADD ssh://HOST/x.git /"]}`},
		{name: "trigger of an image with a variable", text: "FROM base\nRUN x\n", steps: 2, image: `{"Env": ["R=ssh://HOST/x.git"], "onbuild": ["add $R \\\n /"]}`},
		{
			name: "main context", text: "FROM scratch\nCOPY . /\n", steps: 1,
			edit: func(in *dockerfile.Input, host string) {
				in.Context, in.RemoteContext = "", "ssh://git@"+host+"/x.git#main:sub"
			},
		},
		{
			name: "linked build", text: "FROM linked\nCOPY --from=linked / /\n", steps: 2,
			edit: func(in *dockerfile.Input, host string) {
				in.NamedContexts = map[string]string{"linked": "target:l"}
				in.Linked = map[string]dockerfile.Input{"l": {
					Context: in.Context, Text: []byte("FROM scratch\nADD ssh://" + host + "/x.git /\nONBUILD ADD ssh://" + host + "/y.git /\n"),
				}}
			},
		},
		{name: "epoch", text: "ARG SOURCE_DATE_EPOCH=e\nFROM scratch AS e\nADD ssh://HOST/x.git /\nFROM scratch\nRUN x\n", steps: -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host, dialled := listen(t)
			set := func(text string) string { return strings.ReplaceAll(text, "HOST", host) }
			dir := t.TempDir()
			in := dockerfile.Input{Dockerfile: filepath.Join(dir, "Dockerfile"), Text: []byte(set(tt.text)), Context: dir}
			if tt.edit != nil {
				tt.edit(&in, host)
			}
			resolver := images{}
			if tt.image != "" {
				resolver["docker.io/library/base:latest"] = set(`{"rootfs": {"type": "layers", "diff_ids": ["sha256:a"]}, "config": ` + tt.image + `}`)
			}
			plan, err := dockerfile.Convert(t.Context(), in, resolver)
			if dialled.Load() {
				t.Error("the host was dialled")
			}
			if tt.steps < 0 {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Steps) != tt.steps {
				t.Errorf("%d steps, want %d", len(plan.Steps), tt.steps)
			}
			for _, s := range plan.Steps {
				if strings.Contains(s.Name, "git://") || strings.Contains(s.Name, ".invalid") {
					t.Errorf("step %q is not as the Dockerfile has it", s.Name)
				}
				if in.Context != "" && len(s.Takes) > 0 && tt.name != "list" {
					t.Errorf("step %q takes local files: %+v", s.Name, s.Takes)
				}
			}
			for _, op := range plan.Ops {
				if op.Source != nil && op.Source.Kind == dockerfile.GitSource && (op.Digest != "") != tt.keyed {
					t.Errorf("the repository has the key %q", op.Digest)
				}
			}
		})
	}
}

// listen returns an address and what becomes true if somebody dials it.
func listen(t *testing.T) (string, *atomic.Bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var dialled atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			dialled.Store(true)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String(), &dialled
}
