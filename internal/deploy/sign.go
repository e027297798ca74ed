package deploy

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/uptrace/bun"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// keptVersions is how many older versions of a role's file stay, for clients that are in the middle of an update.
const keptVersions = 10

// signing writes new versions of the signed catalog within one transaction, so that what is signed and what is offered
// change together.
type signing struct {
	tx   bun.Tx
	keys map[string]ed25519.PrivateKey
	now  time.Time
}

// firstRoot writes version 1 of root, and of targets with its two delegations.
func (g *signing) firstRoot(ctx context.Context) error {
	root := metadata.Root(g.expiry(metadata.ROOT))
	for _, name := range []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP} {
		key, err := publicKey(g.keys[name])
		if err != nil {
			return fmt.Errorf("describe key of role %s: %w", name, err)
		}
		if err := root.Signed.AddKey(key, name); err != nil {
			return fmt.Errorf("add key of role %s: %w", name, err)
		}
	}
	if err := sealed(ctx, g, metadata.ROOT, root, root.Signed.Version); err != nil {
		return err
	}
	targets := metadata.Targets(g.expiry(metadata.TARGETS))
	targets.Signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	for _, name := range []string{catalog.RoleReleases, catalog.RoleChannels} {
		targets.Signed.Delegations.Roles = append(targets.Signed.Delegations.Roles, metadata.DelegatedRole{
			Name: name, Threshold: 1, Terminating: true, Paths: []string{name + "/*"}, KeyIDs: []string{},
		})
		key, err := publicKey(g.keys[name])
		if err != nil {
			return fmt.Errorf("describe key of role %s: %w", name, err)
		}
		if err := targets.Signed.AddKey(key, name); err != nil {
			return fmt.Errorf("add key of role %s: %w", name, err)
		}
	}
	return sealed(ctx, g, metadata.TARGETS, targets, targets.Signed.Version)
}

// update signs whatever differs from the database or has lived half of its life. It changes nothing where nothing does.
func (g *signing) update(ctx context.Context) error {
	if err := g.renewOffline(ctx); err != nil {
		return err
	}
	if err := g.updateTargets(ctx, catalog.RoleReleases, g.addReleases); err != nil {
		return err
	}
	if err := g.updateTargets(ctx, catalog.RoleChannels, g.pointChannels); err != nil {
		return err
	}
	return g.updateSnapshot(ctx)
}

// renewOffline renews root and targets, where their keys are here.
func (g *signing) renewOffline(ctx context.Context) error {
	root, err := load(ctx, g.tx, metadata.ROOT, metadata.Root())
	if err != nil {
		return err
	}
	if g.due(metadata.ROOT, root.Signed.Expires) && g.keys[metadata.ROOT] != nil {
		root.Signed.Version++
		root.Signed.Expires = g.expiry(metadata.ROOT)
		if err := sealed(ctx, g, metadata.ROOT, root, root.Signed.Version); err != nil {
			return err
		}
	}
	targets, err := load(ctx, g.tx, metadata.TARGETS, metadata.Targets())
	if err != nil {
		return err
	}
	if g.due(metadata.TARGETS, targets.Signed.Expires) && g.keys[metadata.TARGETS] != nil {
		targets.Signed.Version++
		targets.Signed.Expires = g.expiry(metadata.TARGETS)
		return sealed(ctx, g, metadata.TARGETS, targets, targets.Signed.Version)
	}
	return nil
}

// updateTargets signs a new version of a delegated role when change has changed its targets, or when it is due.
func (g *signing) updateTargets(ctx context.Context, role string, change func(context.Context, map[string]*metadata.TargetFiles) (bool, error)) error {
	current, err := load(ctx, g.tx, role, metadata.Targets())
	first := errors.Is(err, errNoRecord)
	if err != nil && !first {
		return err
	}
	if first {
		current = metadata.Targets()
	}
	changed, err := change(ctx, current.Signed.Targets)
	if err != nil {
		return err
	}
	if !changed && !first && !g.due(role, current.Signed.Expires) {
		return nil
	}
	if !first {
		current.Signed.Version++
	}
	current.Signed.Expires = g.expiry(role)
	return sealed(ctx, g, role, current, current.Signed.Version)
}

// addReleases adds each release that is not signed yet.
func (g *signing) addReleases(ctx context.Context, targets map[string]*metadata.TargetFiles) (changed bool, err error) {
	releases, err := list[releaseRecord](ctx, g.tx, "id", "document")
	if err != nil {
		return false, err
	}
	for _, each := range releases {
		path, ok := catalog.ReleaseTarget(each.ID)
		if _, signed := targets[path]; signed || !ok {
			continue
		}
		whole, err := find[releaseRecord](ctx, g.tx, "id = ?", each.ID)
		if err != nil {
			return false, fmt.Errorf("read release %s: %w", each.ID, err)
		}
		if targets[path], err = g.target(ctx, path, whole.Document); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

// pointChannels makes each channel's pointer say what the channel offers.
func (g *signing) pointChannels(ctx context.Context, targets map[string]*metadata.TargetFiles) (changed bool, err error) {
	channels, own, err := readChannels(ctx, g.tx)
	if err != nil {
		return false, err
	}
	for name := range channels {
		path, ok := catalog.ChannelTarget(name)
		promotion, offers := resolve(name, channels, own)
		if !ok || !offers {
			continue
		}
		pointer, err := catalog.Pointer{Channel: name, ReleaseID: promotion.ReleaseID, Sequence: promotion.Sequence}.Bytes()
		if err != nil {
			return false, err
		}
		if signed, exists := targets[path]; exists && signed.VerifyLengthHashes(pointer) == nil {
			continue
		}
		if targets[path], err = g.target(ctx, path, pointer); err != nil {
			return false, err
		}
		changed = true
	}
	return changed, nil
}

// target keeps the bytes of a target under their digest and describes them.
func (g *signing) target(ctx context.Context, path string, body []byte) (*metadata.TargetFiles, error) {
	sum := sha256.Sum256(body)
	record := targetRecord{Path: path, Digest: hex.EncodeToString(sum[:]), Body: body}
	if _, err := g.tx.NewInsert().Model(&record).Ignore().Exec(ctx); err != nil {
		return nil, fmt.Errorf("store target %s: %w", path, err)
	}
	described, err := metadata.TargetFile().FromBytes(path, body, "sha256")
	if err != nil {
		return nil, fmt.Errorf("describe target %s: %w", path, err)
	}
	return described, nil
}

// updateSnapshot signs snapshot and timestamp where a version changed or where they are due.
func (g *signing) updateSnapshot(ctx context.Context) error {
	snapshot, err := load(ctx, g.tx, metadata.SNAPSHOT, metadata.Snapshot())
	first := errors.Is(err, errNoRecord)
	if err != nil && !first {
		return err
	}
	if first {
		snapshot = metadata.Snapshot()
	}
	changed := first || g.due(metadata.SNAPSHOT, snapshot.Signed.Expires)
	for _, role := range []string{metadata.TARGETS, catalog.RoleReleases, catalog.RoleChannels} {
		newest, err := newestMetadata(ctx, g.tx, role)
		if err != nil {
			return fmt.Errorf("read metadata of role %s: %w", role, err)
		}
		if before, ok := snapshot.Signed.Meta[role+".json"]; !ok || before.Version != newest.Version {
			changed = true
		}
		snapshot.Signed.Meta[role+".json"] = metadata.MetaFile(newest.Version)
	}
	if changed {
		if !first {
			snapshot.Signed.Version++
		}
		snapshot.Signed.Expires = g.expiry(metadata.SNAPSHOT)
		if err := sealed(ctx, g, metadata.SNAPSHOT, snapshot, snapshot.Signed.Version); err != nil {
			return err
		}
	}
	return g.updateTimestamp(ctx, snapshot.Signed.Version, changed)
}

func (g *signing) updateTimestamp(ctx context.Context, snapshot int64, changed bool) error {
	timestamp, err := load(ctx, g.tx, metadata.TIMESTAMP, metadata.Timestamp())
	switch {
	case errors.Is(err, errNoRecord):
		timestamp = metadata.Timestamp()
	case err != nil:
		return err
	case !changed && !g.due(metadata.TIMESTAMP, timestamp.Signed.Expires):
		return nil
	default:
		timestamp.Signed.Version++
	}
	timestamp.Signed.Expires = g.expiry(metadata.TIMESTAMP)
	timestamp.Signed.Meta["snapshot.json"] = metadata.MetaFile(snapshot)
	return sealed(ctx, g, metadata.TIMESTAMP, timestamp, timestamp.Signed.Version)
}

func (g *signing) expiry(role string) time.Time {
	return g.now.Add(roleOf(role).life).Truncate(time.Second)
}

// due tells whether half of a signature's life is over.
func (g *signing) due(role string, expires time.Time) bool {
	return expires.Sub(g.now) < roleOf(role).life/2
}

// sealed signs a new version and stores it. It is a function because methods have no type parameters.
func sealed[T metadata.Roles](ctx context.Context, g *signing, role string, document *metadata.Metadata[T], version int64) error {
	key := g.keys[role]
	if key == nil {
		return &fault.Error{
			Reason: "SigningKeyMissing", Op: "sign role " + role, Err: errors.New("its key is not in the folder trust"),
			Hint: "Put " + role + ".pem back into the folder trust of the data folder, and try again.",
		}
	}
	signer, err := signature.LoadSigner(key, crypto.Hash(0))
	if err != nil {
		return fmt.Errorf("load key of role %s: %w", role, err)
	}
	document.ClearSignatures()
	if _, err := document.Sign(signer); err != nil {
		return fmt.Errorf("sign role %s: %w", role, err)
	}
	body, err := document.ToBytes(false)
	if err != nil {
		return fmt.Errorf("encode role %s: %w", role, err)
	}
	if err := insert(ctx, g.tx, &metadataRecord{Role: role, Version: version, Body: body}); err != nil {
		return err
	}
	if role == metadata.ROOT {
		return nil // Clients walk the whole chain of roots.
	}
	_, err = g.tx.NewDelete().Model((*metadataRecord)(nil)).Where("role = ? AND version <= ?", role, version-keptVersions).Exec(ctx)
	if err != nil {
		return fmt.Errorf("drop old versions of role %s: %w", role, err)
	}
	return nil
}

// load reads the newest version of a role into empty.
func load[T metadata.Roles](ctx context.Context, db bun.IDB, role string, empty *metadata.Metadata[T]) (*metadata.Metadata[T], error) {
	newest, err := newestMetadata(ctx, db, role)
	if err != nil {
		return nil, err
	}
	read, err := empty.FromBytes(newest.Body)
	if err != nil {
		return nil, fmt.Errorf("read role %s: %w", role, err)
	}
	return read, nil
}

// newestMetadata returns the newest file of a role, or errNoRecord.
func newestMetadata(ctx context.Context, db bun.IDB, role string) (*metadataRecord, error) {
	return find[metadataRecord](ctx, db, "role = ? AND version = (SELECT MAX(version) FROM trust_metadata WHERE role = ?)", role, role)
}

// expiryOf reads when a file of any role ends.
func expiryOf(body []byte) (time.Time, error) {
	var file struct {
		Signed struct {
			Expires time.Time `json:"expires"`
		} `json:"signed"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&file); err != nil {
		return time.Time{}, fmt.Errorf("read expiry: %w", err)
	}
	return file.Signed.Expires, nil
}

// metadataFile returns a file of the signed catalog by its name: "timestamp.json" is the newest one, "7.root.json" the
// seventh. What does not exist is errNoRecord.
func metadataFile(ctx context.Context, db bun.IDB, name string) (record *metadataRecord, versioned bool, err error) {
	name, ok := strings.CutSuffix(name, ".json")
	if !ok {
		return nil, false, errNoRecord
	}
	number, role, versioned := strings.Cut(name, ".")
	if !versioned {
		record, err = newestMetadata(ctx, db, name)
		return record, false, err
	}
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, true, errNoRecord
	}
	record, err = find[metadataRecord](ctx, db, "role = ? AND version = ?", role, version)
	return record, true, err
}
