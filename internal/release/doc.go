// Package release looks after one application release: it observes what Helm's storage and the cluster hold, decides
// the one next step, and applies it.
//
// The three are kept apart. An Observation is plain data, gathered by IO. Decide is pure: the same observation and time
// give the same step, and nothing that only status holds takes part, so that a wiped status changes nothing that
// happens next. A Runner applies steps beside the caller's work queue, one at a time for each release, holding a Lease
// so that two processes never work on one release.
//
// A failure counts against a specification only when Helm's storage changed; what was never written is retried freely.
// Failures are remembered by the digest of the specification in Secret <cr>-spec-active.
package release
