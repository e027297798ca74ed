package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/kubewandb/kubewandb/internal/deploy/admin"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/license"
	"github.com/kubewandb/kubewandb/internal/redact"
)

// licenseUser is the user name under which operators send their licence.
const licenseUser = "license"

var errRevoked = errors.New("the licence was revoked")

// basicLicense reads the licence of a request. An empty password counts as none.
func basicLicense(r *http.Request) (token redact.Secret, present bool, err error) {
	if r.Header.Get("Authorization") == "" {
		return "", false, nil
	}
	user, password, ok := r.BasicAuth()
	if !ok || user != licenseUser {
		return "", false, &fault.Error{
			Reason: reasonLicenseInvalid, Op: "read licence", Err: errors.New("the request carries other credentials than a licence"),
			Hint: "Use HTTP Basic authentication with the user name \"license\" and the licence as password.",
		}
	}
	return redact.Secret(password), password != "", nil
}

// refusedLicense turns a fault of the licence package into the protocol's two.
func refusedLicense(err error) error {
	reason, hint := reasonLicenseInvalid, fault.Hint(err)
	if fault.Reason(err, "") == license.ReasonExpired {
		reason = reasonLicenseExpired
	}
	if fault.Reason(err, "") == license.ReasonIssuerUnknown {
		hint = "The licence was issued for another deploy server. Use the licence that this vendor issued."
	}
	return &fault.Error{Reason: reason, Op: "check licence", Err: errors.Unwrap(err), Hint: hint}
}

// revocations holds the IDs of revoked licences in memory, where every request looks.
type revocations struct {
	mu  sync.RWMutex
	ids map[string]bool
}

func newRevocations() *revocations { return &revocations{ids: map[string]bool{}} }

func (r *revocations) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids[id] = true
}

func (r *revocations) check(claims *license.Claims) error {
	if claims == nil {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.ids[claims.ID] {
		return nil
	}
	return &fault.Error{Reason: reasonLicenseRevoked, Op: "check licence", Err: errRevoked, Hint: "Ask the vendor for a new licence. What is installed keeps running."}
}

func (s *Server) loadRevocations(ctx context.Context) error {
	records, err := list[licenseRecord](ctx, s.store.write, "id")
	if err != nil {
		return err
	}
	for _, each := range records {
		if each.RevokedAt != 0 {
			s.revoked.add(each.ID)
		}
	}
	return nil
}

// issueLicense signs a licence and remembers that it exists; the token is in the answer only.
func (s *Server) issueLicense(ctx context.Context, wanted admin.NewLicense) (admin.IssuedLicense, error) {
	now := s.now().UTC().Truncate(time.Second)
	wanted.Customer = strings.TrimSpace(wanted.Customer)
	if wanted.Channel == "" {
		wanted.Channel = license.DefaultChannel
	}
	switch _, exists := s.board.look(wanted.Channel); {
	case wanted.Customer == "" || len(wanted.Customer) > 200:
		return admin.IssuedLicense{}, invalid("issue licence", "the customer must have 1 to 200 characters")
	case !wanted.ExpiresAt.After(now):
		return admin.IssuedLicense{}, invalid("issue licence", "the expiry must lie in the future")
	case !exists:
		return admin.IssuedLicense{}, noChannel(wanted.Channel)
	}
	claims := license.Claims{
		Issuer: strings.TrimRight(s.external.String(), "/"), Customer: wanted.Customer, ID: uuid.NewString(), IssuedAt: now,
		ExpiresAt: wanted.ExpiresAt.UTC().Truncate(time.Second), Channel: wanted.Channel, Entitlements: wanted.Entitlements,
	}
	token, err := license.Issue(claims, s.keys.signing)
	if err != nil {
		return admin.IssuedLicense{}, invalid("issue licence", err.Error())
	}
	entitlements, err := json.Marshal(wanted.Entitlements)
	if err != nil {
		return admin.IssuedLicense{}, fmt.Errorf("encode entitlements: %w", err)
	}
	record := licenseRecord{
		ID: claims.ID, Customer: claims.Customer, Channel: claims.Channel, Entitlements: entitlements,
		IssuedAt: stamp(claims.IssuedAt), ExpiresAt: stamp(claims.ExpiresAt),
	}
	if err := insert(ctx, s.store.write, &record); err != nil {
		return admin.IssuedLicense{}, err
	}
	document, err := record.document()
	if err != nil {
		return admin.IssuedLicense{}, err
	}
	s.logger.Info("licence issued", "licenseID", claims.ID, "customer", claims.Customer, "channel", claims.Channel)
	return admin.IssuedLicense{License: document, Token: token}, nil
}

func (s *Server) listLicenses(ctx context.Context) ([]admin.License, error) {
	records, err := list[licenseRecord](ctx, s.store.read, "issued_at, id")
	if err != nil {
		return nil, err
	}
	documents := make([]admin.License, 0, len(records))
	for _, each := range records {
		document, err := each.document()
		if err != nil {
			return nil, err
		}
		document.LastSeen = s.contacts.of(each.ID)
		documents = append(documents, document)
	}
	return documents, nil
}

// revokeLicense ends a licence at once: requests that are held for it are answered with 403.
func (s *Server) revokeLicense(ctx context.Context, id string, why admin.Revocation) (admin.License, error) {
	if err := s.store.revoke(ctx, id, actor(why.By), bounded(why.Reason), s.now()); err != nil {
		return admin.License{}, err
	}
	record, err := find[licenseRecord](ctx, s.store.write, "id = ?", id)
	if errors.Is(err, errNoRecord) {
		return admin.License{}, notFound("LicenseNotFound", "find licence", "no licence has this ID", "List the licences: deploy-server license list.")
	}
	if err != nil {
		return admin.License{}, err
	}
	s.revoked.add(id)
	s.board.wakeAll()
	s.logger.Info("licence revoked", "licenseID", id, "customer", record.Customer)
	return record.document()
}

// contacts remembers the latest request of each licence, for as long as the server runs.
type contacts struct {
	mu   sync.Mutex
	byID map[string]*admin.Contact
}

func newContacts() *contacts { return &contacts{byID: map[string]*admin.Contact{}} }

func (c *contacts) note(claims *license.Claims, userAgent string, has admin.Promotion, waiting bool, at time.Time) {
	if claims == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[claims.ID] = &admin.Contact{
		At: at.UTC(), UserAgent: bounded(userAgent), ReleaseID: has.ReleaseID, ReleaseName: has.ReleaseName, Waiting: waiting,
	}
}

func (c *contacts) left(claims *license.Claims) {
	if claims == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if contact, ok := c.byID[claims.ID]; ok {
		contact.Waiting = false
	}
}

func (c *contacts) of(id string) *admin.Contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	contact, ok := c.byID[id]
	if !ok {
		return nil
	}
	known := *contact
	return &known
}
