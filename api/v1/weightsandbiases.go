package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ListRule says how lists of two layers become one.
//
// +kubebuilder:validation:Enum=Replace;Concat
type ListRule string

const (
	// ListsReplace: the list of the higher layer is the result.
	ListsReplace ListRule = "Replace"
	// ListsConcat: the items of the higher layer come first, those of the lower follow, as the operator of version 1.x did.
	ListsConcat ListRule = "Concat"
)

// TrustMode says what makes an answer of the deploy server credible.
//
// +kubebuilder:validation:Enum=TLS;Signed
type TrustMode string

const (
	// TrustTLS: the certificate of the server suffices.
	TrustTLS TrustMode = "TLS"
	// TrustSigned: the release must be signed by a key that the operator trusts.
	TrustSigned TrustMode = "Signed"
)

// WeightsAndBiasesSpec is what the administrator wants; it is the highest layer, above the System Console's and the
// release channel's.
type WeightsAndBiasesSpec struct {
	// Chart replaces the chart of the release channel. It has one of three forms: {path} for a file that the operator
	// has mounted, {url: oci://…, version} for a registry, or {url, name, version} for a Helm repository.
	// +optional
	Chart Object `json:"chart,omitzero"`

	// Values of the Helm chart. They win over the values of the console and of the release channel, key by key. A null
	// is kept and removes the chart's own default as well.
	// +optional
	Values Object `json:"values,omitzero"`

	// Unset removes what lower layers set: each entry is a dotted path below values, for example "ingress.tls". A dot
	// inside a key is written "\.".
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.all(p, p.matches(r'^([^.\\\\]|\\\\.)+([.]([^.\\\\]|\\\\.)+)*$'))",message="each entry is a dotted path below spec.values, for example ingress.tls; write a dot inside a key as \\."
	Unset []string `json:"unset,omitempty"`

	// Merge says how layers become one, where the release's schema has no rule of its own.
	// +optional
	Merge *Merge `json:"merge,omitempty"`

	// Suspend stops the operator from changing anything; status is still kept up to date.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// Update says how releases of the channel are taken.
	// +optional
	Update *Update `json:"update,omitempty"`

	// Rollback says what happens to a release that fails.
	// +optional
	Rollback *Rollback `json:"rollback,omitempty"`

	// Drift says what happens when somebody else changes objects of the release.
	// +optional
	Drift *Drift `json:"drift,omitempty"`

	// Retention says what stays when this resource is deleted.
	// +optional
	Retention *Retention `json:"retention,omitempty"`

	// Verify says whether and how often the release's own probe runs.
	// +optional
	Verify *Verify `json:"verify,omitempty"`

	// Timeout bounds one rollout: each hook of the chart, and the time in which every object has to become ready. A long
	// database migration may need more than the default of 10m for objects and 30m for hooks.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="timeout is a duration between 1m and 24h, for example 45m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// CRDs says what happens to CustomResourceDefinitions of the chart: Create (default: those that are absent),
	// CreateReplace (those that exist are brought up to date too) or Skip.
	// +optional
	CRDs DefinitionPolicy `json:"crds,omitempty"`
}

// Merge says how layers become one.
type Merge struct {
	// Lists is Replace (default: the list of the highest layer is the result) or Concat (higher layer's items first, then
	// those of the lower layers).
	// +optional
	Lists ListRule `json:"lists,omitempty"`
}

// WeightsAndBiases is one installation of W&B Server.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=weightsandbiases,singular=weightsandbiases,shortName=wandb,scope=Namespaced
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Release",type=string,JSONPath=`.status.release.name`
// +kubebuilder:printcolumn:name="Chart version",type=string,JSONPath=`.status.release.chartVersion`
// +kubebuilder:printcolumn:name="Up to date",type=string,JSONPath=`.status.conditions[?(@.type=="UpToDate")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Next",type=string,priority=1,JSONPath=`.status.nextStep`
// +kubebuilder:printcolumn:name="Available",type=string,priority=1,JSONPath=`.status.channel.releaseName`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type WeightsAndBiases struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec WeightsAndBiasesSpec `json:"spec,omitempty"`
	// Status is what the operator found and did. It can be removed at any time without changing what happens next. Before an
	// operator has seen the resource, observedGeneration is -1: a resource without any status counts as done in kstatus.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status WeightsAndBiasesStatus `json:"status,omitempty"`
}

// WeightsAndBiasesList is a list of installations.
//
// +kubebuilder:object:root=true
type WeightsAndBiasesList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WeightsAndBiases `json:"items"`
}
