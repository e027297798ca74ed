package release

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Memory is what one process tells the next about a release: which specification made which revision, and which
// specifications failed. It lives in Secret <cr>-spec-active, keys "applied" and "failures".
type Memory struct {
	// Applied is the last specification that Helm took.
	Applied Applied
	// Failures holds one entry for each specification that failed, newest last, bounded.
	Failures []Failure
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
}

const (
	// maxFailures bounds the list: older specifications do not come back by themselves.
	maxFailures = 20
	// maxMessage bounds a stored text; Helm can repeat whole manifests.
	maxMessage = 1024
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

// SettledAt tells that the revision is the one that was applied last and has been ready once.
func (m Memory) SettledAt(revision int) bool {
	return m.Applied.Settled && m.Applied.Revision == revision
}

// WithApplied returns the memory after Helm took a specification.
func (m Memory) WithApplied(revision int, desired *Desired, now time.Time) Memory {
	times := 1
	if m.Applied.Digest == desired.Digest {
		times = m.Applied.Times + 1
	}
	m.Applied = Applied{
		Revision: revision, Digest: desired.Digest, Source: desired.Source, At: now.UTC().Truncate(time.Second), Times: times,
		ReleaseID: desired.ReleaseID, ReleaseName: desired.ReleaseName,
	}
	return m
}

// WithSettled returns the memory after every object of the revision was ready. The specification has proven itself, so
// its failures are forgotten.
func (m Memory) WithSettled(revision int, desired *Desired, deployed time.Time) Memory {
	if m.Applied.Revision != revision || m.Applied.Digest != desired.Digest {
		m = m.WithApplied(revision, desired, deployed)
	}
	m.Applied.Settled = true
	m.Failures = slices.DeleteFunc(slices.Clone(m.Failures), func(f Failure) bool { return f.Digest == desired.Digest })
	return m
}

// WithFailure returns the memory after one more failure of a specification.
func (m Memory) WithFailure(desired *Desired, reason, message string, revision int, now time.Time) Memory {
	digest := desired.Digest
	failure := m.Failure(digest)
	failure = Failure{
		Digest: digest, Count: failure.Count + 1, At: now.UTC().Truncate(time.Second),
		Reason: reason, Message: clip(message, maxMessage), Revision: revision,
	}
	rest := slices.DeleteFunc(slices.Clone(m.Failures), func(f Failure) bool { return f.Digest == digest })
	if len(rest) >= maxFailures {
		rest = rest[len(rest)-maxFailures+1:]
	}
	m.Failures = append(rest, failure)
	if revision > 0 && m.Applied.Revision != revision {
		// The failed revision is ours as well: without this note it would pass for somebody else's.
		m = m.WithApplied(revision, desired, now)
	}
	return m
}

// Keys of Secret <cr>-spec-active that hold a memory.
const (
	KeyApplied  = "applied"
	KeyFailures = "failures"
)

// DecodeMemory reads a memory from the data of Secret <cr>-spec-active. Absent keys are an empty memory.
func DecodeMemory(data map[string][]byte) (Memory, error) {
	var memory Memory
	for key, target := range map[string]any{KeyApplied: &memory.Applied, KeyFailures: &memory.Failures} {
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
	applied, err := json.Marshal(m.Applied)
	if err != nil {
		return nil, fmt.Errorf("encode key %q: %w", KeyApplied, err)
	}
	failures := []byte("[]")
	if len(m.Failures) > 0 {
		if failures, err = json.Marshal(m.Failures); err != nil {
			return nil, fmt.Errorf("encode key %q: %w", KeyFailures, err)
		}
	}
	return map[string][]byte{KeyApplied: applied, KeyFailures: failures}, nil
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
