package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// UpdatePolicy says who decides that a change is applied.
//
// +kubebuilder:validation:Enum=Automatic;Approval;Pinned
type UpdatePolicy string

const (
	// UpdateAutomatic: a change is applied as soon as the windows allow it.
	UpdateAutomatic UpdatePolicy = "Automatic"
	// UpdateApproval: a change waits until somebody has approved its plan.
	UpdateApproval UpdatePolicy = "Approval"
	// UpdatePinned: the release stays what update.release says, or what runs.
	UpdatePinned UpdatePolicy = "Pinned"
)

// Update says how releases of the channel are taken.
//
// +kubebuilder:validation:XValidation:rule="!has(self.release) || !has(self.policy) || self.policy == 'Pinned'",message="release needs policy Pinned: a pinned release and a policy that follows the channel contradict each other"
type Update struct {
	// Policy is Automatic (default), Approval or Pinned. Values that people set are applied under Pinned too; only the
	// vendor's release stays.
	// +optional
	Policy UpdatePolicy `json:"policy,omitempty"`

	// Release is the ID of the one release to run, with policy Pinned. Without it the release that runs stays.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Release string `json:"release,omitempty"`

	// Approve is the digest of the plan that may be applied, with policy Approval. It wins over an approval that was given
	// in the System Console or on the command line.
	// +optional
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	Approve string `json:"approve,omitempty"`

	// Windows in which changes may begin; empty means always. A rotated credential and a rollback do not wait for one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Windows []Window `json:"windows,omitempty"`

	// Trust is TLS or Signed. Without it the operator's own setting counts. Setting TLS here is the only way back after an
	// installation has once accepted signed releases.
	// +optional
	Trust TrustMode `json:"trust,omitempty"`
}

// Window is a time in which changes may begin.
type Window struct {
	// Schedule is when the window opens, in the five fields of cron: minute, hour, day of month, month, day of week.
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.trim().matches('^\\\\S+(\\\\s+\\\\S+){4}$')",message="schedule has the five fields of cron: minute hour day month weekday, for example 0 2 * * 6"
	Schedule string `json:"schedule"`

	// Duration is how long it stays open.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="duration is between 1m and 168h, for example 4h"
	Duration metav1.Duration `json:"duration"`

	// TimeZone is a name of the IANA database, for example Europe/Berlin. Default: UTC.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`
	TimeZone string `json:"timeZone,omitempty"`
}

// Rollback says what happens to a release that fails.
type Rollback struct {
	// Enabled rolls a failed upgrade back where the release's statement about its data allows it. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// Attempts is how many revisions one specification may fail with before it is rolled back. Default: 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Attempts int32 `json:"attempts,omitempty"`
}

// DriftMode says what happens when somebody else changes objects of the release.
//
// +kubebuilder:validation:Enum=Warn;Correct;Off
type DriftMode string

const (
	// DriftWarn: condition Drifted and an event tell about it.
	DriftWarn DriftMode = "Warn"
	// DriftCorrect: the objects are brought back to what was installed.
	DriftCorrect DriftMode = "Correct"
	// DriftOff: nobody looks.
	DriftOff DriftMode = "Off"
)

// Drift says what happens when somebody else changes objects of the release.
type Drift struct {
	// Mode is Warn (default), Correct or Off.
	// +optional
	Mode DriftMode `json:"mode,omitempty"`

	// Ignore lists changes that are nobody's business. Replicas under an autoscaler need no rule.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Ignore []DriftRule `json:"ignore,omitempty"`
}

// DriftRule matches changes of objects. Empty fields match everything.
type DriftRule struct {
	// Kind of the object, for example Deployment.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Kind string `json:"kind,omitempty"`
	// Name of the object.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// Paths are JSON pointers (RFC 6901); what lies below them is ignored too. Empty ignores the whole object.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.all(p, p.startsWith('/'))",message="each path is a JSON pointer that begins with /, for example /spec/replicas"
	Paths []string `json:"paths,omitempty"`
}

// DeletionPolicy says what happens to the release when its resource is deleted.
//
// +kubebuilder:validation:Enum=Delete;Keep
type DeletionPolicy string

const (
	// DeletionDelete: the release is uninstalled. Volumes, kept Secrets and the user layer stay.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionKeep: everything stays and goes on running.
	DeletionKeep DeletionPolicy = "Keep"
)

// Retention says what stays when the resource is deleted.
type Retention struct {
	// OnDelete is Delete (default) or Keep.
	// +optional
	OnDelete DeletionPolicy `json:"onDelete,omitempty"`
}

// Verify says whether and how often the release's own probe runs.
type Verify struct {
	// Enabled runs the probe after each release and then every Interval. Default: true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// Interval between two runs. Default: 1h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="interval is a duration between 1m and 168h, for example 1h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// Timeout bounds one run. Default: 5m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('1h')",message="timeout is a duration between 10s and 1h, for example 5m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// DefinitionPolicy says what happens to CustomResourceDefinitions of the chart.
//
// +kubebuilder:validation:Enum=Create;CreateReplace;Skip
type DefinitionPolicy string

const (
	// DefinitionsCreate: those that are absent are made.
	DefinitionsCreate DefinitionPolicy = "Create"
	// DefinitionsCreateReplace: those that exist are brought up to date too.
	DefinitionsCreateReplace DefinitionPolicy = "CreateReplace"
	// DefinitionsSkip: none is touched.
	DefinitionsSkip DefinitionPolicy = "Skip"
)
