package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WeightsAndBiasesStatus is what the operator found and did. It can be removed at any time without changing what happens
// next.
type WeightsAndBiasesStatus struct {
	// ObservedGeneration is the generation of the resource that the conditions speak about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Operator is the namespace of the operator that looks after this resource. Another operator in the same cluster, whose
	// rights end elsewhere, leaves the resource alone.
	// +optional
	Operator string `json:"operator,omitempty"`

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

	// NextStepAt is when that is due at the latest; absent where an event or a person decides.
	// +optional
	NextStepAt *metav1.Time `json:"nextStepAt,omitempty"`

	// LastError is the newest failure of a step. It stays until a step succeeds.
	// +optional
	LastError *LastError `json:"lastError,omitempty"`

	// Plan sums up the change that is about to be applied, or waits for approval or a window.
	// +optional
	Plan *PlanStatus `json:"plan,omitempty"`

	// History holds the last ten releases, newest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	History []HistoryEntry `json:"history,omitempty"`

	// Layers counts what each layer sets, lowest first. `kubectl wandb explain` tells the rest.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Layers []LayerStatus `json:"layers,omitempty"`

	// Preflight holds the checks that did not pass, and those that could not be made.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Preflight []CheckStatus `json:"preflight,omitempty"`

	// Verification holds the checks of the release's own probe.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Verification []CheckStatus `json:"verification,omitempty"`

	// Drift names objects that differ from what was installed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Drift []DriftStatus `json:"drift,omitempty"`

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

// LastError is a failure as a person reads it.
type LastError struct {
	// Reason is the word that the condition of this failure carries.
	Reason string `json:"reason"`
	// Message says what failed.
	Message string `json:"message"`
	// Hint says what to run or change; empty where nothing but waiting helps.
	// +optional
	Hint string `json:"hint,omitempty"`
	// At is when it happened.
	// +optional
	At *metav1.Time `json:"at,omitempty"`
}

// PlanStatus sums up a plan. The whole of it, values masked, is in Secret <name>-plan: `kubectl wandb diff` shows it.
type PlanStatus struct {
	// Digest names the plan; an approval names the same.
	Digest string `json:"digest"`
	// Release is the name of the release that the plan leads to; empty where the chart comes from elsewhere.
	// +optional
	Release string `json:"release,omitempty"`
	// ChartVersion is the version of the chart that the plan leads to.
	// +optional
	ChartVersion string `json:"chartVersion,omitempty"`
	// Added, Changed and Removed count objects.
	Added   int32 `json:"added"`
	Changed int32 `json:"changed"`
	Removed int32 `json:"removed"`
	// Restarts names workloads whose pods are replaced.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Restarts []string `json:"restarts,omitempty"`
	// Schema says what happens to the database's schema; empty where the release says nothing about it.
	// +optional
	Schema string `json:"schema,omitempty"`
	// Adoption tells that the plan takes over a Helm release that somebody else made.
	// +optional
	Adoption bool `json:"adoption,omitempty"`
	// Approved tells that somebody has approved exactly this plan.
	// +optional
	Approved bool `json:"approved,omitempty"`
	// CreatedAt is when the plan was made.
	// +optional
	CreatedAt *metav1.Time `json:"createdAt,omitempty"`
}

// Outcome of a release in the history.
//
// +kubebuilder:validation:Enum=Running;Succeeded;Failed;RolledBack;Superseded
type Outcome string

const (
	// OutcomeRunning: its objects are still becoming ready.
	OutcomeRunning Outcome = "Running"
	// OutcomeSucceeded: every object became ready, and the probe passed where there is one.
	OutcomeSucceeded Outcome = "Succeeded"
	// OutcomeSuperseded: another revision took its place before it was known how it would end.
	OutcomeSuperseded Outcome = "Superseded"
	// OutcomeFailed: it failed, and nothing took its place yet.
	OutcomeFailed Outcome = "Failed"
	// OutcomeRolledBack: it failed, and an earlier release took its place.
	OutcomeRolledBack Outcome = "RolledBack"
)

// HistoryEntry is one revision of the release.
type HistoryEntry struct {
	// Release is the name of the vendor's release; empty where the chart comes from elsewhere.
	// +optional
	Release string `json:"release,omitempty"`
	// ChartVersion of the revision.
	ChartVersion string `json:"chartVersion"`
	// Revision as in `helm history`.
	Revision int64 `json:"revision"`
	// Digest of chart and values.
	// +optional
	Digest string `json:"digest,omitempty"`
	// Started and Ended bound the rollout. Ended is absent while it runs.
	// +optional
	Started *metav1.Time `json:"started,omitempty"`
	// +optional
	Ended *metav1.Time `json:"ended,omitempty"`
	// Outcome of the rollout.
	Outcome Outcome `json:"outcome"`
	// Why says what led to this revision, and for one that failed, what went wrong.
	// +optional
	Why string `json:"why,omitempty"`
}

// LayerStatus sums up one layer of the specification.
type LayerStatus struct {
	// Name is operator, channel, user or resource.
	Name string `json:"name"`
	// Sets counts the values that come from this layer.
	Sets int32 `json:"sets"`
	// Shadowed counts values that this layer sets in vain, because a higher layer sets them too.
	// +optional
	Shadowed int32 `json:"shadowed,omitempty"`
}

// CheckStatus is one check of the preflight or of the probe.
type CheckStatus struct {
	// Name of the check, for example mysql-version.
	Name string `json:"name"`
	// Result is Passed, Failed, Warning or Skipped.
	// +kubebuilder:validation:Enum=Passed;Failed;Warning;Skipped
	Result string `json:"result"`
	// Message says what was found, and what to do about it.
	// +optional
	Message string `json:"message,omitempty"`
}

// DriftStatus is one object that differs from what was installed.
type DriftStatus struct {
	// Object is kind and name: "Deployment wandb-app".
	Object string `json:"object"`
	// Change is Changed or Removed.
	// +kubebuilder:validation:Enum=Changed;Removed
	Change string `json:"change"`
	// Paths are the fields that differ, as JSON pointers; values are not shown.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Paths []string `json:"paths,omitempty"`
	// By names the field managers that wrote last.
	// +optional
	By string `json:"by,omitempty"`
}
