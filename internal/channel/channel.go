// Package channel is the customer's side of the release channel: it follows deploy servers, one goroutine for each
// subscription, and keeps the newest answer ready, so that a reconcile never waits for the network.
//
// A request is conditional and asks the server to hold its answer until something changes (RFC 7240, "Prefer: wait").
// Servers that do not know this preference are polled instead.
package channel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// DefaultBaseURL is the vendor's deploy server.
const DefaultBaseURL = "https://deploy.wandb.ai"

// Reasons of the faults in Snapshot.Err. A document that cannot be read has catalog.ReasonMalformedRelease.
const (
	// ReasonUnreachable: no connection, or none that can be trusted.
	ReasonUnreachable = "Unreachable"
	// ReasonTimedOut: the server was reached and did not answer in time.
	ReasonTimedOut = "TimedOut"
	// ReasonClockSkewed: the server's certificate is not valid at this machine's time, or the server's clock differs
	// from it so much that a licence was refused.
	ReasonClockSkewed = "ClockSkewed"
	// ReasonRejected: 401 or 403; the licence was not accepted.
	ReasonRejected = "Rejected"
	// ReasonReleaseNotFound: 404; the channel is empty, or the pinned release does not exist.
	ReasonReleaseNotFound = "ReleaseNotFound"
	// ReasonServerError: 429, 5xx, or an answer that the protocol does not have.
	ReasonServerError = "ServerError"
)

// Trust is how much an answer has to prove.
type Trust string

const (
	// TrustTLS takes the word of the server whose certificate is valid.
	TrustTLS Trust = "TLS"
	// TrustSigned takes only releases that the publisher signed; nothing falls back to TrustTLS.
	TrustSigned Trust = "Signed"
)

// Verifier decides whether a release may be accepted, for TrustSigned. Every failure is a *fault.Error.
type Verifier interface {
	// Verify returns nil when the signed catalog of sub's server lists exactly this release, and, unless sub is
	// pinned, says that sub's channel points at it.
	Verify(ctx context.Context, sub Subscription, release *catalog.Release) error
}

// Subscription is what to follow for one custom resource.
type Subscription struct {
	// Key is the custom resource.
	Key types.NamespacedName
	// BaseURL of the deploy server, without a path of the protocol. Empty means DefaultBaseURL.
	BaseURL string
	// License is sent to the server, which chooses the channel by it. Empty is allowed: channel "stable".
	License redact.Secret
	// Pin is the ID of the one release to follow. Empty follows the channel.
	Pin string
}

// Channel is the channel that the licence names; the server has the last word under TrustTLS.
func (s Subscription) Channel() string {
	claims, err := license.Peek(s.License)
	if err != nil {
		return license.DefaultChannel
	}
	return claims.ChannelOrDefault()
}

// Scope identifies what an answer was given to: server, licence and pin. A stored answer of another scope must not be
// used. It does not reveal the licence.
func (s Subscription) Scope() string {
	digest := sha256.New()
	for _, part := range []string{s.baseURL(), s.License.Reveal(), s.Pin} {
		sum := sha256.Sum256([]byte(part))
		digest.Write(sum[:])
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// baseURL has no slash at its end. Before version 1.13 operators were configured with the full path of the channel; such
// a setting is understood too.
func (s Subscription) baseURL() string {
	if s.BaseURL == "" {
		return DefaultBaseURL
	}
	return strings.TrimRight(strings.TrimSuffix(strings.TrimRight(s.BaseURL, "/"), channelPath), "/")
}

// address is the URL that is asked.
func (s Subscription) address() (string, error) {
	base := s.baseURL()
	parsed, err := url.Parse(base)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "https" && parsed.Scheme != "http") {
		return "", &fault.Error{
			Reason: ReasonUnreachable, Op: "read channel URL",
			Hint: "Set the channel URL to the base of a deploy server, for example " + DefaultBaseURL + ".",
		}
	}
	if s.Pin == "" {
		return base + channelPath, nil
	}
	return base + channelPath + "/release/" + url.PathEscape(s.Pin), nil
}

const channelPath = "/api/v1/operator/channel"

// Cached is an answer kept from an earlier life of the program.
type Cached struct {
	// Scope is the Subscription.Scope the answer was given to.
	Scope string
	// Release is the answer; it must not be nil.
	Release *catalog.Release
	// ETag came with it, or is empty.
	ETag string
}

// Snapshot is what is known about a subscription. Err does not clear Release: the last good release of the same scope
// stays usable while the server is away. Its maps are shared and must not be changed.
type Snapshot struct {
	// Release is the newest accepted release, nil before the first.
	Release *catalog.Release
	// ETag belongs to Release.
	ETag string
	// Err is the *fault.Error of the latest attempt, nil when it succeeded or none has ended yet.
	Err error
	// CheckedAt is when the server last confirmed Release; zero when it never did since this program began.
	CheckedAt time.Time
	// FromCache tells that Release was seeded and the server has not confirmed it yet.
	FromCache bool
	// Scope is the Subscription.Scope that Release belongs to.
	Scope string
}
