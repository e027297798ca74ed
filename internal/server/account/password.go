package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"

	"github.com/kubewandb/kubewandb/internal/redact"
)

// Cost of a hash: the least that OWASP recommends for argon2id, about 30 ms of one core and 19 MiB.
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16

	// Stored hashes are trusted up to these costs, so that a damaged row cannot take all memory.
	argonMaxMemory = 256 * 1024
	argonMaxTime   = 16

	// hashesAtOnce bounds the memory that sign-ins take together. Others wait for their turn.
	hashesAtOnce = 2
)

// hasher makes and checks hashes of passwords.
type hasher struct {
	turns *semaphore.Weighted
	// decoy is checked for users that do not exist or have no password, so that they cost as much as others.
	decoy string
}

func newHasher() *hasher {
	salt, key := make([]byte, argonSalt), make([]byte, argonKey)
	_, _ = rand.Read(salt) // never fails
	_, _ = rand.Read(key)
	return &hasher{turns: semaphore.NewWeighted(hashesAtOnce), decoy: encodeHash(salt, key)}
}

func (h *hasher) hash(ctx context.Context, password redact.Secret) (string, error) {
	if err := h.turns.Acquire(ctx, 1); err != nil {
		return "", fmt.Errorf("wait to hash a password: %w", err)
	}
	defer h.turns.Release(1)
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt)
	return encodeHash(salt, argon2.IDKey([]byte(password.Reveal()), salt, argonTime, argonMemory, argonThreads, argonKey)), nil
}

// verify tells whether a password belongs to a hash, and whether the hash was made at another cost than today's. An empty
// hash belongs to no password.
func (h *hasher) verify(ctx context.Context, hash string, password redact.Secret) (ok, outdated bool, err error) {
	if err := h.turns.Acquire(ctx, 1); err != nil {
		return false, false, fmt.Errorf("wait to check a password: %w", err)
	}
	defer h.turns.Release(1)
	known := hash != ""
	if !known {
		hash = h.decoy
	}
	parsed, err := decodeHash(hash)
	if err != nil {
		return false, false, err
	}
	key := argon2.IDKey([]byte(password.Reveal()), parsed.salt, parsed.time, parsed.memory, parsed.threads, uint32(len(parsed.key)))
	same := subtle.ConstantTimeCompare(key, parsed.key) == 1
	return same && known, parsed.outdated(), nil
}

type decodedHash struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

func (d decodedHash) outdated() bool {
	return d.memory != argonMemory || d.time != argonTime || d.threads != argonThreads || len(d.key) != argonKey
}

func encodeHash(salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads, b64(salt), b64(key))
}

// decodeHash reads the form that encodeHash writes.
func decodeHash(hash string) (decodedHash, error) {
	var d decodedHash
	failure := func(what string) (decodedHash, error) {
		return decodedHash{}, fmt.Errorf("read a password hash: %s", what)
	}
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return failure("not argon2id")
	}
	if parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return failure("unknown version")
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &d.memory, &d.time, &d.threads); err != nil || n != 3 {
		return failure("unreadable cost")
	}
	if d.memory > argonMaxMemory || d.time < 1 || d.time > argonMaxTime || d.threads < 1 {
		return failure("cost out of bounds")
	}
	var saltErr, keyErr error
	d.salt, saltErr = base64.RawStdEncoding.DecodeString(parts[4])
	d.key, keyErr = base64.RawStdEncoding.DecodeString(parts[5])
	if saltErr != nil || keyErr != nil || len(d.salt) < 8 || len(d.key) < 16 || len(d.key) > 64 {
		return failure("unreadable salt or key")
	}
	return d, nil
}
