package dockerfile_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/context/dockerfile"
)

const sample = `# syntax=docker/dockerfile:1
# check=skip=all
# About the file.

ARG BASE=node:20
# The build stage,
# in two lines.
from ${BASE} as Build
WORKDIR /app
ENV A=1 B=secret
COPY --chown=node:node --link package.json src/ ./

# installs
RUN --mount=type=cache,target=/root/.npm \
    # why
    npm ci && \

    npm run build
RUN ["npm", "test"]
COPY <<EOF /etc/x
# no comment
FROM nowhere
EOF
FROM build
COPY --from=0 /app /app
COPY --from=BUILD ["/a b", "/c"]
RUN <<EOT bash
npm ci
EOT
`

func parse(t *testing.T, text string) *dockerfile.File {
	t.Helper()
	f, err := dockerfile.Parse("Dockerfile", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParse(t *testing.T) {
	f := parse(t, sample)
	if f.Syntax != "docker/dockerfile:1" || f.Escape != '\\' {
		t.Errorf("syntax %q escape %q", f.Syntax, f.Escape)
	}
	if len(f.Globals) != 1 || f.Globals[0].Names[0] != "BASE" || f.Globals[0].Comments != lines(0, 0) {
		t.Errorf("globals = %+v", f.Globals)
	}
	var got []string
	for _, st := range f.Stages {
		got = append(got, "stage "+st.Name+" of "+st.Base+" "+st.Lines.String()+" above "+st.From.Comments.String())
		for _, in := range st.Instructions {
			got = append(got, in.Lines.String()+" "+in.Text)
		}
	}
	want := []string{
		"stage build of ${BASE} 8-23 above 6-7",
		"9 WORKDIR /app",
		"10 ENV A=1 B=secret",
		"11 COPY --chown=node:node --link package.json src/ ./",
		"14-18 RUN --mount=type=cache,target=/root/.npm     npm ci &&     npm run build",
		"19 RUN [\"npm\", \"test\"]",
		"20-23 COPY <<EOF /etc/x",
		"stage  of build 24-29 above 0",
		"25 COPY --from=0 /app /app",
		"26 COPY --from=BUILD [\"/a b\", \"/c\"]",
		"27-29 RUN <<EOT bash (npm ci)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("instructions (-want +got):\n%s", diff)
	}
	build := f.Stages[0].Instructions
	if diff := cmp.Diff(&dockerfile.Copy{
		Sources: []string{"package.json", "src/"}, Dest: "./", Chown: "node:node", Link: true,
	}, build[2].Copy); diff != "" {
		t.Errorf("COPY (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"A", "B"}, build[1].Names); diff != "" {
		t.Errorf("ENV (-want +got):\n%s", diff)
	}
	if got := build[3]; got.Comments != lines(13, 13) || got.Whole() != lines(13, 18) {
		t.Errorf("comments of RUN = %v, whole %v", got.Comments, got.Whole())
	}
	if diff := cmp.Diff([]dockerfile.Mount{{Type: "cache", Target: "/root/.npm"}}, build[3].Run.Mounts); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"npm", "test"}, build[4].Run.Args); diff != "" {
		t.Errorf("list form (-want +got):\n%s", diff)
	}
	last := f.Stages[1]
	if last.BaseStage != 0 || f.StageOf(last.Instructions[0].Copy.From) != 0 || f.StageOf(last.Instructions[1].Copy.From) != 0 {
		t.Errorf("references to stages are not resolved: %d", last.BaseStage)
	}
	if f.StageOf("2") != -1 || f.StageOf("alpine") != -1 || f.StageOf("-1") != -1 {
		t.Error("a name that is no stage was resolved")
	}
}

// TestOffset holds that each byte of a script is where Offset says.
func TestOffset(t *testing.T) {
	for _, text := range []string{
		sample,
		"FROM a\n  RUN   echo 1  && \\\n\n  # c\n  echo 2 \\\n && echo 3  \n",
		"\xef\xbb\xbf# escape=`\r\nFROM a\r\nRUN echo 1 && `\r\n  echo \\ 2\r\n",
		"FROM a\nRUN \\\n  echo a\\\n b",
	} {
		f := parse(t, text)
		seen := false
		for _, st := range f.Stages {
			for _, in := range st.Instructions {
				if in.Run == nil || in.Run.Script == "" || in.Run.Heredocs > 0 {
					continue
				}
				seen = true
				for i := range len(in.Run.Script) {
					at, ok := in.Run.Offset(i)
					if !ok || f.Text[at] != in.Run.Script[i] {
						t.Fatalf("byte %d of %q is at %d (%v) of\n%s", i, in.Run.Script, at, ok, text)
					}
				}
				if end, ok := in.Run.Offset(len(in.Run.Script)); !ok || end > len(f.Text) {
					t.Errorf("end of %q at %d, %v", in.Run.Script, end, ok)
				}
			}
		}
		if !seen {
			t.Errorf("no script in\n%s", text)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"FROM a\nRUN <<EOF\nx\n":             "Dockerfile:2: unterminated heredoc",
		"FROM a\nFRUN x\n":                   "Dockerfile:2: unknown instruction: FRUN",
		"RUN x\n":                            "Dockerfile:1: no build stage in current context",
		"":                                   "Dockerfile: file with no instructions",
		"ARG X\n":                            "Dockerfile: no build stage",
		"FROM a\nCOPY x\n":                   "Dockerfile:2: COPY requires at least two arguments",
		"# escape=x\nFROM a\n":               "Dockerfile: invalid escape token",
		"FROM a b\n":                         "Dockerfile:1: FROM requires either one or three arguments",
		"FROM a\n\n# c\nWORKDIR /a\n\nENV\n": "Dockerfile:6: ENV requires at least one argument",
	} {
		_, err := dockerfile.Parse("Dockerfile", []byte(text))
		var e *dockerfile.Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("# escape=`\nFROM a\nRUN a `\n b\n")
	f.Add("\xef\xbb\xbfFROM a\r\nRUN a \\\r\n\r\n# c\r\n b\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := dockerfile.Parse("Dockerfile", []byte(text))
		if err != nil {
			return
		}
		line := 0
		for _, st := range file.Stages {
			for _, in := range append([]dockerfile.Instruction{st.From}, st.Instructions...) {
				if in.Whole().From <= line || in.Lines.To < in.Lines.From {
					t.Fatalf("lines %v follow line %d", in.Whole(), line)
				}
				line = in.Lines.To
				if file.Source(in.Lines) == "" {
					t.Fatalf("no source for lines %v", in.Lines)
				}
				if in.Run == nil {
					continue
				}
				for i := range len(in.Run.Script) {
					if at, ok := in.Run.Offset(i); ok && file.Text[at] != in.Run.Script[i] {
						t.Fatalf("byte %d of %q is not at %d", i, in.Run.Script, at)
					}
				}
			}
		}
	})
}

func TestCommandsAndVariables(t *testing.T) {
	f := parse(t, `FROM a
ARG A B=1
ENV C=$B D="x y"
EXPOSE 80 443/udp
CMD ["node", "x y"]
CMD node x | tee log
HEALTHCHECK NONE
HEALTHCHECK CMD curl -f localhost
ENTRYPOINT []
RUN true
`)
	ins := f.Stages[0].Instructions
	got := []any{ins[0].Vars, ins[1].Vars, ins[2].Ports}
	for _, in := range ins[3:] {
		got = append(got, in.Command)
	}
	want := []any{
		[]dockerfile.Variable{{Name: "A"}, {Name: "B", Value: "1", Set: true}},
		[]dockerfile.Variable{{Name: "C", Value: "$B", Set: true}, {Name: "D", Value: `"x y"`, Set: true}},
		[]string{"443/udp", "80"},
		&dockerfile.Command{Args: []string{"node", "x y"}},
		&dockerfile.Command{Script: "node x | tee log"},
		&dockerfile.Command{None: true},
		&dockerfile.Command{Script: "curl -f localhost"},
		&dockerfile.Command{},
		(*dockerfile.Command)(nil),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
