package helm

import (
	"fmt"
	"slices"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/plan"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// SecretsUsed returns the names of Secrets that the pods of workloads refer to in their environment and volumes, sorted.
// Pull secrets do not count, nor do Jobs: their pods do not live long enough to be rolled.
func SecretsUsed(objects []Object) []string {
	var names []string
	for _, object := range objects {
		if converted := planObject(object); plan.IsWorkload(converted) {
			names = append(names, plan.SecretsUsed(converted)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// WithSecretMarks returns rendered with annotation plan.SecretsAnnotation on the pod template of each workload that uses a
// Secret, so that a rotated credential rolls the pods that use it and no others. mark is given the sorted names of those
// Secrets and returns the annotation's value, an HMAC over their content; "" leaves the workload as it is. rendered is
// not changed.
func WithSecretMarks(rendered *Rendered, mark func(secretNames []string) string) (*Rendered, error) {
	marked := *rendered
	marked.Objects = slices.Clone(rendered.Objects)
	changed := false
	for i, object := range marked.Objects {
		if value := secretMark(object.Content, object.Hook, mark); value != "" {
			marked.Objects[i].Content = spec.Copy(object.Content)
			changed = setMark(marked.Objects[i].Content, value) || changed
		}
	}
	if !changed {
		return &marked, nil
	}
	documents := splitDocuments(rendered.Text)
	for i, one := range documents {
		content, err := markDocument(one.content, mark)
		if err != nil {
			return nil, &fault.Error{
				Reason: v1.ReasonChartInvalid, Op: "mark the Secrets that " + one.source + " uses", Err: err,
				Hint: "The chart writes something that is no YAML; ask whoever publishes it.",
			}
		}
		documents[i].content = content
	}
	marked.Text = joinDocuments(documents)
	return &marked, nil
}

// secretMark asks for the mark of a workload; "" where it needs none.
func secretMark(content map[string]any, hook bool, mark func([]string) string) string {
	object := plan.Object{APIVersion: text(content, "apiVersion"), Kind: text(content, "kind"), Hook: hook, Content: content}
	if !plan.IsWorkload(object) {
		return ""
	}
	names := plan.SecretsUsed(object)
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return mark(names)
}

func setMark(content map[string]any, value string) bool {
	template, ok := plan.PodTemplate(plan.Object{Kind: text(content, "kind"), Content: content})
	if !ok {
		return false
	}
	inner := func(fields map[string]any, key string) map[string]any {
		found, ok := fields[key].(map[string]any)
		if !ok {
			found = map[string]any{}
			fields[key] = found
		}
		return found
	}
	inner(inner(template, "metadata"), "annotations")[plan.SecretsAnnotation] = value
	return true
}

// markDocument returns the document with its marks; without any it stays as it was written.
func markDocument(document string, mark func([]string) string) (string, error) {
	if !mayBeWorkload(document) {
		return document, nil
	}
	// Integers must stay what they are: as float64 those above 2^53 would change.
	raw, err := yaml.YAMLToJSON([]byte(document))
	if err != nil {
		return "", fmt.Errorf("read YAML: %w", err)
	}
	var content map[string]any
	if err := utiljson.Unmarshal(raw, &content); err != nil {
		return "", fmt.Errorf("read YAML: %w", err)
	}
	parts := []map[string]any{content}
	if items, ok := content["items"].([]any); ok && strings.HasSuffix(text(content, "kind"), "List") {
		parts = nil
		for _, item := range items {
			if fields, ok := item.(map[string]any); ok {
				parts = append(parts, fields)
			}
		}
	}
	changed := false
	for _, part := range parts {
		if value := secretMark(part, isHook(part), mark); value != "" {
			changed = setMark(part, value) || changed
		}
	}
	if !changed {
		return document, nil
	}
	written, err := yaml.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	return string(written), nil
}

func mayBeWorkload(document string) bool {
	return strings.Contains(document, "Deployment") || strings.Contains(document, "StatefulSet") || strings.Contains(document, "DaemonSet")
}
