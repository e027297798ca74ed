package release

import (
	"encoding/json"
	"fmt"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/probe"
)

// Memory is what one process tells the next about a release: which specification made which revision, and which
// specifications failed. It lives in Secret <cr>-spec-active, keys "applied" and "failures".
type Memory struct {
	// Applied is the last specification that Helm took.
	Applied Applied
	// Failures holds one entry for each specification that failed, newest last, bounded.
	Failures []Failure
	// History holds the last revisions, newest last, bounded.
	History []Entry
	// Probed is what the probe found last.
	Probed Probed
	// Handled are the wishes of people that were acted on.
	Handled Handled
}

// Handled are the wishes of people that were acted on, each by when it was made.
type Handled struct {
	Force    time.Time `json:"force,omitzero"`
	Retry    time.Time `json:"retry,omitzero"`
	Rollback time.Time `json:"rollback,omitzero"`
}

// Entry is one revision in the history.
type Entry struct {
	Revision    int    `json:"revision"`
	Digest      string `json:"digest,omitempty"`
	ReleaseName string `json:"releaseName,omitempty"`
	Version     string `json:"version,omitempty"`
	// Values is the fingerprint of the values.
	Values  string    `json:"values,omitempty"`
	Started time.Time `json:"started,omitzero"`
	// Ended is zero while the rollout is under way.
	Ended   time.Time      `json:"ended,omitzero"`
	Outcome appsv1.Outcome `json:"outcome"`
	Why     string         `json:"why,omitempty"`
}

// Probed is what the probe found last.
type Probed struct {
	Revision int          `json:"revision,omitempty"`
	At       time.Time    `json:"at,omitzero"`
	Report   probe.Report `json:"report"`
	// Broken names inside checks that passed on the revision before and fail on this one.
	Broken string `json:"broken,omitempty"`
	// Problem says why there is no report; empty where there is one.
	Problem string `json:"problem,omitempty"`
}

// Applied links a revision of Helm to the specification that made it.
type Applied struct {
	Revision int    `json:"revision,omitempty"`
	Digest   string `json:"digest,omitempty"`
	// Source is the digest of the chart's description, so that the chart need not be fetched to see that it is the same.
	Source string `json:"source,omitempty"`
	// ReleaseID and ReleaseName are those of the deploy server.
	ReleaseID   string `json:"releaseId,omitempty"`
	ReleaseName string `json:"releaseName,omitempty"`
	// Settled tells that every object of the revision was ready once. From then on unready objects are an incident, not a
	// failed rollout.
	Settled bool `json:"settled,omitempty"`
	// At is when the revision was made.
	At time.Time `json:"at,omitzero"`
	// Times counts how often in a row this very specification was applied.
	Times int `json:"times,omitempty"`
	// From is the digest of the specification that failed, where a rollback made this revision.
	From string `json:"from,omitempty"`
	// Secrets are the marks of the Secrets that the pods of the revision use: what their content was.
	Secrets map[string]string `json:"secrets,omitempty"`
}

// Failure is the record of a specification that changed Helm's storage and failed.
type Failure struct {
	Digest  string    `json:"digest"`
	Count   int       `json:"count"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	// Revision is the newest one that failed.
	Revision int `json:"revision,omitempty"`
	// RolledBack tells that an earlier revision took its place, so that it is not tried again by itself.
	RolledBack bool `json:"rolledBack,omitempty"`
}

const (
	// maxFailures bounds the list: older specifications do not come back by themselves.
	maxFailures = 20
	// maxMessage bounds a stored text; Helm can repeat whole manifests.
	maxMessage = 1024
	// maxHistory is how many revisions the history holds: as many as status shows, and Helm keeps.
	maxHistory = 10
)

// Failure returns the record for a digest, or the zero value.
func (m Memory) Failure(digest string) Failure {
	for _, failure := range m.Failures {
		if failure.Digest == digest {
			return failure
		}
	}
	return Failure{}
}

// RolledBack tells that the revision was made by a rollback.
func (m Memory) RolledBack(revision int) bool {
	return m.Applied.From != "" && m.Applied.Revision == revision
}

// SettledAt tells that the revision is the one that was applied last and has been ready once.
func (m Memory) SettledAt(revision int) bool {
	return m.Applied.Settled && m.Applied.Revision == revision
}

// Keys of Secret <cr>-spec-active that hold a memory.
const (
	KeyApplied  = "applied"
	KeyFailures = "failures"
	KeyHistory  = "history"
	KeyProbed   = "probed"
	KeyHandled  = "handled"
)

// DecodeMemory reads a memory from the data of Secret <cr>-spec-active. Absent keys are an empty memory.
func DecodeMemory(data map[string][]byte) (Memory, error) {
	var memory Memory
	for key, target := range map[string]any{
		KeyApplied: &memory.Applied, KeyFailures: &memory.Failures, KeyHistory: &memory.History, KeyProbed: &memory.Probed,
		KeyHandled: &memory.Handled,
	} {
		if text := data[key]; len(text) > 0 {
			if err := json.Unmarshal(text, target); err != nil {
				return Memory{}, fmt.Errorf("decode key %q: %w", key, err)
			}
		}
	}
	return memory, nil
}

// Encode returns the memory as data of Secret <cr>-spec-active.
func (m Memory) Encode() (map[string][]byte, error) {
	data := make(map[string][]byte, 5)
	for key, content := range map[string]any{
		KeyApplied: m.Applied, KeyFailures: orEmpty(m.Failures), KeyHistory: orEmpty(m.History), KeyProbed: m.Probed,
		KeyHandled: m.Handled,
	} {
		raw, err := json.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encode key %q: %w", key, err)
		}
		data[key] = raw
	}
	return data, nil
}

// orEmpty keeps an absent list from being written as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := limit
	for cut > 0 && text[cut]&0xC0 == 0x80 {
		cut--
	}
	return text[:cut] + "…"
}
