package helm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// Object is one rendered object.
type Object struct {
	Ref
	// Hook tells that Helm runs the object at some point instead of keeping it.
	Hook bool
	// Source is the template that it comes from.
	Source string
	// Content is the object as rendered, credentials included.
	Content map[string]any
}

// Render renders the chart as the next install or upgrade would, with the cluster's own version and APIs, and writes
// nothing: the only requests are reads that the chart's templates themselves ask for (lookup). Objects come in the order
// in which Helm applies them, CRDs first, hooks last.
func (c *Client) Render(ctx context.Context, chart *Chart, values map[string]any, namespace, name string) ([]Object, error) {
	rendered, err := c.renderNext(ctx, chart, values, namespace, name)
	if err != nil {
		return nil, err
	}
	return rendered.All(), nil
}

// renderNext renders the revision after the current one, once.
func (c *Client) renderNext(ctx context.Context, chart *Chart, values map[string]any, namespace, name string) (*Rendered, error) {
	op := "render release " + name
	secrets := spec.Secrets(values, nil)
	if err := chart.Validate(values); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	current, err := c.Observed(ctx, namespace, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	options := common.ReleaseOptions{Name: name, Namespace: namespace, Revision: 1, IsInstall: true}
	if current != nil {
		options.Revision, options.IsInstall, options.IsUpgrade = current.Revision+1, false, true
	}
	rendered, err := c.render(ctx, chart, values, options)
	if err != nil {
		return nil, renderFault(op, err, secrets)
	}
	return rendered, nil
}

func (c *Client) render(ctx context.Context, chart *Chart, values map[string]any, options common.ReleaseOptions) (*Rendered, error) {
	capabilities, err := c.currentCapabilities()
	if err != nil {
		return nil, err
	}
	working, values := chart.working(), spec.Copy(values)
	if values == nil {
		values = map[string]any{}
	}
	if wanted := working.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, capabilities.KubeVersion.String()) {
		return nil, fmt.Errorf("the chart needs Kubernetes %s, the cluster has %s", wanted, capabilities.KubeVersion.Version)
	}
	if err := chartutil.ProcessDependencies(working, values); err != nil {
		return nil, fmt.Errorf("resolve dependencies: %w", err)
	}
	input, err := util.ToRenderValuesWithSchemaValidation(working, values, options, capabilities, true)
	if err != nil {
		return nil, fmt.Errorf("lay values over defaults: %w", err)
	}
	files, err := engine.RenderWithClientProvider(working, input, lookups{ctx: ctx, client: c})
	if err != nil {
		return nil, fmt.Errorf("run templates: %w", err)
	}
	rendered := &Rendered{Notes: files[path.Join(working.Name(), notesTemplate)]}
	for file := range files {
		if strings.HasSuffix(file, "NOTES.txt") {
			delete(files, file)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, fmt.Errorf("read what the templates wrote: %w", err)
	}
	for _, crd := range working.CRDObjects() {
		for _, document := range releaseutil.SplitManifests(string(crd.File.Data)) {
			if rendered.Definitions, err = c.appendObject(rendered.Definitions, crd.Filename, document, options.Namespace); err != nil {
				return nil, err
			}
		}
	}
	documents := documentsOf(manifests, hooks)
	rendered.Text = joinDocuments(documents)
	if rendered.Objects, err = c.documentObjects(documents, options.Namespace); err != nil {
		return nil, err
	}
	return rendered, nil
}

func (c *Client) appendObject(objects []Object, source, document, namespace string) ([]Object, error) {
	var content map[string]any
	if err := yaml.Unmarshal([]byte(document), &content); err != nil {
		return nil, fmt.Errorf("read what %s wrote: %w", source, err)
	}
	if len(content) == 0 {
		return objects, nil
	}
	if items, ok := content["items"].([]any); ok && strings.HasSuffix(text(content, "kind"), "List") {
		return c.appendItems(objects, items, source, namespace), nil
	}
	return append(objects, c.newObject(content, source, namespace)), nil
}

func (c *Client) appendItems(objects []Object, items []any, source, namespace string) []Object {
	for _, item := range items {
		if content, ok := item.(map[string]any); ok {
			objects = append(objects, c.newObject(content, source, namespace))
		}
	}
	return objects
}

func (c *Client) newObject(content map[string]any, source, namespace string) Object {
	metadata, _ := content["metadata"].(map[string]any)
	ref := Ref{
		APIVersion: text(content, "apiVersion"), Kind: text(content, "kind"),
		Namespace: text(metadata, "namespace"), Name: text(metadata, "name"),
	}
	return Object{Ref: c.scoped(ref, namespace), Hook: isHook(content), Source: source, Content: content}
}

func isHook(content map[string]any) bool {
	metadata, _ := content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	_, hook := annotations[release.HookAnnotation]
	return hook
}

func text(fields map[string]any, key string) string {
	value, _ := fields[key].(string)
	return value
}

// renderFault tells a chart's own refusal (fail, required) from everything else: its author meant it for the person who
// sets values.
func renderFault(op string, err error, secrets []redact.Secret) error {
	classified := failed(op, v1.ReasonChartInvalid, err, secrets)
	var f *fault.Error
	if !errors.As(classified, &f) || f.Reason != v1.ReasonChartInvalid || f.Retry {
		return classified
	}
	if strings.Contains(err.Error(), "execution error at") {
		f.Reason = v1.ReasonValuesInvalid
		f.Hint = "The chart itself refuses these values; its message says which."
	}
	if f.Hint == "" {
		f.Hint = "The chart's templates cannot work with these values. Correct the value that the message names, or choose another version of the chart."
	}
	return classified
}

// lookups serves the template function of that name with the shared clients.
type lookups struct {
	ctx    context.Context // the engine's interface has none; it lives as long as one render
	client *Client
}

var _ engine.ClientProvider = lookups{}

func (l lookups) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	if err := l.ctx.Err(); err != nil {
		return nil, false, fmt.Errorf("look up %s: %w", kind, err)
	}
	mapping, err := l.client.mappingFor(apiVersion, kind)
	if err != nil {
		return nil, false, err
	}
	return l.client.dynamic.Resource(mapping.Resource), mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

func splitAPIVersion(apiVersion string) (group, version string) {
	parsed, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return "", apiVersion
	}
	return parsed.Group, parsed.Version
}

func schemaGroupKind(group, kind string) schema.GroupKind {
	return schema.GroupKind{Group: group, Kind: kind}
}
