package deploy

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/kubewandb/kubewandb/internal/deploy/admin"
)

// errNoRecord is returned by every look-up that finds nothing.
var errNoRecord = errors.New("no such record")

type channelRecord struct {
	bun.BaseModel `bun:"table:channels"`

	ID           string `bun:"id,pk"`
	Name         string `bun:"name"`
	InheritsFrom string `bun:"inherits_from"`
	CreatedAt    int64  `bun:"created_at"`
}

type chartRecord struct {
	bun.BaseModel `bun:"table:charts"`

	Name    string `bun:"name,pk"`
	Version string `bun:"version,pk"`
	Digest  string `bun:"digest"`
	// Metadata is Chart.yaml as JSON.
	Metadata  []byte `bun:"metadata"`
	Size      int64  `bun:"size"`
	Content   []byte `bun:"content"`
	CreatedAt int64  `bun:"created_at"`
}

type releaseRecord struct {
	bun.BaseModel `bun:"table:releases"`

	ID   string `bun:"id,pk"`
	Name string `bun:"name"`
	// Document is the canonical document without a channel: what is signed.
	Document []byte `bun:"document"`
	// ContentDigest covers what the publisher gave (name, chart, values) and not what the server added.
	ContentDigest string `bun:"content_digest"`
	CreatedAt     int64  `bun:"created_at"`
	CreatedBy     string `bun:"created_by"`
}

type promotionRecord struct {
	bun.BaseModel `bun:"table:promotions"`

	Sequence   int64  `bun:"sequence,pk,autoincrement"`
	ChannelID  string `bun:"channel_id"`
	ReleaseID  string `bun:"release_id"`
	PromotedAt int64  `bun:"promoted_at"`
	PromotedBy string `bun:"promoted_by"`
}

type licenseRecord struct {
	bun.BaseModel `bun:"table:licenses"`

	ID            string `bun:"id,pk"`
	Customer      string `bun:"customer"`
	Channel       string `bun:"channel"`
	Entitlements  []byte `bun:"entitlements"`
	IssuedAt      int64  `bun:"issued_at"`
	ExpiresAt     int64  `bun:"expires_at"`
	RevokedAt     int64  `bun:"revoked_at"`
	RevokedBy     string `bun:"revoked_by"`
	RevokedReason string `bun:"revoked_reason"`
}

func (r licenseRecord) document() (admin.License, error) {
	license := admin.License{
		ID: r.ID, Customer: r.Customer, Channel: r.Channel, IssuedAt: moment(r.IssuedAt), ExpiresAt: moment(r.ExpiresAt),
		RevokedBy: r.RevokedBy, RevokedReason: r.RevokedReason,
	}
	if err := json.Unmarshal(r.Entitlements, &license.Entitlements); err != nil {
		return admin.License{}, fmt.Errorf("read entitlements of licence %s: %w", r.ID, err)
	}
	if r.RevokedAt != 0 {
		at := moment(r.RevokedAt)
		license.RevokedAt = &at
	}
	return license, nil
}

// insert stores one record.
func insert[R any](ctx context.Context, db bun.IDB, record *R) error {
	if _, err := db.NewInsert().Model(record).Exec(ctx); err != nil {
		return fmt.Errorf("store %T: %w", *record, err)
	}
	return nil
}

// find returns the one record that where selects, or errNoRecord.
func find[R any](ctx context.Context, db bun.IDB, where string, args ...any) (*R, error) {
	record := new(R)
	err := db.NewSelect().Model(record).Where(where, args...).Limit(1).Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, errNoRecord
	case err != nil:
		return nil, fmt.Errorf("read %T: %w", *record, err)
	}
	return record, nil
}

// list returns every record in the given order.
func list[R any](ctx context.Context, db bun.IDB, order string, omit ...string) ([]R, error) {
	var records []R
	query := db.NewSelect().Model(&records).OrderExpr(order)
	if len(omit) > 0 {
		query = query.ExcludeColumn(omit...)
	}
	if err := query.Scan(ctx); err != nil {
		return nil, fmt.Errorf("list %T: %w", *new(R), err)
	}
	return records, nil
}

// offered is a promotion together with the names that people know.
type offered struct {
	Sequence    int64  `bun:"sequence"`
	ChannelID   string `bun:"channel_id"`
	ChannelName string `bun:"channel_name"`
	ReleaseID   string `bun:"release_id"`
	ReleaseName string `bun:"release_name"`
	PromotedAt  int64  `bun:"promoted_at"`
	PromotedBy  string `bun:"promoted_by"`
}

func (o offered) document() admin.Promotion {
	return admin.Promotion{
		Sequence: o.Sequence, Channel: o.ChannelName, ReleaseID: o.ReleaseID, ReleaseName: o.ReleaseName,
		At: moment(o.PromotedAt), By: o.PromotedBy,
	}
}

// promotions returns promotions, newest first, narrowed by where.
func promotions(ctx context.Context, db bun.IDB, where string, args ...any) ([]offered, error) {
	var found []offered
	err := db.NewSelect().TableExpr("promotions AS p").
		Join("JOIN channels AS c ON c.id = p.channel_id").Join("JOIN releases AS r ON r.id = p.release_id").
		ColumnExpr("p.sequence, p.channel_id, p.release_id, p.promoted_at, p.promoted_by").
		ColumnExpr("c.name AS channel_name, r.name AS release_name").
		Where(where, args...).OrderExpr("p.sequence DESC").Scan(ctx, &found)
	if err != nil {
		return nil, fmt.Errorf("list promotions: %w", err)
	}
	return found, nil
}

// newest narrows promotions to the last one of each channel.
const newest = "p.sequence IN (SELECT MAX(sequence) FROM promotions GROUP BY channel_id)"

// revoke marks a licence once; a second call changes nothing.
func (s *store) revoke(ctx context.Context, id, by, reason string, at time.Time) error {
	_, err := s.write.NewUpdate().Model((*licenseRecord)(nil)).
		Set("revoked_at = ?, revoked_by = ?, revoked_reason = ?", stamp(at), by, reason).
		Where("id = ? AND revoked_at = 0", id).Exec(ctx)
	if err != nil {
		return fmt.Errorf("revoke licence %s: %w", id, err)
	}
	return nil
}
