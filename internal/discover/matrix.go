package discover

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

var targetName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// validTarget returns an error if bake does not allow the name for a target.
func validTarget(name string) error {
	if !targetName.MatchString(name) {
		return errors.New("only letters, digits, _ and - are allowed in the name of a target")
	}
	return nil
}

// GetEvalContexts implements hclparser.WithEvalContexts. It returns an evaluation context
// for each combination of the values of a matrix (buildx: Target.GetEvalContexts).
func (t *bakeTarget) GetEvalContexts(base *hcl.EvalContext, block *hcl.Block, load func(hcl.Expression) hcl.Diagnostics) ([]*hcl.EvalContext, error) {
	attr, err := attribute(block, "matrix")
	if err != nil || attr == nil {
		return []*hcl.EvalContext{base}, err
	}
	value, err := valueOf(attr, base, load)
	if err != nil {
		return nil, err
	}
	if value.IsNull() || !value.Type().IsMapType() && !value.Type().IsObjectType() {
		return nil, errors.New("matrix must be a map")
	}
	contexts := []*hcl.EvalContext{base}
	matrix := value.AsValueMap()
	for _, axis := range slices.Sorted(maps.Keys(matrix)) {
		if matrix[axis].IsNull() || !matrix[axis].CanIterateElements() {
			return nil, errors.New("matrix values must be lists")
		}
		var next []*hcl.EvalContext
		for _, v := range matrix[axis].AsValueSlice() {
			for _, c := range contexts {
				child := base.NewChild()
				child.Variables = map[string]cty.Value{}
				if c != base {
					maps.Copy(child.Variables, c.Variables)
				}
				child.Variables[axis] = v
				next = append(next, child)
			}
		}
		contexts = next
		if len(contexts) > maxMatrix {
			return nil, fmt.Errorf("matrix has more than %d combinations", maxMatrix)
		}
	}
	return contexts, nil
}

// maxMatrix bounds the combinations of a matrix: far more than anybody builds, and far fewer
// than would exhaust memory.
const maxMatrix = 1000

// GetName implements hclparser.WithGetName. It returns the name that a target of a matrix
// computes for itself, or else that of its block.
func (t *bakeTarget) GetName(ectx *hcl.EvalContext, block *hcl.Block, load func(hcl.Expression) hcl.Diagnostics) (string, error) {
	attr, err := attribute(block, "name")
	if err != nil || attr == nil {
		return block.Labels[0], err
	}
	if matrix, err := attribute(block, "matrix"); err != nil || matrix == nil {
		return "", cmp.Or(err, errors.New("name requires matrix"))
	}
	value, err := valueOf(attr, ectx, load)
	if err != nil {
		return "", err
	}
	if value, err = convert.Convert(value, cty.String); err != nil || value.IsNull() || !value.IsKnown() {
		return "", errors.New("name is not a string")
	}
	return value.AsString(), nil
}

// attribute returns an attribute of a block, or nil if it has none of that name.
func attribute(block *hcl.Block, name string) (*hcl.Attribute, error) {
	content, _, diags := block.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: name}}})
	if diags.HasErrors() {
		return nil, diags
	}
	return content.Attributes[name], nil
}

// valueOf evaluates an attribute, after load has loaded the variables in it.
func valueOf(attr *hcl.Attribute, ectx *hcl.EvalContext, load func(hcl.Expression) hcl.Diagnostics) (cty.Value, error) {
	if diags := load(attr.Expr); diags.HasErrors() {
		return cty.NilVal, diags
	}
	value, diags := attr.Expr.Value(ectx)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	return value, nil
}
