package helm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	ociv1 "github.com/google/go-containerregistry/pkg/v1"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
	"github.com/kubewandb/kubewandb/internal/version"
)

// chartLayer is the media type of the archive in a chart's OCI manifest.
const chartLayer = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

// loadRegistry reads the manifest, which is small, and downloads the archive only where its digest is new.
func (c *Client) loadRegistry(ctx context.Context, source *spec.Chart, credentials Credentials) (*Chart, error) {
	chart, err := c.pull(ctx, source, credentials)
	reference := source.URL + "\n" + source.Version
	if err == nil {
		c.charts.resolve(reference, chart.Digest)
		return chart, nil
	}
	if fault.Retryable(err) && (isExact(source.Version) || strings.Contains(source.URL, "@sha256:")) {
		// The registry is away, but this very version was here before.
		if known := c.charts.get(c.charts.lastResolved(reference)); known != nil {
			return known, nil
		}
	}
	return nil, err
}

func (c *Client) pull(ctx context.Context, source *spec.Chart, credentials Credentials) (*Chart, error) {
	options := []remote.Option{
		remote.WithContext(ctx),
		remote.WithTransport(c.http.Transport),
		remote.WithUserAgent(version.UserAgent("controller-manager")),
		// The reconciler repeats with backoff; retrying here as well would multiply.
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
	}
	if credentials.Username != "" || credentials.Password != "" {
		options = append(options, remote.WithAuth(&authn.Basic{Username: credentials.Username, Password: credentials.Password.Reveal()}))
	}
	reference, err := c.ociReference(source, options)
	if err != nil {
		return nil, err
	}
	descriptor, err := remote.Get(reference, options...)
	if err != nil {
		return nil, c.registryFault(source, reference.Context(), options, err)
	}
	layer, err := archiveLayer(descriptor)
	if err != nil {
		return nil, invalidChart(source, err)
	}
	if known := c.charts.get(layer.Digest.String()); known != nil {
		return known, nil
	}
	archive, err := readLayer(reference.Context(), layer, options)
	if err != nil {
		if errors.Is(err, errTooLarge) {
			return nil, invalidChart(source, err)
		}
		return nil, c.registryFault(source, reference.Context(), options, err)
	}
	if digest := digestOf(archive); digest != layer.Digest.String() {
		return nil, invalidChart(source, fmt.Errorf("the archive has digest %s, the manifest says %s", digest, layer.Digest))
	}
	chart, err := parseArchive(archive, layer.Digest.String())
	if err != nil {
		return nil, invalidChart(source, err)
	}
	c.charts.put(chart, archive)
	return chart, nil
}

// ociReference turns URL and version into a reference. A version that is a range is looked up among the tags.
func (c *Client) ociReference(source *spec.Chart, options []remote.Option) (name.Reference, error) {
	strictness := []name.Option{name.StrictValidation}
	if source.PlainHTTP {
		strictness = append(strictness, name.Insecure)
	}
	text := strings.TrimPrefix(source.URL, "oci://")
	last := text[strings.LastIndex(text, "/")+1:]
	if strings.ContainsAny(last, ":@") {
		reference, err := name.ParseReference(text, strictness...)
		if err != nil {
			return nil, invalidChart(source, fmt.Errorf("read chart.url: %w", err))
		}
		return reference, nil
	}
	repository, err := name.NewRepository(strings.TrimSuffix(text, "/"), strictness...)
	if err != nil {
		return nil, invalidChart(source, fmt.Errorf("read chart.url: %w", err))
	}
	tag := tagOf(source.Version)
	if !isExact(source.Version) {
		tags, err := remote.List(repository, options...)
		if err != nil {
			return nil, c.registryFault(source, repository, options, err)
		}
		if found, ok := highest(versionsOf(tags), source.Version); ok {
			tag = tagOf(found)
		}
	}
	reference, err := name.NewTag(repository.Name()+":"+tag, strictness...)
	if err != nil {
		return nil, invalidChart(source, fmt.Errorf("read chart.version: %w", err))
	}
	return reference, nil
}

// Helm writes the plus of a version as an underscore, since tags have none.
func tagOf(version string) string { return strings.ReplaceAll(version, "+", "_") }

func versionsOf(tags []string) []string {
	versions := make([]string, len(tags))
	for i, tag := range tags {
		versions[i] = strings.ReplaceAll(tag, "_", "+")
	}
	return versions
}

func archiveLayer(descriptor *remote.Descriptor) (ociv1.Descriptor, error) {
	manifest, err := ociv1.ParseManifest(strings.NewReader(string(descriptor.Manifest)))
	if err != nil {
		return ociv1.Descriptor{}, fmt.Errorf("read manifest: %w", err)
	}
	for _, layer := range manifest.Layers {
		if string(layer.MediaType) == chartLayer {
			return layer, nil
		}
	}
	return ociv1.Descriptor{}, errors.New("the reference is no Helm chart")
}

func readLayer(repository name.Repository, layer ociv1.Descriptor, options []remote.Option) ([]byte, error) {
	if layer.Size > maxChartSize {
		return nil, fmt.Errorf("archive of %d bytes: %w", layer.Size, errTooLarge)
	}
	blob, err := remote.Layer(repository.Digest(layer.Digest.String()), options...)
	if err != nil {
		return nil, fmt.Errorf("find archive: %w", err)
	}
	content, err := blob.Compressed()
	if err != nil {
		return nil, fmt.Errorf("fetch archive: %w", err)
	}
	defer func() { _ = content.Close() }()
	return readBounded(content, maxChartSize)
}

func (c *Client) registryFault(source *spec.Chart, repository name.Repository, options []remote.Option, err error) error {
	f := &fault.Error{
		Reason: v1.ReasonRepositoryUnreachable,
		Op:     fmt.Sprintf("load chart %s", source),
		Hint:   "Check chart.url, DNS, proxy and certificates as seen from the operator's pod.",
		Retry:  true,
		Err:    mask(err, nil),
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return f
	}
	f.Err = fmt.Errorf("the registry answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		f.Hint = "The registry refuses the credentials. Check chart.credentialSecret (keys HELM_USERNAME and HELM_PASSWORD unless set otherwise)."
	case http.StatusNotFound:
		f.Reason, f.Retry = v1.ReasonChartNotFound, false
		f.Hint = "Check chart.url and chart.version."
		if tags, listErr := remote.List(repository, options...); listErr == nil && len(tags) > 0 {
			f.Hint = fmt.Sprintf("Available versions: %s.", listing(newestFirst(versionsOf(tags))))
		}
	default:
		f.Hint = "The registry has a problem of its own; it is asked again."
	}
	return f
}
