package helm

import (
	"time"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// Status of a revision, in Helm's words.
type Status string

// Statuses that Helm's storage knows.
const (
	StatusDeployed        Status = "deployed"
	StatusFailed          Status = "failed"
	StatusSuperseded      Status = "superseded"
	StatusUninstalled     Status = "uninstalled"
	StatusUninstalling    Status = "uninstalling"
	StatusPendingInstall  Status = "pending-install"
	StatusPendingUpgrade  Status = "pending-upgrade"
	StatusPendingRollback Status = "pending-rollback"
)

// Pending tells whether somebody works on the revision, or died while doing so.
func (s Status) Pending() bool {
	return s == StatusPendingInstall || s == StatusPendingUpgrade || s == StatusPendingRollback || s == StatusUninstalling
}

// Release is one revision in Helm's storage.
type Release struct {
	Name      string
	Namespace string
	Revision  int
	Status    Status
	// Description is Helm's sentence about the revision; for a failed one it says why.
	Description  string
	Chart        string
	ChartVersion string
	AppVersion   string
	// ValuesDigest is spec.ValuesDigest of the values that the revision was made with.
	ValuesDigest string
	// Objects of the manifest, hooks excluded, in the order in which Helm applies them.
	Objects []Ref
	// Ours tells that an operator of ours made the release or took it over, whoever made this revision.
	Ours bool
	// FirstDeployedAt belongs to revision 1, DeployedAt to this revision.
	FirstDeployedAt time.Time
	DeployedAt      time.Time

	// schema is values.schema.json of the chart; releases of one chart share it.
	schema []byte
}

// Ref names one object in the cluster.
type Ref struct {
	APIVersion string
	Kind       string
	// Namespace is empty for objects of the cluster.
	Namespace string
	Name      string
}

// String returns "Deployment wandb/wandb-app".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Apply is what Install and Upgrade need to know.
type Apply struct {
	Namespace string
	Name      string
	Chart     *Chart
	// Values are not changed. Nulls in them remove the chart's defaults.
	Values map[string]any
	// Rendered is the text to apply instead of rendering the chart again: what a plan has shown. Of it, Text and Notes
	// count. Nil renders.
	Rendered *Rendered
	// Timeout bounds each hook of the chart. Zero means DefaultTimeout.
	Timeout time.Duration
	// Definitions says what happens to CustomResourceDefinitions of the chart. Empty means Create.
	Definitions v1.DefinitionPolicy
	// Secrets are kept out of errors and of the description in Helm's storage, beside those that Values show themselves.
	Secrets []redact.Secret
}

// Credentials of a chart repository or registry; the zero value is none.
type Credentials struct {
	Username string
	Password redact.Secret
}

// DescribedCredentials returns the credentials that stand in the chart's description itself.
func DescribedCredentials(chart *spec.Chart) Credentials {
	return Credentials{Username: chart.Username, Password: chart.Password}
}
