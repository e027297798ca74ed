package blob

import (
	"errors"
	"time"
)

const (
	// DefaultExpiry is the life of a signed URL: a client may hold one through hours of retries.
	DefaultExpiry = 24 * time.Hour
	// MaxExpiry is what every store takes.
	MaxExpiry = 7 * 24 * time.Hour
	// MaxParts is how many parts an upload may have in every store.
	MaxParts = 10_000
)

// ErrNotFound says that there is no object of a key, or no upload of an id.
var ErrNotFound = errors.New("there is no such object")

// Reasons of errors.
const (
	ReasonConfigInvalid = "BucketConfigurationInvalid"
	ReasonNotFound      = "ObjectNotFound"
	ReasonKeyInvalid    = "ObjectKeyInvalid"
	// ReasonMismatch: bytes have another size or MD5 than announced, or parts of an upload are missing.
	ReasonMismatch = "ObjectMismatch"
	// ReasonMissing: there is no such bucket.
	ReasonMissing = "BucketMissing"
	// ReasonForbidden: the store refuses these credentials.
	ReasonForbidden = "BucketForbidden"
	// ReasonUnreachable: the store does not answer. It may do so later.
	ReasonUnreachable = "BucketUnreachable"
	// ReasonFailed: the store answered with another error. It may pass.
	ReasonFailed = "BucketFailed"
)

// Object is what a store tells about bytes that it keeps.
type Object struct {
	Key  string
	Size int64
	// MD5 is nil where the store does not know it, as after an upload in parts.
	MD5 []byte
	// ETag is as the store writes it, with its quotes; Stat fills it, Put and Get may leave it empty.
	ETag        string
	ContentType string
	Modified    time.Time
}

// PutOptions describe bytes to come.
type PutOptions struct {
	// ContentType is kept with the bytes; "" means application/octet-stream.
	ContentType string
	// MD5 is checked where it is given.
	MD5 []byte
	// Expiry is the life of a signed URL; 0 means DefaultExpiry.
	Expiry time.Duration
}

// GetOptions shape the answer to a signed URL.
type GetOptions struct {
	// Expiry is the life of the URL; 0 means DefaultExpiry.
	Expiry time.Duration
	// ContentType and Disposition replace those that are stored; "" leaves them.
	ContentType string
	Disposition string
}

// SignedPut is an upload that anybody may make until it expires.
type SignedPut struct {
	URL string
	// Headers have to be sent with it, as "Key:Value". Never nil.
	Headers []string
}

// Part is one part of an upload, as whoever uploaded it says.
type Part struct {
	// Number counts from 1 to MaxParts.
	Number int
	// MD5 is compared with what the store received, where both are known.
	MD5 []byte
}

func expiryOf(d time.Duration) time.Duration {
	if d <= 0 {
		return DefaultExpiry
	}
	return min(d, MaxExpiry)
}
