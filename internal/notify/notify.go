// Package notify tells a webhook what happened to a resource: that its release failed or was rolled back, waits for an
// approval, drifted, failed its checks or recovered, or that its licence is about to end.
//
// Changes decides from two states of a status and nothing else, so that a restarted operator repeats nothing. Sender
// delivers, with a bounded queue and a bounded number of attempts.
package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// Kind of a notification.
type Kind string

const (
	// ReleaseFailed: a specification could not be installed, or its objects did not become ready.
	ReleaseFailed Kind = "ReleaseFailed"
	// RolledBack: a release failed, and an earlier one took its place.
	RolledBack Kind = "RolledBack"
	// NeedsApproval: a plan waits until somebody approves it.
	NeedsApproval Kind = "NeedsApproval"
	// LicenceEnding: the licence ends within 30, 14, 7 or 1 days, or has ended.
	LicenceEnding Kind = "LicenceEnding"
	// DriftDetected: somebody else changed objects of the release.
	DriftDetected Kind = "DriftDetected"
	// VerificationFailed: the release's own probe failed.
	VerificationFailed Kind = "VerificationFailed"
	// Recovered: what was told before is over.
	Recovered Kind = "Recovered"
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{ReleaseFailed, RolledBack, NeedsApproval, LicenceEnding, DriftDetected, VerificationFailed, Recovered}
}

// ParseKinds reads names of kinds. None means every kind; a name that is none gives a *fault.Error.
func ParseKinds(names []string) ([]Kind, error) {
	if len(names) == 0 {
		return Kinds(), nil
	}
	kinds := make([]Kind, 0, len(names))
	for _, name := range names {
		kind := Kind(name)
		if !slices.Contains(Kinds(), kind) {
			return nil, &fault.Error{
				Reason: ReasonConfigInvalid, Op: fmt.Sprintf("read kinds of notifications: %q is not known", name),
				Hint: "Set NOTIFY_KINDS to some of " + join(Kinds()) + ", or leave it empty for all.",
			}
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

func join(kinds []Kind) string {
	names := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		names = append(names, string(kind))
	}
	return strings.Join(names, ", ")
}

// Notification is one change of state that somebody wants to hear of. Its JSON form is the body of the request.
type Notification struct {
	// ID is the same each time the same change is told; receivers drop what they have seen.
	ID string `json:"id"`
	// Text says it all in plain words, for receivers that show one line: Slack's webhooks read this field.
	Text string `json:"text"`
	Kind Kind   `json:"kind"`
	// Namespace and Name are those of the resource.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Release is the vendor's name of the release that this is about, or the version of its chart.
	Release string `json:"release,omitempty"`
	// Reason is the word that the condition carries.
	Reason string `json:"reason,omitempty"`
	// Message is the sentence that the status shows.
	Message string `json:"message,omitempty"`
	// Hint says what to run or change.
	Hint string `json:"hint,omitempty"`
	// At is when the operator found it.
	At time.Time `json:"at"`

	// subject tells this change from others of its kind; it goes into ID.
	subject string
}

// about completes a notification of one resource.
func (n Notification) about(namespace, name string) Notification {
	n.Namespace, n.Name = namespace, name
	sum := sha256.Sum256([]byte(strings.Join([]string{namespace, name, string(n.Kind), n.subject}, "\x00")))
	n.ID = hex.EncodeToString(sum[:16])
	n.Text = n.text()
	return n
}

// maxField bounds message and hint, in bytes: receivers refuse long texts as a whole.
const maxField = 1000

func clip(text string) string {
	if len(text) <= maxField {
		return text
	}
	return strings.ToValidUTF8(text[:maxField], "") + "…"
}

// quoted are the characters that Slack's mark-up gives a meaning: a message must not call a whole channel.
var quoted = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (n Notification) text() string {
	text := fmt.Sprintf("%s/%s: %s", n.Namespace, n.Name, n.headline())
	if n.Message != "" {
		text += ": " + n.Message
	}
	if n.Hint != "" {
		text = strings.TrimRight(text, ". ") + ". " + n.Hint
	}
	return quoted.Replace(text)
}

func (n Notification) headline() string {
	release := "the release"
	if n.Release != "" {
		release = "release " + n.Release
	}
	switch n.Kind {
	case ReleaseFailed:
		return release + " failed (" + n.Reason + ")"
	case RolledBack:
		return release + " failed and was rolled back"
	case NeedsApproval:
		return release + " waits for approval"
	case LicenceEnding:
		return "licence"
	case DriftDetected:
		return "the installation was changed by somebody else (" + n.Reason + ")"
	case VerificationFailed:
		return "the checks of the installation fail"
	case Recovered:
		return "recovered"
	}
	return string(n.Kind)
}
