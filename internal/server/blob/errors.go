package blob

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/kubewandb/kubewandb/internal/fault"
)

// maxCause bounds what is repeated of a store's own words.
const maxCause = 300

func keyError(key string, err error) error {
	return &fault.Error{Reason: ReasonKeyInvalid, Op: "name object " + quoteKey(key), Err: err}
}

func mismatch(key string, err error) error {
	return &fault.Error{Reason: ReasonMismatch, Op: "store object " + quoteKey(key), Err: err}
}

func quoteKey(key string) string {
	if len(key) > 200 {
		key = key[:200] + "…"
	}
	return strings.ToValidUTF8(key, "?")
}

// failed makes a fault of what a store answered. What it repeats of the answer is bounded and has no URL: a signed one is a
// secret.
func (b *Bucket) failed(operation, key string, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	op := operation + " object " + quoteKey(key)
	if errors.Is(err, ErrNotFound) {
		return &fault.Error{Reason: ReasonNotFound, Op: op, Err: ErrNotFound}
	}
	if errors.Is(err, errMismatch) {
		return &fault.Error{Reason: ReasonMismatch, Op: op, Err: err}
	}
	reason, hint := b.driver.explain(err)
	switch {
	case reason != "":
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), isNetwork(err):
		reason, hint = ReasonUnreachable, "Check that this program reaches the "+b.place.String()+": its host name, port, proxy and network policy."
		if isAuthority(err) {
			hint = "Give the authority that signed the store's certificate to this program, with global.customCACerts in the chart."
		}
	default:
		reason = ReasonFailed
	}
	if reason == ReasonNotFound {
		return &fault.Error{Reason: reason, Op: op, Err: ErrNotFound}
	}
	if reason == ReasonMismatch {
		return &fault.Error{Reason: reason, Op: op, Err: cause(err)}
	}
	retry := reason == ReasonUnreachable || reason == ReasonFailed
	return &fault.Error{Reason: reason, Op: op + " in " + b.place.String(), Err: cause(err), Hint: hint, Retry: retry}
}

// causeError keeps the chain for errors.Is, and shows little of it.
type causeError struct {
	text string
	err  error
}

func (c *causeError) Error() string { return c.text }
func (c *causeError) Unwrap() error { return c.err }

// cause shortens an error to one line without URLs.
func cause(err error) error {
	var inURL *url.Error
	text := err.Error()
	if errors.As(err, &inURL) {
		text = inURL.Err.Error()
	} else if said := said(err); said != "" {
		text = said
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxCause {
		text = text[:maxCause] + "…"
	}
	return &causeError{text: strings.ToValidUTF8(text, "?"), err: err}
}

func isNetwork(err error) bool {
	var network net.Error
	var dns *net.DNSError
	return errors.As(err, &network) || errors.As(err, &dns) || isAuthority(err)
}

func isAuthority(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid)
}
