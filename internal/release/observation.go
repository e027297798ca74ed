package release

import (
	"time"

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
}
