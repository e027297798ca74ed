package kubectl

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

const (
	// originsKey of Secret <cr>-spec-active says which layer set each value.
	originsKey = "origins"
	// maxOrigins bounds what is read.
	maxOrigins = 1 << 20
	// lastEditAnnotation on Secret <cr>-spec-user is written by the console.
	lastEditAnnotation = "kubewandb.io/last-edit"
	// maxShown is how much of a value a table shows.
	maxShown = 60
)

// lastEdit says who wrote the user layer last.
type lastEdit struct {
	By     string    `json:"by"`
	Method string    `json:"method,omitempty"`
	At     time.Time `json:"at"`
}

// leaf is one value and where it comes from.
type leaf struct {
	Path string `json:"path"`
	// Value has its credentials masked.
	Value any `json:"value"`
	spec.Origin
}

// explanation is the JSON of "explain".
type explanation struct {
	Values []leaf `json:"values"`
	// UserEdit is absent where nobody has used the console, or the user layer plays no part.
	UserEdit *lastEdit `json:"userEdit,omitempty"`
}

func (p *plugin) explain(ctx context.Context, name, path string, whole bool) error {
	resource, err := p.resource(ctx, name)
	if err != nil {
		return err
	}
	secret, err := p.secret(ctx, resource.Name+activeSuffix)
	if err != nil {
		return err
	}
	if secret == nil {
		return &fault.Error{
			Reason: "NothingApplied", Op: "explain the specification of " + resource.Name, Err: errors.New("none was applied yet"),
			Hint: fmt.Sprintf(`"kubectl wandb status %s" tells what the operator waits for.`, resource.Name),
		}
	}
	schema := p.chartSchema(ctx, resource)
	all, err := leaves(secret.Data, schema)
	if err != nil {
		return err
	}
	chosen, err := choose(all, path, resource)
	if err != nil {
		return err
	}
	result := explanation{Values: chosen}
	if slices.ContainsFunc(chosen, func(l leaf) bool { return l.involves(spec.LayerUser) }) {
		result.UserEdit = p.userEdit(ctx, resource.Name)
	}
	return p.print(result, func() string { return explainText(result, p.streams.Now(), whole, p.paint()) })
}

// chartSchema returns the schema of the chart that runs, which knows more credentials than names tell. Without it, names
// and forms decide, and the caller is told.
func (p *plugin) chartSchema(ctx context.Context, resource *appsv1.WeightsAndBiases) *spec.Schema {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	storage, err := p.helm()
	if err == nil {
		var raw []byte
		current, readErr := storage.Current(ctx, resource.Namespace, resource.Name)
		if err = readErr; err == nil && current != nil {
			raw, err = storage.StoredSchema(ctx, resource.Namespace, resource.Name, current.Revision)
		}
		if err == nil && len(raw) > 0 {
			schema, parseErr := spec.ParseSchema(raw)
			if parseErr == nil {
				return schema
			}
			err = parseErr
		}
	}
	if err != nil {
		p.say("note: the chart's schema cannot be read (%s); credentials are told by their names.", err)
	}
	return nil
}

func (p *plugin) userEdit(ctx context.Context, name string) *lastEdit {
	secret, err := p.secret(ctx, name+userSuffix)
	if err != nil || secret == nil {
		return nil
	}
	var edit lastEdit
	if json.Unmarshal([]byte(secret.Annotations[lastEditAnnotation]), &edit) != nil || edit.By == "" {
		return nil
	}
	return &edit
}

// leaves reads values and origins, masks credentials, and returns them ordered by path.
func leaves(data map[string][]byte, schema *spec.Schema) ([]leaf, error) {
	layer, err := spec.Decode("active", data)
	if err != nil {
		return nil, err
	}
	origins, err := decodeOrigins(data[originsKey])
	if err != nil {
		return nil, err
	}
	shown := spec.Redact(layer.Values, schema)
	secrets := spec.Secrets(layer.Values, schema)
	all := make([]leaf, 0, len(origins))
	for _, path := range slices.Sorted(maps.Keys(origins)) {
		keys, err := spec.SplitPath(path)
		if err != nil {
			continue
		}
		value, found := at(shown, keys)
		if !found { // masked together with what is above it, or from another version of the Secret
			value = redact.Mask
		}
		// A key can be a credential too, for example a host name in a map of passwords.
		all = append(all, leaf{Path: spec.MaskText(path, secrets), Value: value, Origin: origins[path]})
	}
	return all, nil
}

func decodeOrigins(raw []byte) (map[string]spec.Origin, error) {
	problem := &fault.Error{
		Reason: appsv1.ReasonInternalError, Op: "read which layer set each value",
		Hint: "Operators before version 2 did not write it. The operator writes it with the next release; force one with \"kubectl wandb force\".",
	}
	if len(raw) == 0 {
		problem.Err = fmt.Errorf("key %q is absent", originsKey)
		return nil, problem
	}
	if len(raw) > maxOrigins {
		problem.Err = fmt.Errorf("key %q has more than %d bytes", originsKey, maxOrigins)
		return nil, problem
	}
	var origins map[string]spec.Origin
	if json.Unmarshal(raw, &origins) != nil { // its error may repeat what it read
		problem.Err = fmt.Errorf("key %q is not the JSON of origins", originsKey)
		return nil, problem
	}
	return origins, nil
}

func at(values map[string]any, keys []string) (any, bool) {
	var current any = values
	for _, key := range keys {
		fields, ok := current.(map[string]any)
		if !ok {
			return nil, false
		}
		if current, ok = fields[key]; !ok {
			return nil, false
		}
	}
	return current, true
}

func (l leaf) involves(layer string) bool {
	return l.Layer == layer || slices.Contains(l.Merged, layer) || slices.Contains(l.Shadowed, layer)
}

// choose returns the leaves at or below path; a path inside a value means that value.
func choose(all []leaf, path string, resource *appsv1.WeightsAndBiases) ([]leaf, error) {
	if path == "" {
		return all, nil
	}
	keys, err := spec.SplitPath(path)
	if err != nil {
		return nil, &fault.Error{
			Reason: "PathInvalid", Op: fmt.Sprintf("read path %q", path), Err: err,
			Hint: `Write it as a dotted path below spec.values, for example global.host, and a dot inside a key as "\.".`,
		}
	}
	if chosen := below(all, keys); len(chosen) > 0 {
		return chosen, nil
	}
	for _, prefix := range [][]string{{"spec", "values"}, {"values"}} { // as it stands in the resource
		if rest := len(prefix); len(keys) > rest && slices.Equal(keys[:rest], prefix) {
			if chosen := below(all, keys[rest:]); len(chosen) > 0 {
				return chosen, nil
			}
		}
	}
	return nil, unknownPath(all, path, keys, resource)
}

func below(all []leaf, keys []string) []leaf {
	var chosen []leaf
	for _, one := range all {
		own, err := spec.SplitPath(one.Path)
		if err != nil {
			continue
		}
		same := min(len(own), len(keys))
		if slices.Equal(own[:same], keys[:same]) {
			chosen = append(chosen, one)
		}
	}
	return chosen
}

func unknownPath(all []leaf, path string, keys []string, resource *appsv1.WeightsAndBiases) error {
	problem := &fault.Error{
		Reason: "PathUnknown", Op: "explain " + path, Err: errors.New("no layer sets it; the chart's own default counts, if it has one"),
		Hint: `"kubectl wandb explain" lists every path.`,
	}
	for _, unset := range resource.Spec.Unset {
		removed, err := spec.SplitPath(unset)
		if err == nil && len(removed) <= len(keys) && slices.Equal(removed, keys[:len(removed)]) {
			problem.Err = fmt.Errorf("spec.unset of the resource removes %s", unset)
			return problem
		}
	}
	if near := nearest(all, path); near != "" {
		problem.Hint = fmt.Sprintf("Did you mean %s?", near)
	}
	return problem
}

// nearest returns the path, of a leaf or of a map above one, that differs least; "" where none is near.
func nearest(all []leaf, path string) string {
	best, distance := "", max(3, len(path)/4)+1
	seen := map[string]bool{}
	for _, one := range all {
		keys, err := spec.SplitPath(one.Path)
		if err != nil {
			continue
		}
		for depth := range keys {
			candidate := spec.JoinPath(keys[:depth+1]...)
			if seen[candidate] {
				continue
			}
			seen[candidate] = true
			if d := levenshtein.ComputeDistance(strings.ToLower(path), strings.ToLower(candidate)); d < distance {
				best, distance = candidate, d
			}
		}
	}
	return best
}

func explainText(result explanation, now time.Time, whole bool, colors paint) string {
	b := &page{paint: colors, now: now}
	rows := &table{style: func(row, _ int, text string) string {
		if row == 0 {
			return b.in(faint, text)
		}
		return text
	}}
	rows.add("PATH", "VALUE", "LAYER", "BELOW IT")
	for _, one := range result.Values {
		value := valueText(one.Value)
		if !whole {
			value = cut(value, maxShown)
		}
		var rest []string
		if len(one.Merged) > 0 {
			rest = append(rest, "merged with "+strings.Join(one.Merged, ", "))
		}
		if len(one.Shadowed) > 0 {
			rest = append(rest, "shadows "+strings.Join(one.Shadowed, ", "))
		}
		rows.add(one.Path, value, one.Layer, strings.Join(rest, "; "))
	}
	if len(result.Values) == 0 {
		return "No layer sets anything.\n"
	}
	rows.write(&b.Builder, "")
	if edit := result.UserEdit; edit != nil {
		fmt.Fprintf(b, "\nLayer user was last edited by %s (%s) %s.\n", clean(edit.By), clean(cmp.Or(edit.Method, "console")), due(edit.At, now))
	}
	return b.String()
}

// valueText is JSON, on one line.
func valueText(value any) string {
	if value == redact.Mask {
		return redact.Mask
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "?"
	}
	return strings.TrimSpace(b.String())
}
