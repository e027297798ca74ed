package release

import (
	"cmp"
	"slices"
	"time"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

// WithApplied returns the memory after Helm took a specification.
func (m Memory) WithApplied(revision int, desired *Desired, now time.Time) Memory {
	times := 1
	if m.Applied.Digest == desired.Digest {
		times = m.Applied.Times + 1
	}
	m.Applied = Applied{
		Revision: revision, Digest: desired.Digest, Source: desired.Source, At: stored(now), Times: times,
		ReleaseID: desired.ReleaseID, ReleaseName: desired.ReleaseName, Secrets: m.Applied.Secrets,
	}
	return m.withEntry(Entry{
		Revision: revision, Digest: desired.Digest, ReleaseName: desired.ReleaseName, Version: desired.Fingerprint.Version,
		Values: desired.Fingerprint.Values, Started: stored(now), Outcome: appsv1.OutcomeRunning,
	})
}

// WithSettled returns the memory after every object of the revision was ready. The specification has proven itself, so
// its failures are forgotten. What a rollback put in place proves nothing about the specification that failed.
func (m Memory) WithSettled(revision int, desired *Desired, at time.Time) Memory {
	if m.RolledBack(revision) {
		m.Applied.Settled = true
		return m.ended(revision, appsv1.OutcomeSucceeded, "", at)
	}
	if m.Applied.Revision != revision || m.Applied.Digest != desired.Digest {
		m = m.WithApplied(revision, desired, at)
	}
	m.Applied.Settled = true
	m.Failures = slices.DeleteFunc(slices.Clone(m.Failures), func(f Failure) bool { return f.Digest == desired.Digest })
	return m.ended(revision, appsv1.OutcomeSucceeded, "", at)
}

// WithFailure returns the memory after one more failure of a specification.
func (m Memory) WithFailure(desired *Desired, reason, message string, revision int, now time.Time) Memory {
	digest := desired.Digest
	failure := m.Failure(digest)
	failure = Failure{
		Digest: digest, Count: failure.Count + 1, At: stored(now),
		Reason: reason, Message: clip(message, maxMessage), Revision: revision,
	}
	m.Failures = append(m.failuresWithout(digest), failure)
	if revision > 0 && m.Applied.Revision != revision {
		// The failed revision is ours as well: without this note it would pass for somebody else's.
		m = m.WithApplied(revision, desired, now)
	}
	return m.ended(revision, appsv1.OutcomeFailed, failure.Message, now)
}

// WithRollback returns the memory after an earlier revision was put in the place of the newest. The specification that it
// replaces is remembered as failed, so that it does not come back by itself.
func (m Memory) WithRollback(desired *Desired, made, target int, why string, now time.Time) Memory {
	earlier := m.entry(target)
	if desired != nil {
		failure := m.Failure(desired.Digest)
		failure.Digest, failure.At, failure.RolledBack = desired.Digest, stored(now), true
		failure.Count = max(failure.Count, 1)
		failure.Message = clip(why, maxMessage)
		if failure.Reason == "" {
			failure.Reason = appsv1.ReasonReleaseFailed
		}
		m.Failures = append(m.failuresWithout(desired.Digest), failure)
		m = m.ended(m.Applied.Revision, appsv1.OutcomeRolledBack, why, now)
	}
	from := m.Applied.Digest
	if desired != nil {
		from = desired.Digest
	}
	m.Applied = Applied{
		Revision: made, Digest: earlier.Digest, At: stored(now), Times: 1, ReleaseName: earlier.ReleaseName, From: from,
		Secrets: m.Applied.Secrets,
	}
	earlier.Revision, earlier.Started, earlier.Ended = made, stored(now), time.Time{}
	earlier.Outcome, earlier.Why = appsv1.OutcomeRunning, clip(why, maxMessage)
	return m.withEntry(earlier)
}

// WithRotation returns the memory after the pods of the newest revision were restarted with changed credentials: the same
// specification, one revision later.
func (m Memory) WithRotation(made int, secrets map[string]string, why string, now time.Time) Memory {
	entry := m.entry(m.Applied.Revision)
	m.Applied.Revision, m.Applied.At, m.Applied.Settled = made, stored(now), false
	m.Applied.Secrets = secrets
	entry.Revision, entry.Started, entry.Ended = made, stored(now), time.Time{}
	entry.Outcome, entry.Why = appsv1.OutcomeRunning, why
	return m.withEntry(entry)
}

// WithApplying returns the memory after a specification was applied, for better or worse: what people had asked for is done.
func (m Memory) WithApplying(w Wishes) Memory {
	m.Handled.Force, m.Handled.Retry = w.Force, w.Retry
	return m
}

// LastGood returns the newest entry before revision that succeeded with another specification than digest; the zero Entry
// where there is none.
func (m Memory) LastGood(revision int, digest string) Entry {
	for _, entry := range slices.Backward(m.History) {
		if entry.Revision < revision && entry.Outcome == appsv1.OutcomeSucceeded && entry.Digest != digest {
			return entry
		}
	}
	return Entry{}
}

// Named returns the name of the release behind a revision, or the version of its chart.
func (m Memory) Named(revision int) string {
	entry := m.entry(revision)
	return cmp.Or(entry.ReleaseName, entry.Version, "of an unknown release")
}

func (m Memory) entry(revision int) Entry {
	for _, entry := range m.History {
		if entry.Revision == revision {
			return entry
		}
	}
	return Entry{Revision: revision}
}

// withEntry puts an entry at the end, in place of an earlier one of the same revision.
func (m Memory) withEntry(entry Entry) Memory {
	history := slices.DeleteFunc(slices.Clone(m.History), func(e Entry) bool { return e.Revision == entry.Revision })
	if len(history) >= maxHistory {
		history = history[len(history)-maxHistory+1:]
	}
	for i := range history {
		if history[i].Outcome == appsv1.OutcomeRunning {
			history[i].Outcome, history[i].Ended = appsv1.OutcomeSuperseded, entry.Started
		}
	}
	m.History = append(history, entry)
	return m
}

// ended notes how the rollout of a revision ended. One that had ended keeps its time.
func (m Memory) ended(revision int, outcome appsv1.Outcome, why string, at time.Time) Memory {
	m.History = slices.Clone(m.History)
	for i := range m.History {
		entry := &m.History[i]
		if entry.Revision != revision {
			continue
		}
		if entry.Ended.IsZero() {
			entry.Ended = stored(at)
		}
		entry.Outcome = outcome
		if why != "" {
			entry.Why = clip(why, maxMessage)
		}
	}
	return m
}

func (m Memory) failuresWithout(digest string) []Failure {
	rest := slices.DeleteFunc(slices.Clone(m.Failures), func(f Failure) bool { return f.Digest == digest })
	if len(rest) >= maxFailures {
		rest = rest[len(rest)-maxFailures+1:]
	}
	return rest
}

// stored is a time as the memory keeps it.
func stored(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }
