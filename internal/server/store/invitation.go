package store

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

// Invitation is a row of invitations: somebody without an account who will be of a team. TokenHash is the SHA-256 of the
// token in the link that invites.
type Invitation struct {
	bun.BaseModel `bun:"table:invitations,alias:v"`

	ID        ID     `bun:"id,pk"`
	EntityID  ID     `bun:"entity_id"`
	Email     Text   `bun:"email"`
	EmailKey  Text   `bun:"email_key"`
	Role      int64  `bun:"role"`
	TokenHash []byte `bun:"token_hash"`
	InvitedBy ID     `bun:"invited_by"`
	CreatedAt Micros `bun:"created_at"`
	ExpiresAt Micros `bun:"expires_at"`
}

// InsertInvitation writes an invitation in place of an earlier one of the same address to the same entity.
func (s *Store) InsertInvitation(ctx context.Context, v Invitation) (Invitation, error) {
	v.ID = s.ids.next()
	err := s.update(ctx, "write the invitation", func(ctx context.Context, tx bun.Tx) error {
		if err := s.lockEntity(ctx, tx, v.EntityID); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*Invitation)(nil)).Where("email_key = ?", v.EmailKey).Where("entity_id = ?", v.EntityID).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&v).Exec(ctx)
		return err
	})
	return v, err
}

// InvitationByToken returns an invitation that is still open.
func (s *Store) InvitationByToken(ctx context.Context, tokenHash []byte, now time.Time) (Invitation, error) {
	var v Invitation
	err := s.view(ctx, "read the invitation", func(db bun.IDB) error {
		return db.NewSelect().Model(&v).Where("token_hash = ?", tokenHash).Where("expires_at > ?", At(now)).Scan(ctx)
	})
	return v, err
}

// Invitations returns the open invitations of an entity, oldest first.
func (s *Store) Invitations(ctx context.Context, entity ID, now time.Time) ([]Invitation, error) {
	var found []Invitation
	err := s.view(ctx, "list invitations", func(db bun.IDB) error {
		return db.NewSelect().Model(&found).Where("entity_id = ?", entity).Where("expires_at > ?", At(now)).OrderExpr("id").Scan(ctx)
	})
	return found, err
}

// DeleteInvitation takes an invitation back; ErrNotFound where the entity has none of this id.
func (s *Store) DeleteInvitation(ctx context.Context, entity, id ID) error {
	return s.update(ctx, "delete the invitation", func(ctx context.Context, tx bun.Tx) error {
		return affectedOne(tx.NewDelete().Model((*Invitation)(nil)).Where("entity_id = ?", entity).Where("id = ?", id).Exec(ctx))
	})
}

// acceptInvitations makes a new user a member of whatever its address was invited to.
func acceptInvitations(ctx context.Context, tx bun.Tx, user ID, emailKey Text, now Micros) error {
	var open []Invitation
	err := tx.NewSelect().Model(&open).Where("email_key = ?", emailKey).Where("expires_at > ?", now).OrderExpr("entity_id").Scan(ctx)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for _, v := range open {
		m := Member{EntityID: v.EntityID, UserID: user, Role: v.Role, JoinedAt: now}
		if _, err := tx.NewInsert().Model(&m).Ignore().Exec(ctx); err != nil {
			return err
		}
	}
	if len(open) == 0 {
		return nil
	}
	_, err = tx.NewDelete().Model((*Invitation)(nil)).Where("email_key = ?", emailKey).Exec(ctx)
	return err
}
