package kubectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/preflight"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// maxValues bounds a file of values.
const maxValues = 4 << 20

// preflightFlags are what preflight was told.
type preflightFlags struct {
	file      string
	channel   string
	airgapped bool
}

func (p *plugin) preflight(ctx context.Context, name string, flags preflightFlags) error {
	in, err := p.preflightInput(ctx, name, flags)
	if err != nil {
		return err
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(p.config)
	if err != nil {
		return fmt.Errorf("make discovery client: %w", err)
	}
	in.Cluster = cluster{Reader: p.client, versions: kinds}
	in.ChannelURL, in.Airgapped, in.Outside, in.Now = flags.channel, flags.airgapped, true, p.streams.Now
	in.Licence = p.licence(ctx, in.Values)
	report := preflight.Run(ctx, in)
	checks := make([]appsv1.CheckStatus, 0, len(report.Checks))
	for _, check := range report.Checks {
		checks = append(checks, appsv1.CheckStatus{Name: check.Name, Result: string(check.Result), Message: check.Message})
	}
	view := struct {
		Checks []appsv1.CheckStatus `json:"checks"`
		At     time.Time            `json:"at"`
	}{checks, report.At.UTC()}
	if err := p.print(view, report.Text); err != nil {
		return err
	}
	if report.Blocking() {
		return no()
	}
	return nil
}

// preflightInput takes the values from a file, or resolves the layers of a resource as the operator does.
func (p *plugin) preflightInput(ctx context.Context, name string, flags preflightFlags) (preflight.Input, error) {
	if flags.file != "" {
		if name != "" {
			return preflight.Input{}, errors.New("give either a resource or a file of values, not both")
		}
		if err := p.connect(); err != nil {
			return preflight.Input{}, err
		}
		values, err := readValues(flags.file, p.streams.In)
		return preflight.Input{Namespace: p.namespace, Values: values}, err
	}
	resource, err := p.resource(ctx, name)
	if err != nil {
		return preflight.Input{}, err
	}
	schema := p.chartSchema(ctx, resource)
	resolved, err := p.resolve(ctx, resource, schema)
	if err != nil {
		return preflight.Input{}, err
	}
	in := preflight.Input{Namespace: resource.Namespace, Release: resource.Name, Values: resolved.Values, Schema: schema}
	if resolved.Chart != nil {
		in.ChartURL = resolved.Chart.URL
	}
	return in, nil
}

// resolve folds the layers as they are now: the next release is made of them, whatever runs.
func (p *plugin) resolve(ctx context.Context, resource *appsv1.WeightsAndBiases, schema *spec.Schema) (*spec.Resolved, error) {
	layers := []spec.Layer{spec.OperatorDefaults(resource.Status.Operator)}
	for _, one := range []struct{ layer, suffix string }{{spec.LayerChannel, channelSuffix}, {spec.LayerUser, userSuffix}} {
		secret, err := p.secret(ctx, resource.Name+one.suffix)
		if err != nil {
			return nil, err
		}
		if secret == nil {
			continue
		}
		layer, err := spec.Decode(one.layer, secret.Data)
		if err != nil {
			return nil, fmt.Errorf("read Secret %s: %w", secret.Name, err)
		}
		layers = append(layers, layer)
	}
	values, err := resource.Spec.Values.Map()
	if err != nil {
		return nil, fmt.Errorf("read spec.values: %w", err)
	}
	chart, err := resource.Spec.Chart.Map()
	if err != nil {
		return nil, fmt.Errorf("read spec.chart: %w", err)
	}
	layers = append(layers, spec.Layer{Name: spec.LayerResource, Values: values, Chart: chart, Unset: resource.Spec.Unset})
	options := spec.Options{Schema: schema}
	if resource.Spec.Merge != nil {
		options.Lists = resource.Spec.Merge.Lists
	}
	return spec.Resolve(layers, options)
}

func readValues(path string, stdin io.Reader) (map[string]any, error) {
	source := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read values: %w", err)
		}
		defer func() { _ = file.Close() }()
		source = file
	}
	raw, err := io.ReadAll(io.LimitReader(source, maxValues+1))
	if err != nil {
		return nil, fmt.Errorf("read values: %w", err)
	}
	if len(raw) > maxValues {
		return nil, fmt.Errorf("read values: %s has more than %d bytes", path, maxValues)
	}
	problem := &fault.Error{
		Reason: appsv1.ReasonLayerInvalid, Op: "read values from " + path, Err: errors.New("it is not one YAML object"),
		Hint: "Write it as Helm's values file, or as the resource that you are going to apply.",
	}
	asJSON, err := yaml.YAMLToJSON(raw)
	if err != nil { // the decoder's error may repeat what it read
		return nil, problem
	}
	var document map[string]any
	if utiljson.Unmarshal(asJSON, &document) != nil {
		return nil, problem
	}
	if document["kind"] != "WeightsAndBiases" {
		return document, nil
	}
	var resource appsv1.WeightsAndBiases
	if json.Unmarshal(asJSON, &resource) != nil {
		return nil, problem
	}
	values, err := resource.Spec.Values.Map()
	if err != nil {
		return nil, problem
	}
	return values, nil
}

// licence tells what can be known of the licence without the vendor's keys, which only operator and vendor have.
func (p *plugin) licence(ctx context.Context, values map[string]any) preflight.LicenceVerdict {
	token := redact.Secret(textAt(values, "global", "license"))
	if name := textAt(values, "global", "licenseSecret", "name"); token == "" && name != "" {
		secret, err := p.secret(ctx, name)
		if err != nil {
			return preflight.LicenceVerdict{Present: true, Err: err}
		}
		key := textAt(values, "global", "licenseSecret", "key")
		if key == "" {
			key = "license"
		}
		if secret == nil || len(secret.Data[key]) == 0 {
			return preflight.LicenceVerdict{Present: true, Err: &fault.Error{
				Reason: appsv1.ReasonLicenseSecretNotFound, Op: "read licence from Secret " + name, Err: fmt.Errorf("it has no key %q", key),
				Hint: "Make the Secret, or mend global.licenseSecret.",
			}}
		}
		token = redact.Secret(secret.Data[key])
	}
	token = redact.Secret(strings.TrimSpace(token.Reveal()))
	if token == "" {
		return preflight.LicenceVerdict{}
	}
	verdict := preflight.LicenceVerdict{Present: true}
	claims, err := license.Peek(token)
	if err != nil {
		verdict.Err = err
		return verdict
	}
	verdict.ExpiresAt = claims.ExpiresAt
	if now := p.streams.Now(); !claims.ExpiresAt.IsZero() && now.After(claims.ExpiresAt.Add(license.ClockLeeway)) {
		verdict.Err = &fault.Error{
			Reason: license.ReasonExpired, Op: "look at the licence", Err: fmt.Errorf("it ended on %s", claims.ExpiresAt.UTC().Format(time.DateOnly)),
			Hint: "Ask the vendor for the next one, and set global.license.",
		}
		return verdict
	}
	_, verdict.Err = license.Verify(token, license.NewKeySet(), p.streams.Now())
	return verdict
}

func textAt(values map[string]any, keys ...string) string {
	value, _ := at(values, keys)
	text, _ := value.(string)
	return text
}

// cluster is the API server as the checks ask it, with the rights of the caller.
type cluster struct {
	client.Reader
	versions discovery.ServerVersionInterface
}

var _ preflight.Cluster = cluster{}

func (c cluster) Version(context.Context) (string, error) {
	found, err := c.versions.ServerVersion()
	if err != nil {
		return "", fmt.Errorf("read the version of Kubernetes: %w", err)
	}
	return found.GitVersion, nil
}
