package plan

import (
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
)

// SecretsAnnotation marks pod templates with an HMAC of the Secrets that they use, so that a rotated credential rolls
// their pods. It is the operator's own: a plan shows what it restarts and not that it changed.
const SecretsAnnotation = "kubewandb.io/secrets"

// Object is one rendered object.
type Object struct {
	APIVersion string
	Kind       string
	// Namespace is empty for objects of the cluster.
	Namespace string
	Name      string
	// Hook tells that Helm runs the object at some point instead of keeping it.
	Hook bool
	// Content is the object as rendered, credentials included. It is not changed.
	Content map[string]any
}

// Key identifies the object whatever version of its API is used: "apps/Deployment/wandb/wandb-app". Hooks and kept objects
// of one name are two.
func (o Object) Key() string {
	group, _, found := strings.Cut(o.APIVersion, "/")
	if !found {
		group = ""
	}
	key := group + "/" + o.Kind + "/" + o.Namespace + "/" + o.Name
	if o.Hook {
		key += " (hook)"
	}
	return key
}

// String returns kind and name: "Deployment wandb-app".
func (o Object) String() string { return o.Kind + " " + o.Name }

// indexed maps objects by key. Hooks may repeat a name at several points; those are numbered.
func indexed(objects []Object) ([]string, map[string]Object) {
	keys, byKey := make([]string, 0, len(objects)), make(map[string]Object, len(objects))
	for _, object := range objects {
		key := object.Key()
		for n := 2; ; n++ {
			if _, taken := byKey[key]; !taken {
				break
			}
			key = fmt.Sprintf("%s #%d", object.Key(), n)
		}
		keys = append(keys, key)
		byKey[key] = object
	}
	return keys, byKey
}

func (o Object) isSecret() bool { return o.Kind == "Secret" && o.APIVersion == "v1" }

// content returns the fields to compare: those of a Secret in the one form that the API server keeps, so that a chart
// which moves a value from stringData to data changes nothing.
func (o Object) content() map[string]any {
	plain, ok := o.Content["stringData"].(map[string]any)
	if !ok || !o.isSecret() {
		return o.Content
	}
	content := maps.Clone(o.Content)
	delete(content, "stringData")
	data := map[string]any{}
	if encoded, ok := o.Content["data"].(map[string]any); ok {
		maps.Copy(data, encoded)
	}
	for key, value := range plain {
		data[key] = base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(value)))
	}
	content["data"] = data
	return content
}

// within returns the value at a path of keys; nil where there is none.
func within(fields map[string]any, path ...string) any {
	var value any = fields
	for _, key := range path {
		inner, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = inner[key]
	}
	return value
}

func textOf(value any) string {
	text, _ := value.(string)
	return text
}

func listOf(value any) []any {
	list, _ := value.([]any)
	return list
}
