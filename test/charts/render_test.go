// Package charts renders the charts as Helm does and holds them to what they promise: golden renders, no surprises in rights
// and credentials, every documented key effective or marked as without effect, and references that match the schemas.
package charts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/kubewandb/kubewandb/tools/chart/reference"
)

const root = "../.."

// minimal are values without which a chart refuses to render.
func minimal(name string) map[string]any {
	if name == "deploy-server" {
		return map[string]any{"adminToken": map[string]any{"existingSecret": "deploy-admin"}}
	}
	return map[string]any{}
}

// input is what Helm gives to a render.
type input struct {
	values    map[string]any
	release   string // default: wandb
	namespace string // default: wandb-system
	// defaults replace the values.yaml of the chart, as --reuse-values does with those of an older one.
	defaults map[string]any
	// appVersion and version replace those of the chart.
	appVersion, version string
	// unchecked leaves the schema out.
	unchecked bool
}

// loadAll reads the charts once: a render changes none of what it gets.
var loadAll = sync.OnceValues(func() (map[string]*chart.Chart, error) {
	charts := map[string]*chart.Chart{}
	for _, name := range reference.Charts() {
		loaded, err := loader.Load(filepath.Join(root, "charts", name))
		if err != nil {
			return nil, fmt.Errorf("load chart %s: %w", name, err)
		}
		charts[name] = loaded
	}
	return charts, nil
})

// load returns a copy whose values and metadata may be replaced.
func load(t testing.TB, name string) *chart.Chart {
	t.Helper()
	charts, err := loadAll()
	if err != nil {
		t.Fatal(err)
	}
	loaded, metadata := *charts[name], *charts[name].Metadata
	loaded.Metadata = &metadata
	return &loaded
}

// output is what a render gives: manifests by the path of their template, and the notes.
type output struct {
	manifests map[string]string
	notes     string
}

func tryRender(t testing.TB, name string, in input) (output, error) {
	t.Helper()
	loaded := load(t, name)
	if in.defaults != nil {
		loaded.Values = in.defaults
	}
	if in.version != "" {
		loaded.Metadata.Version = in.version
	}
	if in.appVersion != "" {
		loaded.Metadata.AppVersion = in.appVersion
	}
	options := common.ReleaseOptions{
		Name: orDefault(in.release, "wandb"), Namespace: orDefault(in.namespace, "wandb-system"), Revision: 1, IsInstall: true,
	}
	values, err := util.ToRenderValuesWithSchemaValidation(loaded, in.values, options, nil, in.unchecked)
	if err != nil {
		return output{}, err
	}
	files, err := engine.Render(loaded, values)
	if err != nil {
		return output{}, err
	}
	out := output{manifests: map[string]string{}}
	for file, text := range files {
		file = strings.TrimPrefix(file, name+"/templates/")
		if path.Base(file) == "NOTES.txt" {
			out.notes = text
		} else if text = strings.TrimSpace(text); text != "" {
			out.manifests[file] = text
		}
	}
	return out, nil
}

func render(t testing.TB, name string, in input) output {
	t.Helper()
	out, err := tryRender(t, name, in)
	if err != nil {
		t.Fatalf("render chart %s: %v", name, err)
	}
	return out
}

// text is the whole render in the order of the templates.
func (o output) text() string {
	var all strings.Builder
	for _, file := range slices.Sorted(maps.Keys(o.manifests)) {
		all.WriteString("# Source: " + file + "\n" + o.manifests[file] + "\n---\n")
	}
	return all.String()
}

// documents are the single YAML documents of a render.
func (o output) documents(t testing.TB) [][]byte {
	t.Helper()
	var documents [][]byte
	for _, file := range slices.Sorted(maps.Keys(o.manifests)) {
		reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(o.manifests[file])))
		for {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("split %s: %v", file, err)
			}
			if len(bytes.TrimSpace(stripComments(document))) > 0 {
				documents = append(documents, document)
			}
		}
	}
	return documents
}

// objects decodes every document.
func (o output) objects(t testing.TB) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, document := range o.documents(t) {
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(document, &object.Object); err != nil {
			t.Fatalf("decode: %v\n%s", err, document)
		}
		objects = append(objects, object)
	}
	return objects
}

// find returns the object of this kind and name, or fails.
func (o output) find(t testing.TB, kind, name string) *unstructured.Unstructured {
	t.Helper()
	if object := o.lookup(t, kind, name); object != nil {
		return object
	}
	t.Fatalf("the render has no %s %s", kind, name)
	return nil
}

func (o output) lookup(t testing.TB, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range o.objects(t) {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	return nil
}

// pods returns the pod template of every workload, by kind and name.
func (o output) pods(t testing.TB) map[string]corev1.PodTemplateSpec {
	t.Helper()
	pods := map[string]corev1.PodTemplateSpec{}
	for _, object := range o.objects(t) {
		template, found, err := unstructured.NestedMap(object.Object, "spec", "template")
		if err != nil || !found {
			continue
		}
		var pod corev1.PodTemplateSpec
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod); err != nil {
			t.Fatalf("decode pod of %s %s: %v", object.GetKind(), object.GetName(), err)
		}
		pods[object.GetKind()+"/"+object.GetName()] = pod
	}
	return pods
}

// environment returns the variables of the first container of a Deployment.
func (o output) environment(t testing.TB, deployment string) map[string]corev1.EnvVar {
	t.Helper()
	pod, found := o.pods(t)["Deployment/"+deployment]
	if !found {
		t.Fatalf("the render has no Deployment %s", deployment)
	}
	env := map[string]corev1.EnvVar{}
	for _, variable := range pod.Spec.Containers[0].Env {
		if _, twice := env[variable.Name]; twice {
			t.Errorf("Deployment %s sets %s twice", deployment, variable.Name)
		}
		env[variable.Name] = variable
	}
	return env
}

func readYAML(t testing.TB, file string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(raw))
}

func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	values, err := loader.LoadValues(strings.NewReader(text))
	if err != nil {
		t.Fatalf("read values: %v", err)
	}
	return values
}

func schemaOf(t testing.TB, name string) *reference.Schema {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "charts", name, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := reference.Parse(raw)
	if err != nil {
		t.Fatalf("chart %s: %v", name, err)
	}
	return schema
}

// with returns a deep copy of values in which the dotted path has this value.
func with(t testing.TB, values map[string]any, dotted string, value any) map[string]any {
	t.Helper()
	copied := clone(values)
	current := copied
	keys := strings.Split(dotted, ".")
	for _, key := range keys[:len(keys)-1] {
		next, ok := current[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			current[key] = next
		}
		current = next
	}
	current[keys[len(keys)-1]] = value
	return copied
}

func clone(values map[string]any) map[string]any {
	return runtime.DeepCopyJSON(normal(values).(map[string]any))
}

// normal turns the numbers of YAML into those that DeepCopyJSON knows.
func normal(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = normal(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = normal(item)
		}
		return out
	case int:
		return int64(v)
	default:
		return v
	}
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

func stripComments(document []byte) []byte {
	var kept [][]byte
	for line := range bytes.Lines(document) {
		if trimmed := bytes.TrimSpace(line); !bytes.HasPrefix(trimmed, []byte("#")) && !bytes.Equal(trimmed, []byte("---")) {
			kept = append(kept, line)
		}
	}
	return bytes.Join(kept, nil)
}
