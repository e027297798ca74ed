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
}

// Merge says how layers become one.
type Merge struct {
	// Lists is Replace (default: the list of the highest layer is the result) or Concat (higher layer's items first, then
	// those of the lower layers).
	// +optional
	Lists ListRule `json:"lists,omitempty"`
}

// Update says how releases of the channel are taken.
type Update struct {
	// Trust is TLS or Signed. Without it the operator's own setting counts. Setting TLS here is the only way back after an
	// installation has once accepted signed releases.
	// +optional
	Trust TrustMode `json:"trust,omitempty"`
}

// WeightsAndBiasesStatus is what the operator found and did. It can be removed at any time without changing what happens
// next.
type WeightsAndBiasesStatus struct {
	// ObservedGeneration is the generation of the resource that the conditions speak about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready sums up the others.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Phase is Loading, "Invalid Config" or Completed, derived from the conditions. It is deprecated and kept for tools of
	// earlier years: new ones read the condition Ready.
	// +optional
	Phase Phase `json:"phase,omitempty"`

	// Version is the version of the application that runs. It is deprecated and kept for tools of earlier years: new ones
	// read release.
	// +optional
	Version string `json:"version,omitempty"`

	// Release is what runs.
	// +optional
	Release *ReleaseStatus `json:"release,omitempty"`

	// Channel is what the release channel offers.
	// +optional
	Channel *ChannelStatus `json:"channel,omitempty"`

	// NextStep says in one sentence what the operator does next, or what it waits for.
	// +optional
	NextStep string `json:"nextStep,omitempty"`

	// Warnings name settings that are accepted but surprise: without effect, misspelt, or of another type than the layer below.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Warnings []string `json:"warnings,omitempty"`
}

// Phase is the summary that the operator of version 1.x wrote.
type Phase string

const (
	// PhaseLoading: the operator is working towards the specification.
	PhaseLoading Phase = "Loading"
	// PhaseInvalidConfig: somebody has to change something first. The space is part of the value.
	PhaseInvalidConfig Phase = "Invalid Config"
	// PhaseCompleted: the specification runs.
	PhaseCompleted Phase = "Completed"
)

// ReleaseStatus is the application release that runs.
type ReleaseStatus struct {
	// ID of the release on the deploy server; empty where the chart comes from this resource.
	// +optional
	ID string `json:"id,omitempty"`
	// Name of the release on the deploy server.
	// +optional
	Name string `json:"name,omitempty"`
	// Chart is the name of the Helm chart.
	// +optional
	Chart string `json:"chart,omitempty"`
	// ChartVersion is the version of the Helm chart.
	// +optional
	ChartVersion string `json:"chartVersion,omitempty"`
	// Revision of the Helm release, as `helm history` shows it.
	// +optional
	Revision int64 `json:"revision,omitempty"`
	// Digest of chart and values: "sha256:…".
	// +optional
	Digest string `json:"digest,omitempty"`
	// DeployedAt is when this revision was deployed.
	// +optional
	DeployedAt *metav1.Time `json:"deployedAt,omitempty"`
}

// ChannelStatus is what the release channel offers.
type ChannelStatus struct {
	// Name of the channel.
	// +optional
	Name string `json:"name,omitempty"`
	// ReleaseID is the release that the channel points at.
	// +optional
	ReleaseID string `json:"releaseId,omitempty"`
	// ReleaseName is that release's name.
	// +optional
	ReleaseName string `json:"releaseName,omitempty"`
	// CheckedAt is when this answer first arrived; it does not move while the answer stays the same.
	// +optional
	CheckedAt *metav1.Time `json:"checkedAt,omitempty"`
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
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type WeightsAndBiases struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec WeightsAndBiasesSpec `json:"spec,omitempty"`
	// +optional
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
