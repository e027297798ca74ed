package channel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/kubewandb/kubewandb/internal/catalog"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// Reasons of the faults that a SignedCatalog returns, beside those of this package for a server that is away.
const (
	// ReasonSignatureInvalid: the catalog or the release is not what the publisher signed.
	ReasonSignatureInvalid = "SignatureInvalid"
	// ReasonMetadataExpired: the publisher's signatures have ended; somebody may be hiding newer ones.
	ReasonMetadataExpired = "MetadataExpired"
	// ReasonRollbackDetected: the catalog, or what the server offers, is older than what was accepted before.
	ReasonRollbackDetected = "RollbackDetected"
	// ReasonUnsigned: the publisher did not sign this release or channel, or the server has no signed catalog.
	ReasonUnsigned = "Unsigned"
	// ReasonTrustRootInvalid: root.json cannot be used.
	ReasonTrustRootInvalid = "TrustRootInvalid"
)

// SignedCatalogOptions configures a SignedCatalog.
type SignedCatalogOptions struct {
	// Root is the publisher's root.json.
	Root []byte
	// Dir keeps what was accepted, so that nobody can go back behind it. It is made when absent. Each pair of root and
	// server has a folder of its own in it.
	Dir string
	// Transport and UserAgent are as in Options.
	Transport http.RoundTripper
	UserAgent string
	// Now is the time at which signatures must be good. Nil means the clock of this machine.
	Now func() time.Time
}

// SignedCatalog verifies releases against the publisher's signed catalog (The Update Framework), which it fetches from
// the deploy server. It may be used from any goroutine.
type SignedCatalog struct {
	options SignedCatalogOptions
	client  *http.Client
	// mu lets one update run at a time: they share the folder.
	mu sync.Mutex
}

var _ Verifier = (*SignedCatalog)(nil)

// NewSignedCatalog checks that Root is a usable root of trust.
func NewSignedCatalog(options SignedCatalogOptions) (*SignedCatalog, error) {
	root, err := metadata.Root().FromBytes(options.Root)
	if err == nil {
		err = root.VerifyDelegate(metadata.ROOT, root)
	}
	if err == nil && options.Dir == "" {
		err = errors.New("there is no folder to keep what was accepted")
	}
	if err != nil {
		return nil, &fault.Error{
			Reason: ReasonTrustRootInvalid, Op: "read root of trust", Err: err,
			Hint: "Give the publisher's root.json as it is; compare its fingerprint with them.",
		}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &SignedCatalog{options: options, client: newClient(options.Transport)}, nil
}

// Verify implements Verifier. It refreshes the catalog first, so that an expired or older one is noticed even when the
// release did not change.
func (c *SignedCatalog) Verify(ctx context.Context, sub Subscription, release *catalog.Release) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	trusted, err := c.refresh(ctx, sub.baseURL())
	if err != nil {
		return catalogFault("refresh signed catalog", err)
	}
	if err := checkRelease(trusted, release); err != nil {
		return err
	}
	if sub.Pin != "" {
		return nil
	}
	return checkPointer(trusted, sub.Channel(), release)
}

// refresh runs the client workflow of The Update Framework: root, timestamp, snapshot, targets, each of which is kept.
func (c *SignedCatalog) refresh(ctx context.Context, base string) (*updater.Updater, error) {
	sum := sha256.Sum256(append([]byte(base+"\n"), c.options.Root...))
	dir := filepath.Join(c.options.Dir, hex.EncodeToString(sum[:16]))
	settings, err := config.New(base+catalog.MetadataPath, c.options.Root)
	if err != nil {
		return nil, fmt.Errorf("read server URL: %w", err)
	}
	// The root that was accepted last is trusted, not the first one: it may have revoked keys of the first.
	if kept, err := os.ReadFile(filepath.Join(dir, metadata.ROOT+".json")); err == nil {
		if _, err := metadata.Root().FromBytes(kept); err == nil {
			settings.LocalTrustedRoot = kept
		}
	}
	settings.LocalMetadataDir, settings.LocalTargetsDir = dir, filepath.Join(dir, "targets")
	settings.RemoteTargetsURL = base + catalog.TargetsPath
	settings.Fetcher = &catalogFetcher{catalog: c, ctx: ctx}
	trusted, err := updater.New(settings)
	if err != nil {
		return nil, err
	}
	trusted.UnsafeSetRefTime(c.options.Now().UTC())
	return trusted, trusted.Refresh()
}

// checkRelease compares the release with the signed one of its ID.
func checkRelease(trusted *updater.Updater, release *catalog.Release) error {
	path, ok := catalog.ReleaseTarget(release.ID())
	if !ok {
		return unsigned(errors.New("the release has no ID"))
	}
	signed, err := lookUp(trusted, path)
	if err != nil {
		return err
	}
	document, err := release.SignedBytes()
	if err != nil {
		return err
	}
	if err := signed.VerifyLengthHashes(document); err != nil {
		return signatureFault("verify release "+release.ID(), errors.New("the document differs from the one that was signed"))
	}
	return nil
}

// checkPointer makes sure that the channel points at the release: else a server could go on offering an old release,
// whose own signature is good for ever.
func checkPointer(trusted *updater.Updater, channel string, release *catalog.Release) error {
	path, ok := catalog.ChannelTarget(channel)
	if !ok {
		return unsigned(fmt.Errorf("the channel %q cannot be signed", bounded(channel)))
	}
	signed, err := lookUp(trusted, path)
	if err != nil {
		return err
	}
	if signed.Length > catalog.MaxPointerBytes {
		return signatureFault("verify channel "+channel, errors.New("its pointer is too large"))
	}
	_, text, err := trusted.DownloadTarget(signed, "", "")
	if err != nil {
		return catalogFault("fetch pointer of channel "+channel, err)
	}
	pointer, err := catalog.ParsePointer(text)
	if err != nil {
		return err
	}
	if name := release.Channel(); pointer.Channel != channel || (name != "" && name != channel) {
		return signatureFault("verify channel "+channel, errors.New("the release is offered by another channel than the licence names"))
	}
	if pointer.ReleaseID != release.ID() {
		return &fault.Error{
			Reason: ReasonRollbackDetected, Op: "verify channel " + channel, Retry: true,
			Err:  errors.New("the server offers another release than the signed channel points at"),
			Hint: "This passes by itself when a release was promoted this moment. If it stays, somebody is offering an older release.",
		}
	}
	return nil
}

// lookUp finds a target in the signed catalog.
func lookUp(trusted *updater.Updater, path string) (*metadata.TargetFiles, error) {
	signed, err := trusted.GetTargetInfo(path)
	if err == nil {
		return signed, nil
	}
	var (
		download *metadata.ErrDownload
		status   *metadata.ErrDownloadHTTP
	)
	if errors.Is(err, &metadata.ErrRepository{}) || errors.As(err, &download) || errors.As(err, &status) {
		return nil, catalogFault("look up "+path, err)
	}
	var fetched *fault.Error
	if errors.As(err, &fetched) {
		return nil, fetched
	}
	return nil, unsigned(fmt.Errorf("the signed catalog does not list %s", path))
}

// catalogFault classifies an error of the update workflow. Order matters: the library's errors match their supersets.
func catalogFault(op string, err error) error {
	var (
		fetched *fault.Error
		status  *metadata.ErrDownloadHTTP
	)
	switch {
	case errors.As(err, &fetched):
		return fetched
	case errors.As(err, &status) && status.StatusCode == http.StatusNotFound:
		return unsigned(errors.New("the server has no signed catalog, or it is incomplete"))
	case errors.As(err, &status):
		return &fault.Error{
			Reason: ReasonServerError, Op: op, Err: errors.New("the server answered " + httpStatus(status.StatusCode)), Retry: true,
			Hint: "The deploy server failed; what is installed stays as it is. Ask its operator if this lasts.",
		}
	case errors.Is(err, &metadata.ErrExpiredMetadata{}):
		return &fault.Error{
			Reason: ReasonMetadataExpired, Op: op, Err: err, Retry: true,
			Hint: "Check this cluster's clock first. If it is right, the publisher has stopped signing, or somebody hides newer signatures.",
		}
	case errors.Is(err, &metadata.ErrBadVersionNumber{}):
		return &fault.Error{
			Reason: ReasonRollbackDetected, Op: op, Err: err, Retry: true,
			Hint: "The server shows an older catalog than before. Ask the publisher whether they restored a backup.",
		}
	default:
		return signatureFault(op, err)
	}
}

func signatureFault(op string, err error) error {
	return &fault.Error{
		Reason: ReasonSignatureInvalid, Op: op, Err: err,
		Hint: "Do not install it. Ask the publisher, and compare the fingerprint of root.json with them.",
	}
}

func unsigned(err error) error {
	return &fault.Error{
		Reason: ReasonUnsigned, Op: "verify release", Err: err, Retry: true,
		Hint: "Ask the publisher to sign it (deploy-server trust init), or set update.trust to TLS in the custom resource.",
	}
}

// catalogFetcher downloads files of the catalog for one update.
type catalogFetcher struct {
	catalog *SignedCatalog
	// ctx belongs to the one update that this value lives for; the library's interface has no place for it.
	ctx context.Context
}

// DownloadFile implements the fetcher of go-tuf. Failures below HTTP are *fault.Error.
func (f *catalogFetcher) DownloadFile(address string, most int64, _ time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(f.ctx, answerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, unreachable(err)
	}
	if f.catalog.options.UserAgent != "" {
		request.Header.Set("User-Agent", f.catalog.options.UserAgent)
	}
	response, err := f.catalog.client.Do(request)
	if err != nil {
		return nil, transportFault(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: response.StatusCode, URL: address}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return nil, transportFault(fmt.Errorf("read signed catalog: %w", err))
	}
	if int64(len(body)) > most {
		return nil, &metadata.ErrDownloadLengthMismatch{Msg: fmt.Sprintf("%s is longer than %d bytes", address, most)}
	}
	return body, nil
}
