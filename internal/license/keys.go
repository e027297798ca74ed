package license

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/kubewandb/kubewandb/internal/redact"
)

const (
	maxJWKSBytes = 1 << 20
	pemType      = "PRIVATE KEY"
)

// SigningKey signs licences. Its ID is the RFC 7638 thumbprint of the public half, so that one key has one name
// wherever it is loaded. The zero value cannot sign.
type SigningKey struct {
	id      string
	private ed25519.PrivateKey
}

// GenerateKey makes a new key from the system's randomness.
func GenerateKey() (SigningKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return SigningKey{}, fmt.Errorf("generate licence key: %w", err)
	}
	return newSigningKey(private), nil
}

// ParseSigningKey reads a PKCS #8 PEM block that holds an Ed25519 key, as PEM writes it.
func ParseSigningKey(text redact.Secret) (SigningKey, error) {
	block, _ := pem.Decode([]byte(text.Reveal()))
	if block == nil || block.Type != pemType {
		return SigningKey{}, fmt.Errorf("parse licence key: no PEM block of type %q", pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return SigningKey{}, fmt.Errorf("parse licence key: %w", err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return SigningKey{}, fmt.Errorf("parse licence key: it is a %T, want Ed25519", parsed)
	}
	return newSigningKey(private), nil
}

func newSigningKey(private ed25519.PrivateKey) SigningKey {
	public, _ := private.Public().(ed25519.PublicKey)
	return SigningKey{id: thumbprint(public), private: private}
}

// ID is the name that tokens carry in their "kid" header.
func (k SigningKey) ID() string { return k.id }

// Public returns the public half.
func (k SigningKey) Public() ed25519.PublicKey {
	public, _ := k.private.Public().(ed25519.PublicKey)
	return public
}

// PEM returns the key as a PKCS #8 PEM block.
func (k SigningKey) PEM() (redact.Secret, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return "", fmt.Errorf("encode licence key: %w", err)
	}
	return redact.Secret(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})), nil
}

// KeySet holds the public keys of vendors by key ID. A nil KeySet knows nobody. It is immutable.
type KeySet struct {
	keys map[string]ed25519.PublicKey
}

// NewKeySet returns the set of the public halves of keys.
func NewKeySet(keys ...SigningKey) *KeySet {
	set := &KeySet{keys: make(map[string]ed25519.PublicKey, len(keys))}
	for _, key := range keys {
		set.keys[key.ID()] = key.Public()
	}
	return set
}

// Len is the number of keys.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

func (s *KeySet) lookup(id string) (ed25519.PublicKey, bool) {
	if s == nil {
		return nil, false
	}
	key, ok := s.keys[id]
	return key, ok
}

// jwk is one Ed25519 key of a JWKS (RFC 7517, RFC 8037).
type jwk struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	ID        string `json:"kid,omitempty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
}

type jwks struct {
	Keys []jwk `json:"keys"`
}

// JWKS returns the set as a JSON Web Key Set document, keys in order of their ID.
func (s *KeySet) JWKS() ([]byte, error) {
	document := jwks{Keys: []jwk{}}
	if s != nil {
		for _, id := range slices.SortedFunc(maps.Keys(s.keys), cmp.Compare[string]) {
			document.Keys = append(document.Keys, jwk{
				Type: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(s.keys[id]),
				ID: id, Use: "sig", Algorithm: "EdDSA",
			})
		}
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	return text, nil
}

// ParseJWKS reads a JSON Web Key Set. Keys of other types or uses are passed over, as RFC 7517 asks; a key without
// "kid" goes by its thumbprint. A document without one usable key is an error, for it can only be a mistake.
func ParseJWKS(document []byte) (*KeySet, error) {
	if len(document) > maxJWKSBytes {
		return nil, fmt.Errorf("parse key set: it has %d bytes, at most %d are read", len(document), maxJWKSBytes)
	}
	var parsed jwks
	decoder := json.NewDecoder(bytes.NewReader(document))
	if err := decoder.Decode(&parsed); err != nil {
		return nil, fmt.Errorf("parse key set: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("parse key set: something follows the document")
	}
	set := &KeySet{keys: make(map[string]ed25519.PublicKey, len(parsed.Keys))}
	for i, key := range parsed.Keys {
		if key.Type != "OKP" || key.Curve != "Ed25519" || (key.Use != "" && key.Use != "sig") {
			continue
		}
		public, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil || len(public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("parse key set: key %d: x is not an Ed25519 public key", i)
		}
		id := cmp.Or(key.ID, thumbprint(public))
		if _, exists := set.keys[id]; exists {
			return nil, fmt.Errorf("parse key set: two keys are called %q", id)
		}
		set.keys[id] = public
	}
	if len(set.keys) == 0 {
		return nil, errors.New("parse key set: it holds no Ed25519 key")
	}
	return set, nil
}

// thumbprint is the RFC 7638 name of an Ed25519 key: members in lexical order, no white space.
func thumbprint(public ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
