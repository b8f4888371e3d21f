package cli_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stokerd/stoker/internal/api"
)

// Every field that --json prints has its line in docs/json, and no line is about
// a field that is gone.
func TestSchemasAreDocumented(t *testing.T) {
	answers := map[string]any{
		api.StatusSchema: api.Status{}, api.CheckSchema: api.Check{}, api.ContextSchema: api.Context{},
		api.StatsSchema: api.Stats{}, api.SuggestSchema: api.Suggest{}, api.ReplaySchema: api.Replay{}, api.PredictSchema: api.Predict{}, api.WhySchema: api.Why{}, api.VersionSchema: api.Program{}, api.PruneSchema: api.Prune{},
		api.ContextStepsSchema: api.ContextSteps{}, api.ContextTreeSchema: api.ContextTree{},
		api.ImageSchema: api.Image{}, api.ImageDiffSchema: api.ImageDiff{},
		api.BuildReportSchema: api.BuildReport{}, api.InitSchema: api.Init{},
		api.ContextExplainSchema: api.ContextExplain{}, api.ContextDiffSchema: api.ContextDiff{},
	}
	declared := schemas(t)
	for schema, answer := range answers {
		name := strings.TrimSuffix(strings.TrimPrefix(schema, "stoker."), "/v1")
		if !declared[schema] {
			t.Errorf("%s is no schema of internal/api", schema)
		}
		delete(declared, schema)
		page, err := os.ReadFile(filepath.Join("..", "..", "docs", "json", name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]bool{}
		elsewhere := map[reflect.Type]bool{} // what has a page of its own
		for _, other := range answers {
			elsewhere[reflect.TypeOf(other)] = reflect.TypeOf(other) != reflect.TypeOf(answer)
		}
		collect(reflect.TypeOf(answer), fields, elsewhere)
		section := ""
		for line := range strings.Lines(string(page)) {
			if title, ok := strings.CutPrefix(line, "## "); ok {
				section = strings.TrimSpace(title)
			}
			rest, ok := strings.CutPrefix(line, "| `")
			if !ok {
				continue
			}
			field, _, _ := strings.Cut(rest, "`")
			if !fields[section+"."+field] {
				t.Errorf("docs/json/%s.md documents %s.%s, which is not there", name, section, field)
			}
			delete(fields, section+"."+field)
		}
		for field := range fields {
			t.Errorf("docs/json/%s.md lacks %s", name, field)
		}
	}
	for schema := range declared {
		t.Errorf("the fields of %s are not compared with a page of docs/json: add its answer above", schema)
	}
}

// schemas returns those that internal/api declares.
func schemas(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "api", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(stoker\.[a-z-]+/v\d+)"`).FindAllSubmatch(source, -1) {
			declared[string(m[1])] = true
		}
	}
	return declared
}

// collect adds "Struct.field" for every JSON field that t leads to, short of what is documented elsewhere.
func collect(t reflect.Type, fields map[string]bool, elsewhere map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		collect(t.Elem(), fields, elsewhere)
	case reflect.Struct:
		if t.PkgPath() != reflect.TypeFor[api.Status]().PkgPath() || elsewhere[t] {
			return
		}
		for i := range t.NumField() {
			tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			fields[t.Name()+"."+tag] = true
			collect(t.Field(i).Type, fields, elsewhere)
		}
	}
}
