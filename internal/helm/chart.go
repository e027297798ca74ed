package helm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// Chart is a chart that was loaded. It is immutable and may be shared.
type Chart struct {
	Name       string
	Version    string
	AppVersion string
	// Digest of the archive, "sha256:…"; for a folder, of its files.
	Digest string
	// Annotations of Chart.yaml.
	Annotations map[string]string

	parsed *chart.Chart

	schemas     sync.Once
	schemaFault error
	// schema per dotted path of a subchart; "" is the chart itself.
	schemaOf map[string]*spec.Schema
}

// Schema returns values.schema.json as it stands; nil where the chart has none.
func (c *Chart) Schema() []byte { return slices.Clone(c.parsed.Schema) }

// ParsedSchema returns the schema of the chart itself, parsed once; nil where the chart has none.
func (c *Chart) ParsedSchema() (*spec.Schema, error) {
	c.schemas.Do(c.parseSchemas)
	return c.schemaOf[""], c.schemaFault
}

// Validate checks values, laid over the chart's defaults, against the schemas of the chart and of every subchart that
// they turn on: a fault ValuesInvalid that names the dotted path. values are not changed.
func (c *Chart) Validate(values map[string]any) error {
	c.schemas.Do(c.parseSchemas)
	if c.schemaFault != nil {
		return c.schemaFault
	}
	if len(c.schemaOf) == 0 {
		return nil
	}
	working, values := c.working(), spec.Copy(values)
	if values == nil {
		values = map[string]any{}
	}
	if err := chartutil.ProcessDependencies(working, values); err != nil {
		return c.broken("resolve the chart's dependencies", err)
	}
	complete, err := util.CoalesceValues(working, values)
	if err != nil {
		return c.broken("lay values over the chart's defaults", err)
	}
	return c.validate(working, complete, "", "")
}

func (c *Chart) validate(part *chart.Chart, values map[string]any, key, path string) error {
	if err := c.schemaOf[key].Validate(values); err != nil {
		if path == "" {
			return err // the fault says it all
		}
		return fmt.Errorf("subchart %s: %w", path, err)
	}
	for _, dependency := range part.Dependencies() {
		inner, ok := values[dependency.Name()].(map[string]any)
		if !ok {
			continue
		}
		if err := c.validate(dependency, inner, schemaKey(dependency), join(path, dependency.Name())); err != nil {
			return err
		}
	}
	return nil
}

// schemaKey finds a subchart's schema by its text: an alias gives the same chart several names.
func schemaKey(part *chart.Chart) string { return string(part.Schema) }

func (c *Chart) parseSchemas() {
	c.schemaOf = map[string]*spec.Schema{}
	root, err := spec.ParseSchema(c.parsed.Schema)
	if err != nil {
		c.schemaFault = fmt.Errorf("chart %s %s: %w", c.Name, c.Version, err)
		return
	}
	if root != nil {
		c.schemaOf[""] = root
	}
	c.parseSubschemas(c.parsed)
}

func (c *Chart) parseSubschemas(part *chart.Chart) {
	for _, dependency := range part.Dependencies() {
		key := schemaKey(dependency)
		if _, known := c.schemaOf[key]; !known && key != "" {
			schema, err := spec.ParseSchema(dependency.Schema)
			if err != nil && c.schemaFault == nil {
				c.schemaFault = fmt.Errorf("subchart %s of chart %s %s: %w", dependency.Name(), c.Name, c.Version, err)
			}
			c.schemaOf[key] = schema
		}
		c.parseSubschemas(dependency)
	}
}

func (c *Chart) broken(op string, err error) error {
	return &fault.Error{
		Reason: v1.ReasonChartInvalid,
		Op:     fmt.Sprintf("%s (chart %s %s)", op, c.Name, c.Version),
		Hint:   "The chart is broken, or the values have a form that it cannot take; ask whoever publishes it.",
		Err:    mask(err, nil),
	}
}

// bringsKinds tells whether the chart or a subchart installs CRDs.
func (c *Chart) bringsKinds() bool { return len(c.parsed.CRDObjects()) > 0 }

// working returns a copy that the SDK may change: resolving dependencies removes subcharts and rewrites default values.
// Files are shared, for nothing writes to them.
func (c *Chart) working() *chart.Chart { return cloneChart(c.parsed) }

func cloneChart(original *chart.Chart) *chart.Chart {
	cloned := &chart.Chart{
		Raw:           original.Raw,
		Lock:          original.Lock,
		Templates:     original.Templates,
		Values:        spec.Copy(original.Values),
		Schema:        original.Schema,
		SchemaModTime: original.SchemaModTime,
		Files:         original.Files,
		ModTime:       original.ModTime,
	}
	if original.Metadata != nil {
		metadata := *original.Metadata
		metadata.Dependencies = make([]*chart.Dependency, 0, len(original.Metadata.Dependencies))
		for _, dependency := range original.Metadata.Dependencies {
			copied := *dependency
			copied.Tags = slices.Clone(dependency.Tags)
			copied.ImportValues = slices.Clone(dependency.ImportValues)
			metadata.Dependencies = append(metadata.Dependencies, &copied)
		}
		cloned.Metadata = &metadata
	}
	for _, dependency := range original.Dependencies() {
		cloned.AddDependency(cloneChart(dependency))
	}
	return cloned
}

// parseArchive reads a .tgz.
func parseArchive(archive []byte, digest string) (*Chart, error) {
	parsed, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return newChart(parsed, digest)
}

func newChart(parsed *chart.Chart, digest string) (*Chart, error) {
	if err := parsed.Validate(); err != nil {
		return nil, fmt.Errorf("check Chart.yaml: %w", err)
	}
	if kind := parsed.Metadata.Type; kind != "" && kind != "application" {
		return nil, fmt.Errorf("check Chart.yaml: type %q cannot be installed", kind)
	}
	if missing := missingDependencies(parsed); len(missing) > 0 {
		return nil, fmt.Errorf("check dependencies: %s not packaged in the chart", strings.Join(missing, ", "))
	}
	return &Chart{
		Name:        parsed.Metadata.Name,
		Version:     parsed.Metadata.Version,
		AppVersion:  parsed.Metadata.AppVersion,
		Digest:      digest,
		Annotations: maps.Clone(parsed.Metadata.Annotations),
		parsed:      parsed,
	}, nil
}

func missingDependencies(parsed *chart.Chart) []string {
	var missing []string
	for _, wanted := range parsed.Metadata.Dependencies {
		present := slices.ContainsFunc(parsed.Dependencies(), func(d *chart.Chart) bool { return d.Name() == wanted.Name })
		if !present && !slices.Contains(missing, wanted.Name) {
			missing = append(missing, wanted.Name)
		}
	}
	return missing
}

// errTooLarge says that a download or file exceeds its bound.
var errTooLarge = errors.New("too large")

// readBounded reads at most limit bytes, and fails where there are more.
func readBounded(reader io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("more than %d bytes: %w", limit, errTooLarge)
	}
	return content, nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
