package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/yaml"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/charts"
)

const (
	// warningCRDOutdated begins the warning, for whoever looks for it by program.
	warningCRDOutdated = "CRDOutdated"
	// definitionPeriod is how often the definition that is served is looked at.
	definitionPeriod = time.Hour
	// definitionTimeout bounds one look.
	definitionTimeout = 10 * time.Second
	// maxOpenAPI bounds what is read of it: the document of our group has less than 200 KiB.
	maxOpenAPI = 4 << 20
	// maxNamedPaths bounds how many missing fields a warning names.
	maxNamedPaths = 8
	// maxSchemaDepth bounds how deep a schema is followed; ours is six deep.
	maxSchemaDepth = 16
)

// outdated tells whether the definition that the API server serves lacks fields of this version's. Only an isolated
// operator asks: everywhere else the chart brings the definition up to date, and here it may not even read it.
type outdated struct {
	// read returns the OpenAPI document of our group and version; nil asks nobody.
	read func(ctx context.Context) ([]byte, error)
	now  func() time.Time

	mu      sync.Mutex
	next    time.Time
	missing []string
}

// warning returns what to tell people; empty where nothing is missing. It asks at most once in a period, whether it gets
// an answer or not, and keeps what it knew where it gets none.
func (o *outdated) warning(ctx context.Context) string {
	if o == nil || o.read == nil {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.now(); !now.Before(o.next) {
		o.next = now.Add(definitionPeriod)
		missing, err := o.look(ctx)
		if err != nil {
			ctrl.LoggerFrom(ctx).V(1).Info("the definition that is served cannot be compared", "error", err.Error())
			return outdatedWarning(o.missing)
		}
		o.missing = missing
	}
	return outdatedWarning(o.missing)
}

func (o *outdated) look(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, definitionTimeout)
	defer cancel()
	document, err := o.read(ctx)
	if err != nil {
		return nil, err
	}
	served, err := servedSchema(document)
	if err != nil {
		return nil, err
	}
	ours, err := definedSchema(charts.ResourceDefinition())
	if err != nil {
		return nil, err
	}
	return missingPaths(ours, served), nil
}

func outdatedWarning(missing []string) string {
	if len(missing) == 0 {
		return ""
	}
	named, more := missing, ""
	if len(missing) > maxNamedPaths {
		named, more = missing[:maxNamedPaths], fmt.Sprintf(" and %d more", len(missing)-maxNamedPaths)
	}
	return warningCRDOutdated + ": the custom resource definition is older than the operator and drops " + strings.Join(named, ", ") + more +
		": somebody with rights on the cluster runs `controller-manager crd apply`, or `kubectl apply --server-side -f` with crds/ of the operator's chart"
}

// property is what counts of a schema: the names of fields.
type property struct {
	Properties map[string]*property `json:"properties"`
	Items      *property            `json:"items"`
	Preserve   bool                 `json:"x-kubernetes-preserve-unknown-fields"`
}

// missingPaths returns the dotted paths below spec and status that ours has and served drops, sorted. Of a field that is
// missing as a whole its own path alone.
func missingPaths(ours, served *property) []string {
	if served.Preserve {
		return nil
	}
	var missing []string
	for _, root := range []string{"spec", "status"} {
		if wanted := ours.Properties[root]; wanted != nil {
			missing = append(missing, wanted.missingFrom(served.Properties[root], root, maxSchemaDepth)...)
		}
	}
	slices.Sort(missing)
	return missing
}

func (p *property) missingFrom(served *property, path string, depth int) []string {
	switch {
	case served == nil:
		return []string{path}
	case served.Preserve || depth == 0:
		return nil
	}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		missing = append(missing, p.Properties[name].missingFrom(served.Properties[name], path+"."+name, depth-1)...)
	}
	if p.Items != nil {
		missing = append(missing, p.Items.missingFrom(served.Items, path+"[]", depth-1)...)
	}
	return missing
}

// servedSchema finds the schema of our kind in an OpenAPI v3 document.
func servedSchema(document []byte) (*property, error) {
	var parsed struct {
		Components struct {
			Schemas map[string]json.RawMessage `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document, &parsed); err != nil {
		return nil, fmt.Errorf("read OpenAPI document: %w", err)
	}
	for _, raw := range parsed.Components.Schemas {
		var head struct {
			Kinds []struct {
				Group, Version, Kind string
			} `json:"x-kubernetes-group-version-kind"`
		}
		if json.Unmarshal(raw, &head) != nil {
			continue // a schema of another form is none of ours
		}
		for _, kind := range head.Kinds {
			if kind.Group == appsv1.GroupVersion().Group && kind.Version == appsv1.GroupVersion().Version && kind.Kind == appsv1.Kind {
				schema := &property{}
				if err := json.Unmarshal(raw, schema); err != nil {
					return nil, fmt.Errorf("read schema of %s: %w", appsv1.Kind, err)
				}
				return schema, nil
			}
		}
	}
	return nil, fmt.Errorf("the OpenAPI document does not describe %s", appsv1.Kind)
}

// definedSchema returns the schema of our version in a definition.
func definedSchema(definition []byte) (*property, error) {
	var parsed struct {
		Spec struct {
			Versions []struct {
				Name   string `json:"name"`
				Schema struct {
					OpenAPIV3Schema *property `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(definition, &parsed); err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	}
	for _, version := range parsed.Spec.Versions {
		if version.Name == appsv1.GroupVersion().Version && version.Schema.OpenAPIV3Schema != nil {
			return version.Schema.OpenAPIV3Schema, nil
		}
	}
	return nil, fmt.Errorf("the definition has no version %s", appsv1.GroupVersion().Version)
}

// openAPIOf reads the OpenAPI v3 document of our group and version, which everybody with an account may. OpenAPIV3 of the
// discovery client takes neither a context nor a bound.
func openAPIOf(api rest.Interface) func(ctx context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		stream, err := api.Get().AbsPath("/openapi/v3/apis/"+appsv1.GroupVersion().String()).SetHeader("Accept", "application/json").Stream(ctx)
		if err != nil {
			return nil, fmt.Errorf("read OpenAPI document: %w", err)
		}
		document, err := io.ReadAll(io.LimitReader(stream, maxOpenAPI+1))
		if err = errors.Join(err, stream.Close()); err != nil {
			return nil, fmt.Errorf("read OpenAPI document: %w", err)
		}
		if len(document) > maxOpenAPI {
			return nil, fmt.Errorf("the OpenAPI document has more than %d bytes", maxOpenAPI)
		}
		return document, nil
	}
}
