// Package catalog holds the release document: what a vendor publishes and a customer's operator installs.
//
// Both sides use the same parser and the same canonical bytes, so that an ETag, a signature and a stored copy agree.
// The package is pure.
package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// MaxDocumentBytes bounds a release document, on the wire and at rest.
const MaxDocumentBytes = 8 << 20

// Keys of Release.Metadata.
const (
	KeyChannelID           = "channelId"
	KeyChannelName         = "channelName"
	KeyChannelInheritsFrom = "channelInheritsFrom"
	KeyReleaseID           = "releaseId"
	KeyReleaseName         = "releaseName"
	KeyReleaseCreatedAt    = "releaseCreatedAt"
)

// Release is one release as a channel offers it.
type Release struct {
	// Metadata describes the release and the channel that offered it; see the Key constants. It may be nil.
	Metadata map[string]string
	// Chart is the chart descriptor: {path}, {url,version} with an oci:// URL, or {url,name,version}. Further keys are kept.
	Chart map[string]any
	// Values are the Helm values of the release. Whole numbers are int64, other numbers float64. It may be nil.
	Values map[string]any
}

// ID returns the release's identity, or "" for a document of a server that states none.
func (r *Release) ID() string { return r.Metadata[KeyReleaseID] }

// Name returns what people call the release, for example "v1.2.0".
func (r *Release) Name() string { return r.Metadata[KeyReleaseName] }

// Channel returns the name of the channel that offered it, or "".
func (r *Release) Channel() string { return r.Metadata[KeyChannelName] }

// CreatedAt returns when the release was published, or the zero time where the document does not say.
func (r *Release) CreatedAt() time.Time {
	created, err := time.Parse(time.RFC3339, r.Metadata[KeyReleaseCreatedAt])
	if err != nil {
		return time.Time{}
	}
	return created.UTC()
}

// ETag returns the strong HTTP entity tag of the canonical bytes, quotes included.
func (r *Release) ETag() (string, error) {
	document, err := r.Canonical()
	if err != nil {
		return "", err
	}
	return ETagOf(document), nil
}

// ETagOf returns the strong HTTP entity tag of document, quotes included.
func ETagOf(document []byte) string {
	sum := sha256.Sum256(document)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// OfNoChannel returns a copy without what the channel added: the same for every channel that offers the release, and
// therefore what is signed. The maps below Metadata are shared with r.
func (r *Release) OfNoChannel() *Release {
	metadata := make(map[string]string, len(r.Metadata))
	for key, value := range r.Metadata {
		switch key {
		case KeyChannelID, KeyChannelName, KeyChannelInheritsFrom:
		default:
			metadata[key] = value
		}
	}
	return &Release{Metadata: metadata, Chart: r.Chart, Values: r.Values}
}
