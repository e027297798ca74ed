// Package admin is the administrators' side of a deploy server: the documents of its admin API, which server and
// command line share, and a client for it.
package admin

import (
	"encoding/json"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
)

// Path is the prefix of the admin API.
const Path = "/api/v1/admin"

// Channel is a named line of releases.
type Channel struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
	// InheritsFrom is the channel whose release it offers while it has none of its own.
	InheritsFrom string `json:"inheritsFrom,omitempty"`
	// Current is what it offers now, nil while it offers nothing. Its Channel is the ancestor where it is inherited.
	Current *Promotion `json:"current"`
	// History holds its own promotions, newest first; only a request for one channel fills it.
	History []Promotion `json:"history,omitempty"`
}

// NewChannel asks for a channel. Asking again for the same one is no error.
type NewChannel struct {
	Name         string `json:"name"`
	InheritsFrom string `json:"inheritsFrom,omitempty"`
}

// Promotion is one time when a channel was pointed at a release.
type Promotion struct {
	// Sequence grows with every promotion of the server, whatever the channel.
	Sequence    int64     `json:"sequence"`
	Channel     string    `json:"channel"`
	ReleaseID   string    `json:"releaseId"`
	ReleaseName string    `json:"releaseName"`
	At          time.Time `json:"at"`
	// By is who did it, as stated by the client.
	By string `json:"by"`
}

// NewPromotion points a channel at a release, named by its ID or its name.
type NewPromotion struct {
	Release string `json:"release"`
	By      string `json:"by,omitempty"`
}

// Chart is one version of a chart in the server's Helm repository.
type Chart struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	AppVersion string `json:"appVersion,omitempty"`
	// Digest is the SHA-256 of the archive, in hex.
	Digest    string    `json:"digest"`
	Size      int64     `json:"size"`
	CreatedAt time.Time `json:"createdAt"`
}

// Release is what was published. It never changes.
type Release struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Chart     map[string]any `json:"chart"`
	CreatedAt time.Time      `json:"createdAt"`
	CreatedBy string         `json:"createdBy"`
	// Channels offer it now.
	Channels []string `json:"channels"`
	// Values are the Helm values; only a request for one release fills them.
	Values json.RawMessage `json:"values,omitempty"`
}

// NewRelease publishes a release. Publishing the same content under the same name again returns the first one.
type NewRelease struct {
	Name  string          `json:"name"`
	Chart NewReleaseChart `json:"chart"`
	// Values is a JSON object, or absent.
	Values json.RawMessage `json:"values,omitempty"`
	// Promote is a channel to point at the release at once, or "".
	Promote string `json:"promote,omitempty"`
	By      string `json:"by,omitempty"`
}

// NewReleaseChart names the chart. Without URL it is one of the server's own repository, and must be there.
type NewReleaseChart struct {
	URL     string `json:"url,omitempty"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version"`
}

// License is a licence that the server issued. The token itself is not kept.
type License struct {
	ID            string         `json:"id"`
	Customer      string         `json:"customer"`
	Channel       string         `json:"channel"`
	Entitlements  map[string]any `json:"entitlements,omitempty"`
	IssuedAt      time.Time      `json:"issuedAt"`
	ExpiresAt     time.Time      `json:"expiresAt"`
	RevokedAt     *time.Time     `json:"revokedAt,omitempty"`
	RevokedBy     string         `json:"revokedBy,omitempty"`
	RevokedReason string         `json:"revokedReason,omitempty"`
	// LastSeen is the latest request with this licence since the server started.
	LastSeen *Contact `json:"lastSeen,omitempty"`
}

// State is "valid", "expired" or "revoked".
func (l License) State(now time.Time) string {
	switch {
	case l.RevokedAt != nil:
		return "revoked"
	case !now.Before(l.ExpiresAt):
		return "expired"
	default:
		return "valid"
	}
}

// Contact is what is known of a follower.
type Contact struct {
	At        time.Time `json:"at"`
	UserAgent string    `json:"userAgent"`
	// ReleaseID is the release that the follower has; "" while it was given none.
	ReleaseID   string `json:"releaseId"`
	ReleaseName string `json:"releaseName"`
	// Waiting tells that a request is being held for it right now.
	Waiting bool `json:"waiting"`
}

// NewLicense asks for a licence.
type NewLicense struct {
	Customer string `json:"customer"`
	Channel  string `json:"channel,omitempty"`
	// ExpiresAt must lie in the future.
	ExpiresAt    time.Time      `json:"expiresAt"`
	Entitlements map[string]any `json:"entitlements,omitempty"`
}

// IssuedLicense is the one answer that carries a token.
type IssuedLicense struct {
	License
	Token redact.Secret `json:"-"`
}

// issuedWire shows the token, on purpose: it is what was asked for.
type issuedWire struct {
	License
	Token string `json:"token"`
}

// MarshalJSON reveals the token.
func (l IssuedLicense) MarshalJSON() ([]byte, error) {
	return json.Marshal(issuedWire{License: l.License, Token: l.Token.Reveal()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *IssuedLicense) UnmarshalJSON(data []byte) error {
	var wire issuedWire
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	l.License, l.Token = wire.License, redact.Secret(wire.Token)
	return nil
}

// Revocation ends a licence before its time.
type Revocation struct {
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
}

// Failure is the body of every answer that is no success.
type Failure struct {
	Error  string `json:"error"`
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
}

// Trust describes the signed catalog.
type Trust struct {
	// Fingerprint is the SHA-256 of the first root.json, in hex: what two people compare.
	Fingerprint string `json:"fingerprint"`
	// Root is the first root.json, byte for byte: what a customer's operator is given.
	Root []byte `json:"root"`
	// Roles are those that sign, root first.
	Roles []TrustRole `json:"roles"`
}

// TrustRole is one signing role.
type TrustRole struct {
	Name      string    `json:"name"`
	Version   int64     `json:"version"`
	ExpiresAt time.Time `json:"expiresAt"`
	// KeyPresent tells whether the server holds the key. The keys of root and targets may be kept elsewhere.
	KeyPresent bool `json:"keyPresent"`
}
