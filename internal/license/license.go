// Package license issues and verifies licence tokens: a JWT, signed with Ed25519 (JWS algorithm EdDSA), that names a
// customer, the release channel the customer may follow, and what the customer is entitled to.
//
// The package is pure: it reads no clock, no file and no network. A vendor holds a SigningKey; everybody else holds the
// KeySet that the vendor publishes as a JWKS. A licence that some other vendor signed is no failure of ours: Verify
// says IssuerUnknown, and Peek still reads its claims for display.
package license

import (
	"math"
	"time"
)

// Reasons of the faults that Verify returns.
const (
	// ReasonMalformed: the token is no JWT, or lacks a claim that every licence has.
	ReasonMalformed = "Malformed"
	// ReasonSignatureInvalid: the key that the token names did not sign it, or it was changed afterwards.
	ReasonSignatureInvalid = "SignatureInvalid"
	// ReasonIssuerUnknown: no key of the set goes by the name in the token, so nobody here can judge it.
	ReasonIssuerUnknown = "IssuerUnknown"
	// ReasonExpired: the signature is good and the licence has ended.
	ReasonExpired = "Expired"
	// ReasonNotYetValid: the signature is good and the licence begins later than now.
	ReasonNotYetValid = "NotYetValid"
)

// ClockLeeway is how far two clocks may differ before a licence counts as expired or not yet valid.
const ClockLeeway = 60 * time.Second

// DefaultChannel is the channel of whoever has no licence, or a licence that names none.
const DefaultChannel = "stable"

// Claims is what a licence says. Times are in UTC with a resolution of one second.
type Claims struct {
	// Issuer is the vendor that signed the licence.
	Issuer string
	// Customer is whom it was issued to.
	Customer string
	// ID is unique per licence; logs and revocations name a licence by it.
	ID string
	// IssuedAt and ExpiresAt bound its life.
	IssuedAt, ExpiresAt time.Time
	// Channel is the release channel it opens. Empty means DefaultChannel.
	Channel string
	// Entitlements is what it allows beyond updates.
	Entitlements Entitlements
}

// ChannelOrDefault returns the channel to follow.
func (c *Claims) ChannelOrDefault() string {
	if c == nil || c.Channel == "" {
		return DefaultChannel
	}
	return c.Channel
}

// Entitlements maps the name of a capability to its extent: a bool, a string, or a number (int64 where it is whole,
// else float64). A capability that is absent is not granted.
type Entitlements map[string]any

// Enabled tells whether the capability is granted: its value is true or a number above zero.
func (e Entitlements) Enabled(name string) bool {
	switch value := e[name].(type) {
	case bool:
		return value
	case int64:
		return value > 0
	case float64:
		return value > 0
	}
	return false
}

// Limit returns the whole number that the capability is limited to, and false where it states none.
func (e Entitlements) Limit(name string) (int64, bool) {
	switch value := e[name].(type) {
	case int64:
		return value, true
	case float64:
		if value == math.Trunc(value) && math.Abs(value) < 1<<53 {
			return int64(value), true
		}
	}
	return 0, false
}

// Text returns the capability's text, or "".
func (e Entitlements) Text(name string) string {
	value, _ := e[name].(string)
	return value
}
