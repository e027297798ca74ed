// Package redact holds the type of every credential in this project: a string that refuses to print itself.
//
// A log line, an error text, a JSON document or a %v of a struct shows the mask; only an explicit Reveal gives the
// value, so that a search for Reveal lists every place where a credential leaves the program.
package redact

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask is shown in place of a secret value.
const Mask = "[redacted]"

// Secret is a credential. The zero value is "no credential" and prints as the empty string.
type Secret string

var (
	_ fmt.Formatter  = Secret("")
	_ slog.LogValuer = Secret("")
)

// Reveal returns the value itself, for the one call that needs it.
func (s Secret) Reveal() string { return string(s) }

// String returns the mask, or "" where there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Mask
}

// Format makes every fmt verb print the mask.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// GoString keeps %#v from printing the value.
func (s Secret) GoString() string { return s.String() }

// MarshalText makes JSON, YAML and XML encoders write the mask.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the value as it stands, so that a Secret can be decoded from configuration.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// LogValue makes slog write the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
