package helm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	ri "helm.sh/helm/v4/pkg/release"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"helm.sh/helm/v4/pkg/storage/driver"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/plan"
)

// Rendered is what a chart gives for one set of values.
type Rendered struct {
	// Text holds every document, credentials included: the manifest and then the hooks, in the form in which Helm stores
	// them. Apply.Rendered applies exactly this.
	Text string
	// Notes are what the chart tells its user; they may be empty.
	Notes string
	// Objects of Text, in the order in which Helm applies them, hooks last.
	Objects []Object
	// Definitions are the CRDs of the chart's crds folder, which Helm installs before and never changes.
	Definitions []Object
	// Generated paths differ between two renders of the same values.
	Generated plan.Paths
}

// All returns the definitions, then the objects.
func (r *Rendered) All() []Object { return slices.Concat(r.Definitions, r.Objects) }

// RenderExact renders as Render does, and keeps the text. A chart whose templates use functions that may answer
// differently (random, lookup, date) is rendered a second time, to tell which paths are generated.
func (c *Client) RenderExact(ctx context.Context, chart *Chart, values map[string]any, namespace, name string) (*Rendered, error) {
	rendered, err := c.renderNext(ctx, chart, values, namespace, name)
	if err != nil || !chart.varies(values) {
		return rendered, err
	}
	again, err := c.renderNext(ctx, chart, values, namespace, name)
	if err != nil {
		return nil, err
	}
	rendered.Generated = plan.Generated(PlanObjects(rendered.Objects), PlanObjects(again.Objects))
	return rendered, nil
}

// PlanObjects turns objects into those of a plan. Contents are shared.
func PlanObjects(objects []Object) []plan.Object {
	result := make([]plan.Object, 0, len(objects))
	for _, object := range objects {
		result = append(result, planObject(object))
	}
	return result
}

func planObject(object Object) plan.Object {
	return plan.Object{
		APIVersion: object.APIVersion, Kind: object.Kind, Namespace: object.Namespace, Name: object.Name,
		Hook: object.Hook, Content: object.Content,
	}
}

const (
	notesTemplate = "templates/NOTES.txt"
	sourceMark    = "# Source: "
)

// document is one YAML document and the template that wrote it.
type document struct{ source, content string }

// documentsOf lists manifests and hooks as they stand in a text. Each ends with a line break, so that documents of one
// template can be put one after another whatever their order.
func documentsOf(manifests []releaseutil.Manifest, hooks []*release.Hook) []document {
	documents := make([]document, 0, len(manifests)+len(hooks))
	for _, manifest := range manifests {
		documents = append(documents, document{manifest.Name, ended(manifest.Content)})
	}
	for _, hook := range hooks {
		documents = append(documents, document{hook.Path, ended(hook.Manifest)})
	}
	return documents
}

func ended(text string) string {
	if strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

// joinDocuments writes documents as Helm does in its storage.
func joinDocuments(documents []document) string {
	var b strings.Builder
	for _, one := range documents {
		_, _ = fmt.Fprintf(&b, "---\n%s%s\n%s\n", sourceMark, one.source, one.content)
	}
	return b.String()
}

// splitDocuments reads what joinDocuments wrote. A document without a source, as other tools may store it, has none.
func splitDocuments(text string) []document {
	split := releaseutil.SplitManifests(text)
	keys := make([]string, 0, len(split))
	for key := range split {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	documents := make([]document, 0, len(keys))
	for _, key := range keys {
		one := document{content: split[key]}
		if rest, marked := strings.CutPrefix(one.content, sourceMark); marked {
			one.source, one.content, _ = strings.Cut(rest, "\n")
			one.content = strings.TrimSuffix(one.content, "\n")
		}
		documents = append(documents, one)
	}
	return documents
}

func (c *Client) documentObjects(documents []document, namespace string) ([]Object, error) {
	var objects []Object
	var err error
	for _, one := range documents {
		if objects, err = c.appendObject(objects, one.source, one.content, namespace); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// storedText is the text of a revision: its manifest, then its hooks.
func storedText(stored *release.Release) string {
	return stored.Manifest + joinDocuments(documentsOf(nil, stored.Hooks))
}

// workingChart returns the chart that the SDK is to render. Where a text is given it renders to that text and to nothing
// else, and the storage refuses a revision that would differ.
//
// The SDK's post-renderer cannot do this: it reads and writes YAML anew, so that what is stored is never the text that was
// given; and it runs after the chart's own templates, whose lookups may fail or change meanwhile.
func (s *session) workingChart(apply Apply) (*chart.Chart, error) {
	working := apply.Chart.working()
	if apply.Rendered == nil {
		return working, nil
	}
	templates, err := literalTemplates(working.Name(), apply.Rendered)
	if err != nil {
		return nil, err
	}
	restore := withoutTemplates(working)
	working.Templates = templates
	inner := s.store.Driver
	if earlier, ok := inner.(*exactDriver); ok {
		inner = earlier.Driver
	}
	s.store.Driver = &exactDriver{Driver: inner, text: apply.Rendered.Text, restore: restore}
	return working, nil
}

// literalTemplates returns templates that write a text, one per template that it came from. They have the names of those,
// by which Helm orders documents and which stand in its storage.
func literalTemplates(chartName string, rendered *Rendered) ([]*common.File, error) {
	var order []string
	contents := map[string]string{}
	for _, one := range splitDocuments(rendered.Text) {
		name, ok := strings.CutPrefix(one.source, chartName+"/")
		if !ok || strings.HasPrefix(path.Base(name), "_") {
			return nil, inexact(fmt.Errorf("a document comes from %q, which is no template of chart %s", one.source, chartName))
		}
		if _, known := contents[name]; !known {
			order = append(order, name)
		}
		contents[name] += "---\n" + one.content
	}
	if rendered.Notes != "" {
		order, contents[notesTemplate] = append(order, notesTemplate), rendered.Notes
	}
	templates := make([]*common.File, 0, len(order))
	for _, name := range order {
		templates = append(templates, &common.File{Name: name, Data: []byte("{{" + strconv.Quote(contents[name]) + "}}")})
	}
	return templates, nil
}

// withoutTemplates takes the templates out of a chart and its subcharts, and returns what puts them back.
func withoutTemplates(working *chart.Chart) (restore func()) {
	originals := map[*chart.Chart][]*common.File{}
	var take func(*chart.Chart)
	take = func(part *chart.Chart) {
		originals[part] = part.Templates
		part.Templates = nil
		for _, dependency := range part.Dependencies() {
			take(dependency)
		}
	}
	take(working)
	return func() {
		for part, templates := range originals {
			part.Templates = templates
		}
	}
}

// exactDriver lets a revision into the storage, before which nothing is applied, only where its text is the one given. It
// is stored with the chart's own templates.
type exactDriver struct {
	driver.Driver
	text    string
	restore func()
}

func (d *exactDriver) Create(key string, rel ri.Releaser) error {
	stored, err := asRelease(rel)
	if err != nil {
		return err
	}
	if storedText(stored) != d.text {
		return inexact(errors.New("Helm would apply another text than the one that was planned"))
	}
	d.restore()
	return d.Driver.Create(key, rel) // the storage tests for the driver's errors
}

func inexact(err error) error {
	return &fault.Error{
		Reason: v1.ReasonInternalError,
		Op:     "apply the planned text",
		Hint:   "Nothing was changed. Delete the plan's Secret, so that the plan is made anew; if it happens again, please report it with the chart's name and version.",
		Err:    err,
	}
}
