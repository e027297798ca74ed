package helm

import (
	"context"
	"fmt"

	"helm.sh/helm/v4/pkg/chart/common/util"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// OwnerLabel is on the release Secrets of releases that an operator of ours made or took over.
const OwnerLabel = "kubewandb.io/operator"

// ownerLabels mark a release as ours. Helm keeps them when somebody upgrades the release by hand: they tell where it comes
// from, not who made its newest revision.
func ownerLabels() map[string]string { return map[string]string{OwnerLabel: "true"} }

// Again describes a stored revision so that Upgrade applies it once more: the same chart and values, and its text, which
// the caller may mark. An absent revision is a fault InternalError that wraps Helm's own error.
func (c *Client) Again(ctx context.Context, namespace, name string, revision int) (Apply, error) {
	op := fmt.Sprintf("read revision %d of release %s", revision, name)
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	opened, done := c.openStore(ctx, namespace, nil)
	defer done()
	found, err := opened.Get(name, revision)
	if err != nil {
		return Apply{}, failed(op, v1.ReasonInternalError, err, nil)
	}
	stored, err := asRelease(found)
	if err != nil {
		return Apply{}, failed(op, v1.ReasonInternalError, err, nil)
	}
	if stored.Chart == nil || stored.Chart.Metadata == nil {
		return Apply{}, failed(op, v1.ReasonChartInvalid, fmt.Errorf("it holds no chart"), nil)
	}
	notes := ""
	if stored.Info != nil {
		notes = stored.Info.Notes
	}
	rendered, err := c.ParseRendered(endedText(storedText(stored)), notes, namespace)
	if err != nil {
		return Apply{}, err
	}
	metadata := stored.Chart.Metadata
	return Apply{
		Namespace: namespace, Name: name, Values: stored.Config, Rendered: rendered,
		// Helm stores no subcharts; the text holds what they gave, and their part of the values was checked when it was made.
		Chart: &Chart{
			Name: metadata.Name, Version: metadata.Version, AppVersion: metadata.AppVersion, Annotations: metadata.Annotations,
			parsed: stored.Chart,
		},
	}, nil
}

// endedText gives each document of a text its line break at the end. What Helm stores by itself may lack it, and several
// documents of one template could not be put one after another then. A text of RenderExact stays as it is.
func endedText(text string) string {
	documents := splitDocuments(text)
	for i, one := range documents {
		documents[i].content = ended(one.content)
	}
	return joinDocuments(documents)
}

// ParseRendered reads a text in the form of Rendered.Text.
func (c *Client) ParseRendered(text, notes, namespace string) (*Rendered, error) {
	objects, err := c.documentObjects(splitDocuments(text), namespace)
	if err != nil {
		return nil, failed("read a rendered text", v1.ReasonInternalError, err, nil)
	}
	return &Rendered{Text: text, Notes: notes, Objects: objects}, nil
}

// Complete returns values laid over the chart's defaults, those of subcharts below their names. Where the chart cannot
// take them, they are returned as they are.
func (c *Chart) Complete(values map[string]any) map[string]any {
	working, given := c.working(), spec.Copy(values)
	if given == nil {
		given = map[string]any{}
	}
	if err := chartutil.ProcessDependencies(working, given); err != nil {
		return spec.Copy(values)
	}
	complete, err := util.CoalesceValues(working, given)
	if err != nil {
		return spec.Copy(values)
	}
	return complete
}
