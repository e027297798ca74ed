package deploy

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/uptrace/bun"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// trustRole is one signing role: its file of the signed catalog and its key are called after it.
type trustRole struct {
	name string
	// life is how long a signature lasts. It is renewed when half of it is over.
	life time.Duration
	// online tells that the server signs with it in daily work, so that its key has to stay.
	online bool
}

// trustRoles are in the order in which they sign: each one's file names versions of those before it.
//
// A timestamp lasts a day: for so long may somebody between server and customer hide a newer release unnoticed.
func trustRoles() []trustRole {
	const day = 24 * time.Hour
	return []trustRole{
		{name: metadata.ROOT, life: 5 * 365 * day},
		{name: metadata.TARGETS, life: 5 * 365 * day},
		{name: catalog.RoleReleases, life: 90 * day, online: true},
		{name: catalog.RoleChannels, life: 30 * day, online: true},
		{name: metadata.SNAPSHOT, life: 30 * day, online: true},
		{name: metadata.TIMESTAMP, life: day, online: true},
	}
}

func roleOf(name string) trustRole {
	for _, each := range trustRoles() {
		if each.name == name {
			return each
		}
	}
	return trustRole{name: name}
}

type metadataRecord struct {
	bun.BaseModel `bun:"table:trust_metadata"`

	Role    string `bun:"role,pk"`
	Version int64  `bun:"version,pk"`
	Body    []byte `bun:"body"`
}

type targetRecord struct {
	bun.BaseModel `bun:"table:trust_targets"`

	Path   string `bun:"path,pk"`
	Digest string `bun:"digest,pk"`
	Body   []byte `bun:"body"`
}

func (s *Server) trustFolder() string { return filepath.Join(s.config.DataDir, "trust") }

// initTrust makes the keys and the first signed catalog. A catalog that exists stays as it is: a new root would lock
// out every customer who has the old one.
func (s *Server) initTrust(ctx context.Context) (admin.Trust, bool, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if shown, err := s.showTrust(ctx); err == nil || fault.Reason(err, "") != "TrustNotFound" {
		return shown, false, err
	}
	if _, err := os.Stat(s.trustFolder()); !errors.Is(err, fs.ErrNotExist) {
		return admin.Trust{}, false, &fault.Error{
			Reason: "TrustKeysExist", Op: "make signing keys", Err: errors.New("the folder of signing keys exists, but not the catalog that they signed"),
			Hint: "Restore the database that belongs to these keys, or move the folder trust away and give every customer the new root.",
		}
	}
	keys := make(map[string]ed25519.PrivateKey, len(trustRoles()))
	for _, role := range trustRoles() {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return admin.Trust{}, false, fmt.Errorf("make key of role %s: %w", role.name, err)
		}
		keys[role.name] = private
	}
	if err := s.storeTrustKeys(keys); err != nil {
		return admin.Trust{}, false, err
	}
	err := s.store.write.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		signing := &signing{tx: tx, keys: keys, now: s.now().UTC()}
		if err := signing.firstRoot(ctx); err != nil {
			return err
		}
		return signing.update(ctx)
	})
	if err != nil {
		return admin.Trust{}, false, err
	}
	s.logger.Info("signed catalog made")
	shown, err := s.showTrust(ctx)
	return shown, true, err
}

// storeTrustKeys writes all keys into a folder that appears complete or not at all.
func (s *Server) storeTrustKeys(keys map[string]ed25519.PrivateKey) error {
	folder := s.trustFolder() + ".new"
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("store signing keys: %w", err)
	}
	for name, key := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return fmt.Errorf("encode key of role %s: %w", name, err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if err := writeSecret(filepath.Join(folder, name+".pem"), redact.Secret(text)); err != nil {
			return fmt.Errorf("store key of role %s: %w", name, err)
		}
	}
	if err := os.Rename(folder, s.trustFolder()); err != nil {
		return fmt.Errorf("store signing keys: %w", err)
	}
	return syncFolder(s.config.DataDir)
}

// trustKeys reads the keys that are here. One that was moved away for safety is left out.
func (s *Server) trustKeys() (map[string]ed25519.PrivateKey, error) {
	keys := map[string]ed25519.PrivateKey{}
	for _, role := range trustRoles() {
		text, err := readSecret(filepath.Join(s.trustFolder(), role.name+".pem"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read key of role %s: %w", role.name, err)
		}
		block, _ := pem.Decode([]byte(text.Reveal()))
		if block == nil {
			return nil, fmt.Errorf("read key of role %s: it is no PEM file", role.name)
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read key of role %s: %w", role.name, err)
		}
		key, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("read key of role %s: it is no Ed25519 key", role.name)
		}
		keys[role.name] = key
	}
	return keys, nil
}

// signChanges brings the signed catalog up to what tx has changed. Without a catalog it does nothing. Publishing and
// promoting fail when it fails: a release that customers cannot verify must not be offered.
func (s *Server) signChanges(ctx context.Context, tx bun.Tx) error {
	if _, err := newestMetadata(ctx, tx, metadata.ROOT); errors.Is(err, errNoRecord) {
		return nil
	} else if err != nil {
		return err
	}
	keys, err := s.trustKeys()
	if err != nil {
		return err
	}
	return (&signing{tx: tx, keys: keys, now: s.now().UTC()}).update(ctx)
}

// keepSigned renews signatures before they end, until ctx ends.
func (s *Server) keepSigned(ctx context.Context) {
	again := time.NewTicker(renewEvery)
	defer again.Stop()
	for {
		if err := s.renew(ctx); err != nil && ctx.Err() == nil {
			s.logger.Error("signatures could not be renewed", "error", err.Error(), "hint", fault.Hint(err))
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// renewEvery is how often signatures are looked at; the shortest one lasts a day.
const renewEvery = 10 * time.Minute

func (s *Server) renew(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.store.write.RunInTx(ctx, nil, s.signChanges)
}

// showTrust describes the signed catalog.
func (s *Server) showTrust(ctx context.Context) (admin.Trust, error) {
	root, err := find[metadataRecord](ctx, s.store.write, "role = ? AND version = 1", metadata.ROOT)
	if errors.Is(err, errNoRecord) {
		return admin.Trust{}, notFound("TrustNotFound", "find signed catalog", "this server signs nothing", "Make the keys: deploy-server trust init.")
	}
	if err != nil {
		return admin.Trust{}, err
	}
	sum := sha256.Sum256(root.Body)
	shown := admin.Trust{Fingerprint: hex.EncodeToString(sum[:]), Root: root.Body}
	keys, err := s.trustKeys()
	if err != nil {
		return admin.Trust{}, err
	}
	for _, role := range trustRoles() {
		newest, err := newestMetadata(ctx, s.store.write, role.name)
		if err != nil {
			return admin.Trust{}, fmt.Errorf("read metadata of role %s: %w", role.name, err)
		}
		expires, err := expiryOf(newest.Body)
		if err != nil {
			return admin.Trust{}, err
		}
		_, here := keys[role.name]
		shown.Roles = append(shown.Roles, admin.TrustRole{Name: role.name, Version: newest.Version, ExpiresAt: expires, KeyPresent: here})
	}
	return shown, nil
}

func publicKey(private ed25519.PrivateKey) (*metadata.Key, error) {
	var public crypto.PublicKey = private.Public()
	return metadata.KeyFromPublicKey(public)
}
