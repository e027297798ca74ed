package license

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	sigsjson "sigs.k8s.io/json"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// maxTokenBytes bounds what is parsed; HTTP servers refuse headers much beyond it anyway.
const maxTokenBytes = 16 << 10

// wireClaims is the payload of a token of ours.
type wireClaims struct {
	jwt.RegisteredClaims
	Channel      string         `json:"channel,omitempty"`
	Entitlements map[string]any `json:"entitlements,omitempty"`
}

// Issue signs claims with key. Customer, ID and ExpiresAt are required; times are cut to whole seconds.
func Issue(claims Claims, key SigningKey) (redact.Secret, error) {
	switch {
	case key.private == nil:
		return "", errors.New("issue licence: there is no signing key")
	case claims.Customer == "":
		return "", errors.New("issue licence: the customer is missing")
	case claims.ID == "":
		return "", errors.New("issue licence: the licence ID is missing")
	case claims.ExpiresAt.IsZero():
		return "", errors.New("issue licence: the expiry is missing")
	}
	payload := wireClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: claims.Issuer, Subject: claims.Customer, ID: claims.ID,
			ExpiresAt: jwt.NewNumericDate(claims.ExpiresAt),
		},
		Channel:      claims.Channel,
		Entitlements: claims.Entitlements,
	}
	if !claims.IssuedAt.IsZero() {
		payload.IssuedAt = jwt.NewNumericDate(claims.IssuedAt)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, payload)
	token.Header["kid"] = key.id
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("issue licence: %w", err)
	}
	if len(signed) > maxTokenBytes {
		return "", fmt.Errorf("issue licence: the token has %d bytes, at most %d are accepted", len(signed), maxTokenBytes)
	}
	return redact.Secret(signed), nil
}

// Verify checks token against keys at the time now, allowing ClockLeeway, and returns its claims. Every failure is a
// *fault.Error with one of this package's reasons; none of them carries the token.
func Verify(token redact.Secret, keys *KeySet, now time.Time) (*Claims, error) {
	claims, err := Peek(token)
	if err != nil {
		return nil, err
	}
	public, err := signerOf(token, keys)
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(
		jwt.WithLeeway(ClockLeeway),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return now }),
	)
	_, err = parser.ParseWithClaims(token.Reveal(), &wireClaims{}, func(*jwt.Token) (any, error) { return public, nil })
	if err != nil {
		return nil, classify(err)
	}
	if claims.Customer == "" || claims.ID == "" {
		return nil, malformed(errors.New("it names no customer or has no ID"))
	}
	return claims, nil
}

// signerOf returns the key that token's header names. It runs before the claims are judged, so that a licence of
// another vendor is IssuerUnknown whatever its claims look like.
func signerOf(token redact.Secret, keys *KeySet) (ed25519.PublicKey, error) {
	encoded, _, _ := strings.Cut(token.Reveal(), ".")
	header, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return nil, malformed(errors.New("its header is not base64"))
	}
	var named struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	if err := json.Unmarshal(header, &named); err != nil {
		return nil, malformed(errors.New("its header is not JSON"))
	}
	public, ok := keys.lookup(named.KeyID)
	if !ok {
		return nil, &fault.Error{
			Reason: ReasonIssuerUnknown, Op: "verify licence", Err: errors.New("no known key has the name in its header"),
			Hint: "Give the issuer's key set (JWKS), or ask the issuer for a licence signed with a current key.",
		}
	}
	if named.Algorithm != jwt.SigningMethodEdDSA.Alg() {
		return nil, signatureInvalid()
	}
	return public, nil
}

// Peek reads the claims of token without checking anything. It is for display, and for choosing which channel to ask
// for: nothing may be granted on its word. Claims of an unexpected kind are left empty, because other vendors' licences
// pass through here too.
func Peek(token redact.Secret) (*Claims, error) {
	if len(token) > maxTokenBytes {
		return nil, malformed(fmt.Errorf("it has %d bytes, at most %d are read", len(token), maxTokenBytes))
	}
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return nil, malformed(errors.New("it does not have three parts"))
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil, malformed(errors.New("its payload is not base64"))
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(payload, &raw); err != nil || raw == nil {
		return nil, malformed(errors.New("its payload is not a JSON object"))
	}
	claims := &Claims{
		Issuer: text(raw["iss"]), Customer: text(raw["sub"]), ID: text(raw["jti"]), Channel: text(raw["channel"]),
		IssuedAt: numericDate(raw["iat"]), ExpiresAt: numericDate(raw["exp"]),
	}
	var entitlements map[string]any
	if sigsjson.UnmarshalCaseSensitivePreserveInts(raw["entitlements"], &entitlements) == nil {
		claims.Entitlements = entitlements
	}
	return claims, nil
}

func text(raw json.RawMessage) string {
	var value string
	if json.Unmarshal(raw, &value) != nil {
		return ""
	}
	return value
}

// numericDate reads seconds since 1970, whole or with a fraction. Dates that no calendar holds are left out.
func numericDate(raw json.RawMessage) time.Time {
	const year10000 = 253402300800
	var seconds float64
	if json.Unmarshal(raw, &seconds) != nil || seconds <= 0 || seconds >= year10000 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// classify turns an error of the JWT library into a fault. The library checks the signature before the dates, so an
// expired token with a wrong signature is SignatureInvalid.
func classify(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return signatureInvalid()
	case errors.Is(err, jwt.ErrTokenExpired):
		return &fault.Error{
			Reason: ReasonExpired, Op: "verify licence", Err: jwt.ErrTokenExpired,
			Hint: "Ask the vendor for a new licence. What is installed keeps running.",
		}
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return &fault.Error{
			Reason: ReasonNotYetValid, Op: "verify licence", Err: jwt.ErrTokenNotValidYet, Retry: true,
			Hint: "Check the clock of this machine, else wait until the licence begins.",
		}
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return malformed(jwt.ErrTokenRequiredClaimMissing)
	default:
		return malformed(errors.New("it is not a licence token"))
	}
}

func signatureInvalid() error {
	return &fault.Error{
		Reason: ReasonSignatureInvalid, Op: "verify licence", Err: jwt.ErrTokenSignatureInvalid,
		Hint: "The licence was changed after it was signed. Copy it again from where it was issued.",
	}
}

func malformed(cause error) error {
	return &fault.Error{
		Reason: ReasonMalformed, Op: "verify licence", Err: cause,
		Hint: "A licence is one line of three parts separated by dots. Copy it again, without quotes or line breaks.",
	}
}
