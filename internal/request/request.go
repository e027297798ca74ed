// Package request holds what people ask of the operator beside the specification: approve a plan, pin a release,
// suspend, roll back, try again, force. A request is an entry with who and when in Secret <cr>-spec-user, key "requests";
// the console and the command line write it, the operator only reads it. What the custom resource itself says about the
// same thing wins.
//
// The package is pure.
package request

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// Key of Secret <cr>-spec-user that holds the requests.
const Key = "requests"

// maxEncodedSize bounds what is read: six entries of a few hundred bytes each.
const maxEncodedSize = 16 << 10

// Mark says who asked, and when.
type Mark struct {
	// By is the person, as the console or the API server knows them.
	By string `json:"by"`
	// At tells one request from the next of its kind; it has whole milliseconds.
	At time.Time `json:"at"`
}

// Approve lets exactly one plan be applied.
type Approve struct {
	Mark
	// Plan is the digest of the plan: "sha256:…".
	Plan string `json:"plan"`
	// MadeAt is when the plan was made that the person has seen. A plan that was voided and made anew has the same digest and
	// another time.
	MadeAt time.Time `json:"madeAt,omitzero"`
}

// Pin keeps one release.
type Pin struct {
	Mark
	// Release is its ID on the deploy server; empty keeps the release that runs.
	Release string `json:"release,omitempty"`
}

// Rollback asks for an earlier revision.
type Rollback struct {
	Mark
	// Revision as in `helm history`.
	Revision int `json:"revision"`
	// Unsafe rolls back although the release's statement about its data forbids it.
	Unsafe bool `json:"unsafe,omitempty"`
}

// Set holds at most one request of each kind. The zero value asks for nothing.
type Set struct {
	Approve  *Approve  `json:"approve,omitempty"`
	Pin      *Pin      `json:"pin,omitempty"`
	Suspend  *Mark     `json:"suspend,omitempty"`
	Rollback *Rollback `json:"rollback,omitempty"`
	// Retry takes up a specification again that had failed before the request was made.
	Retry *Mark `json:"retry,omitempty"`
	// Force applies the specification now: outside windows, and although it is installed already.
	Force *Mark `json:"force,omitempty"`
}

// Decode reads the requests out of the data of Secret <cr>-spec-user. An absent key is the zero value; what cannot be read
// is a fault LayerInvalid, for a request that is silently dropped would surprise.
func Decode(data map[string][]byte) (Set, error) {
	raw := data[Key]
	if len(raw) == 0 {
		return Set{}, nil
	}
	if len(raw) > maxEncodedSize {
		return Set{}, invalid(fmt.Errorf("%d bytes exceed the limit of %d", len(raw), maxEncodedSize))
	}
	var set Set
	if err := json.Unmarshal(raw, &set); err != nil {
		return Set{}, invalid(err)
	}
	return set, set.check()
}

// Encode writes the requests as the value of Key; the zero value gives "{}".
func (s Set) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode requests: %w", err)
	}
	return raw, nil
}

// MarkOf returns the mark of somebody at a time, as it is stored.
func MarkOf(by string, at time.Time) Mark {
	return Mark{By: strings.TrimSpace(by), At: at.UTC().Truncate(time.Millisecond)}
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (s Set) check() error {
	switch {
	case s.Approve != nil && !digestForm.MatchString(s.Approve.Plan):
		return invalid(fmt.Errorf("approve.plan is no digest of a plan"))
	case s.Rollback != nil && s.Rollback.Revision < 1:
		return invalid(fmt.Errorf("rollback.revision is %d, and revisions count from 1", s.Rollback.Revision))
	}
	return nil
}

func invalid(cause error) error {
	return &fault.Error{
		Reason: appsv1.ReasonLayerInvalid, Op: "read requests of the user layer", Err: cause,
		Hint: `Make the request again in the System Console or with "kubectl wandb"; an empty key "requests" asks for nothing.`,
	}
}
