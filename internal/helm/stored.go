package helm

import (
	"context"
	"fmt"

	rcommon "helm.sh/helm/v4/pkg/release/common"
	"k8s.io/apimachinery/pkg/types"

	v1 "github.com/kubewandb/kubewandb/api/v1"
)

// MarkDeployed takes back MarkFailed: the objects of the revision became ready after all. Only the highest revision can
// be marked, and marking a deployed one again changes nothing.
func (c *Client) MarkDeployed(ctx context.Context, namespace, name string, revision int, reason string) error {
	op := fmt.Sprintf("mark revision %d of release %s deployed", revision, name)
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	opened, done := c.openStore(ctx, namespace, nil)
	defer done()
	last, err := opened.last(name)
	switch {
	case err != nil:
		return failed(op, v1.ReasonHelmFailed, err, nil)
	case last == nil:
		return failed(op, v1.ReasonHelmFailed, fmt.Errorf("the release does not exist"), nil)
	case last.Version != revision:
		return failed(op, v1.ReasonHelmFailed, fmt.Errorf("revision %d is newer", last.Version), nil)
	case last.Info.Status == rcommon.StatusDeployed:
		return nil
	case last.Info.Status != rcommon.StatusFailed:
		return failed(op, v1.ReasonHelmFailed, fmt.Errorf("the revision is %s", last.Info.Status), nil)
	}
	last.SetStatus(rcommon.StatusDeployed, reason)
	if err := opened.Update(last); err != nil {
		return failed(op, v1.ReasonHelmFailed, err, nil)
	}
	return nil
}

// StoredSchema returns values.schema.json of the chart that a revision was made from, as Helm's storage keeps it; nil
// where the chart has none, or where the revision does not exist.
func (c *Client) StoredSchema(ctx context.Context, namespace, name string, revision int) ([]byte, error) {
	if known := c.releases.at(types.NamespacedName{Namespace: namespace, Name: name}, revision); known != nil {
		return known.schema, nil
	}
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	opened, done := c.openStore(ctx, namespace, nil)
	defer done()
	found, err := opened.Get(name, revision)
	if err != nil {
		return nil, failed("read the schema of release "+name, v1.ReasonInternalError, err, nil)
	}
	stored, err := asRelease(found)
	if err != nil || stored.Chart == nil {
		return nil, err
	}
	return stored.Chart.Schema, nil
}
