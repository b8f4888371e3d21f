package dockerfile_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stokerd/stoker/context/dockerfile"
)

// canary is a build arg's value that must not be shown.
const canary = "canary-4711"

// TestNoValues looks for the value of a build arg in everything that a plan
// says, but for the paths that are asked for, which are what they are.
func TestNoValues(t *testing.T) {
	const text = `# syntax=docker/dockerfile:1
ARG TOKEN
FROM node:20 AS build
ARG TOKEN
ENV KEY=$TOKEN SECRET=${TOKEN:-x}
LABEL token=$TOKEN
WORKDIR /w
RUN login --token $TOKEN ${KEY}
RUN <<EOT
echo $TOKEN
EOT
RUN --mount=type=cache,id=$TOKEN,target=/c --mount=type=bind,source=$TOKEN,target=/m true
RUN ["echo", "$TOKEN"]
COPY --chown=$TOKEN src-$TOKEN /src
COPY <<EOT /f
$TOKEN
EOT
ADD https://example.com/$TOKEN /x
FROM build
COPY --from=build /src/${TOKEN} /y
USER $TOKEN
CMD echo $TOKEN $UNDEFINED
`
	plan, err := convertText(t, text, map[string]string{"TOKEN": canary})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Steps) < 9 {
		t.Fatalf("only %d steps: the Dockerfile was not read as meant", len(plan.Steps))
	}
	paths := map[string]bool{"Path": true, "Dest": true, "FollowPaths": true}
	eachString(reflect.ValueOf(*plan), "Plan", func(field, s string) {
		if strings.Contains(s, canary) && !paths[field[strings.LastIndex(field, ".")+1:]] {
			t.Errorf("%s = %q holds the value of a build arg", field, s)
		}
	})
	for _, step := range plan.Steps {
		if !strings.Contains(text, strings.SplitN(step.Instruction, " (", 2)[0]) {
			t.Errorf("instruction %q is not as the Dockerfile writes it", step.Instruction)
		}
	}
}

// TestNoValuesInErrors does the same for what BuildKit says of a Dockerfile
// that is wrong only for this value.
func TestNoValuesInErrors(t *testing.T) {
	tests := []struct{ name, text string }{
		{"image", "ARG V\nFROM $V/UPPER"},
		{"platform", "ARG V\nFROM --platform=$V/a/b/c alpine"},
		{"chmod", "FROM alpine\nARG V\nCOPY --chmod=$V a /"},
		{"required", "FROM alpine\nARG V\nARG NOPE\nENV A=${NOPE:?$V}"},
		{"mount", "FROM alpine\nARG V\nRUN --mount=type=cache,target=/x,mode=$V true"},
		{"port", "FROM alpine\nARG V\nEXPOSE $V"},
		{"checksum", "FROM alpine\nARG V\nADD --checksum=$V https://example.com/a /"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := convertText(t, tt.text, map[string]string{"V": canary})
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("error holds the value of a build arg: %v", err)
			}
		})
	}
}

// eachString calls fn for every string that v holds, with the field's path.
func eachString(v reflect.Value, field string, fn func(field, s string)) {
	switch v.Kind() {
	case reflect.String:
		fn(field, v.String())
	case reflect.Slice:
		for i := range v.Len() {
			eachString(v.Index(i), field, fn)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			eachString(v.Field(i), field+"."+v.Type().Field(i).Name, fn)
		}
	}
}

func FuzzConvert(f *testing.F) {
	for _, text := range []string{
		"FROM scratch\nCOPY . /\n", "FROM a AS b\nRUN <<E\nx\nE\nFROM b\nCOPY --from=b --parents a/./b /\n",
		"# syntax=x\n# escape=`\nFROM a\nRUN a `\n b\n", "FROM a\nONBUILD COPY x /\n", "FROM --platform=$TARGETPLATFORM a\nADD http://x/y /\n",
		"FROM a\nRUN --mount=type=tmpfs,target=/t --network=none true\n", "FROM 0\nFROM 0 AS 0\n", "COPY", "\xef\xbb\xbfFROM a\r\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plan, err := convertText(t, text, map[string]string{"V": canary})
		if err != nil {
			if plan != nil {
				t.Error("a plan beside an error")
			}
			return
		}
		checkPlan(t, plan)
	})
}

// checkPlan holds what is true of every plan.
func checkPlan(t *testing.T, p *dockerfile.Plan) {
	t.Helper()
	for i, s := range p.Steps {
		if s.Base >= len(p.Steps) || s.Base == i {
			t.Errorf("step %d extends %d", i, s.Base)
		}
		for _, parent := range s.Parents {
			if parent < 0 || parent >= len(p.Steps) || parent == i {
				t.Errorf("step %d needs %d", i, parent)
			}
		}
		if s.Index < 1 || s.Index > s.Total || s.Lines.From < 1 || s.Lines.To < s.Lines.From {
			t.Errorf("step %d is number %d of %d on line %s", i, s.Index, s.Total, s.Lines)
		}
		p.Ships(i, "/")
		for _, take := range s.Takes {
			if take.Path == "" || take.Local == "" {
				t.Errorf("step %d takes %+v", i, take)
			}
			p.Ships(i, take.Dest)
		}
	}
	for i, op := range p.Ops {
		if op.Source == nil && op.Digest == "" {
			t.Errorf("operation %d has no digest", i)
		}
		if s := op.Source; s != nil && (s.Kind == dockerfile.LocalSource) != (s.Request >= 0 && s.Request < len(p.Requests)) {
			t.Errorf("source %d has request %d", i, s.Request)
		}
		for _, in := range op.Inputs {
			if in.Op < 0 || in.Op >= i {
				t.Errorf("operation %d works on %d", i, in.Op)
			}
		}
		for _, step := range op.Steps {
			if step < 0 || step >= len(p.Steps) {
				t.Errorf("operation %d is part of step %d", i, step)
			}
		}
	}
}
