package helm

import (
	"context"
	"fmt"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// Manifest is what a stored revision consists of.
type Manifest struct {
	// Text holds manifest and hooks in the form of Rendered.Text.
	Text string
	// Objects of Text, hooks last.
	Objects []Object
	// Secrets are the credentials in the values that the revision was made with, so that they can be kept out of what is shown.
	Secrets []redact.Secret
}

// Manifest reads the manifest and the hooks of a stored revision. An absent one is a fault InternalError that wraps Helm's
// own error.
func (c *Client) Manifest(ctx context.Context, namespace, name string, revision int) (*Manifest, error) {
	op := fmt.Sprintf("read the manifest of revision %d of release %s", revision, name)
	ctx, cancel := within(ctx, requestTimeout)
	defer cancel()
	opened, done := c.openStore(ctx, namespace, nil)
	defer done()
	found, err := opened.Get(name, revision)
	if err != nil {
		return nil, failed(op, v1.ReasonInternalError, err, nil)
	}
	stored, err := asRelease(found)
	if err != nil {
		return nil, failed(op, v1.ReasonInternalError, err, nil)
	}
	manifest := &Manifest{Text: storedText(stored), Secrets: spec.Secrets(stored.Config, nil)}
	if manifest.Objects, err = c.documentObjects(splitDocuments(manifest.Text), stored.Namespace); err != nil {
		return nil, failed(op, v1.ReasonInternalError, err, manifest.Secrets)
	}
	return manifest, nil
}
