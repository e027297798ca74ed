package release

import (
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/helm"
)

// Intent is what the owner of a release wants with it.
type Intent int

const (
	// Run installs the specification and keeps it installed.
	Run Intent = iota
	// Suspend changes nothing until somebody ends it.
	Suspend
	// Remove uninstalls the release.
	Remove
	// Leave lets go of the release and keeps everything that it made.
	Leave
)

// Observation is everything that Decide looks at. It holds no credential and no handle to anything.
type Observation struct {
	Intent Intent
	// Why says who wants Suspend, and how to end it.
	Why string
	// Desired is the specification to install; nil where the layers gave none.
	Desired *Desired
	// Problem says why Desired is absent, or present and not to be installed. nil where nothing is in the way.
	Problem *Problem
	// Latest is the newest revision in Helm's storage; nil where there is none.
	Latest *Revision
	// Health of the objects of Latest.
	Health Health
	// Memory is what earlier steps left in Secret <cr>-spec-active.
	Memory Memory
	// Running is the step that is being applied right now; nil where none is.
	Running *Running
	// Lock is the Lease of this release.
	Lock Lock
	// Attempt is the last step that failed without touching Helm's storage; nil where there is none.
	Attempt *Attempt
	// RemovedAt is when the owner was deleted; zero while it is not.
	RemovedAt time.Time

	// Rules are what people said about how changes are applied.
	Rules Rules
	// Wishes are what people asked for once.
	Wishes Wishes
	// Plan is the newest plan; nil where none was made.
	Plan *Plan
	// Earlier is the revision that a failed one would be rolled back to; nil where there is none.
	Earlier *Earlier
	// Probe is what is known about the release's own probe.
	Probe Probe
	// Drift is what is known about changes by others.
	Drift Drift
	// Rotated names Secrets whose content differs from what the pods of the newest revision were started with.
	Rotated []string
}

// Rules are what people said about how changes are applied. The zero value applies them at once and does no more.
type Rules struct {
	// Approval lets a change wait until its plan is approved.
	Approval bool
	// Windowed tells that changes may begin in windows only. Opens is when the next one opens; zero while one is open.
	Windowed bool
	Opens    time.Time
	// Rollback rolls a failed revision back after so many attempts; 0 never does.
	Rollback int
	// Overrule applies the specification over a revision that somebody else made.
	Overrule bool
	// Timeout is how long the objects of a revision may take to become ready. Zero means RolloutTimeout.
	Timeout time.Duration
}

func (r Rules) timeout() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return RolloutTimeout
}

// Wishes are what people asked for once. Each counts until it was acted on, which the memory knows.
type Wishes struct {
	// Approved is the digest of the plan that may be applied.
	Approved string
	// Retry, Force and RollbackAt are when somebody asked; zero where nobody did.
	Retry, Force time.Time
	// RollbackTo is a revision; RollbackBy who wants it, and Unsafe tells that he knows about the data.
	RollbackTo int
	RollbackBy string
	RollbackAt time.Time
	Unsafe     bool
}

// Plan is what Decide has to know about a plan.
type Plan struct {
	// Digest names the plan.
	Digest string
	// Desired is the digest of the specification that it leads to, and Base the revision that it starts from.
	Desired string
	Base    int
	// Replaces names workloads whose pods are replaced, and Removes counts objects that go.
	Replaces []string
	Removes  int
	// Summary says in a few words what it does, and Status is what the resource shows.
	Summary string
	Status  appsv1.PlanStatus
	// MadeAt is when it was made: an approval that is older is of an earlier plan.
	MadeAt time.Time
}

// Earlier is a revision that could take the place of a failed one.
type Earlier struct {
	Number int
	// Name of its release or chart, for messages.
	Name string
	// Safe tells that it can read the data as it is now; Why says why not, or why nobody knows.
	Safe bool
	Why  string
}

// Probe is what is known about the release's own probe.
type Probe struct {
	// Declared tells that the newest revision has one, and that it is wanted.
	Declared bool
	// Revision is the one that was probed last, and At when.
	Revision int
	At       time.Time
	// Every is how often it runs.
	Every time.Duration
	// Broken names inside checks that passed before the newest revision and fail since; empty where none does.
	Broken string
}

// due returns when the probe is to run for a revision; the zero time is at once.
func (p Probe) due(revision int) time.Time {
	if p.Revision != revision {
		return time.Time{}
	}
	return p.At.Add(p.Every)
}

// Drift is what is known about changes by others.
type Drift struct {
	// Correct tells that they are to be taken back.
	Correct bool
	// Summary names what differs; empty where nothing does.
	Summary string
	// Corrected counts corrections in a row of the same objects, and At is when the last one was made.
	Corrected int
	At        time.Time
}

// Fingerprint is what a specification and a revision are compared by, where no digest of ours links them.
type Fingerprint struct {
	// Chart and Version are as in Chart.yaml. Empty in a specification means "not known before the chart is read".
	Chart, Version string
	// Values is spec.ValuesDigest of the values.
	Values string
}

// Desired is one specification that could be installed.
type Desired struct {
	// Digest names chart and values: two specifications with one digest install the same.
	Digest string
	// Source is the digest of the chart's description alone.
	Source string
	// ReleaseID and ReleaseName are those of the deploy server; empty where the specification comes from elsewhere.
	ReleaseID, ReleaseName string
	// Fingerprint of the specification.
	Fingerprint Fingerprint
}

// Problem is a reason not to install, as a condition shows it.
type Problem struct {
	Reason, Message string
	// Final tells that waiting does not help: somebody has to change something.
	Final bool
}

// Revision is one record of Helm's storage.
type Revision struct {
	Number      int
	Status      helm.Status
	Fingerprint Fingerprint
	// DeployedAt is when the revision was last acted on.
	DeployedAt time.Time
	// Ours tells that this operator, or an earlier life of it, made the release.
	Ours bool
	// Description is Helm's or our sentence about how it went.
	Description string
}

// Health sums up the objects of the newest revision.
type Health struct {
	// Ready tells that every object exists and is current in the sense of kstatus.
	Ready bool
	// Failed tells that an object says itself that it will not become ready.
	Failed bool
	// Message names what is not ready; empty where all is.
	Message string
}

// Running is a step under way.
type Running struct {
	Action Action
	Since  time.Time
}

// Lock is the Lease that is held around each step. The zero value says that nobody ever held it.
type Lock struct {
	// Holder names the process; empty where the Lease is free.
	Holder string
	// Ours tells that the holder is this process.
	Ours bool
	// Expired tells that the holder has stopped renewing.
	Expired bool
	// HolderGone tells that the holder's pod does not exist any more, or is this very pod before a restart.
	HolderGone bool
}

// HeldByOther tells that another process may still be at work. A Lease that ran out is not enough, for a process that was
// paused can come back: its pod has to be gone as well.
func (l Lock) HeldByOther() bool {
	return l.Holder != "" && !l.Ours && (!l.Expired || !l.HolderGone)
}

// Attempt is a step that failed before Helm's storage changed.
type Attempt struct {
	// Digest of the specification; empty for an uninstall.
	Digest          string
	Action          Action
	Reason, Message string
	// Final tells that the same attempt cannot succeed until somebody changes something.
	Final bool
	// Count of such attempts in a row.
	Count int
	At    time.Time
	// Retry is the wish to try again that the attempt has answered.
	Retry time.Time
}
