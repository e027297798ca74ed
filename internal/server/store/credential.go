package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"
)

// Key is a row of api_keys. The key itself is not kept: Hash is its SHA-256, Name its first characters.
type Key struct {
	bun.BaseModel `bun:"table:api_keys,alias:k"`

	ID          ID     `bun:"id,pk"`
	UserID      ID     `bun:"user_id"`
	Hash        []byte `bun:"hash"`
	Name        Text   `bun:"name"`
	Description Text   `bun:"description"`
	CreatedAt   Micros `bun:"created_at"`
	LastUsedAt  Micros `bun:"last_used_at"`
}

// Session is a row of sessions: a signed-in browser. TokenHash is the SHA-256 of the token in its cookie.
type Session struct {
	bun.BaseModel `bun:"table:sessions,alias:s"`

	TokenHash []byte `bun:"token_hash,pk"`
	UserID    ID     `bun:"user_id"`
	CreatedAt Micros `bun:"created_at"`
	ExpiresAt Micros `bun:"expires_at"`
}

// KeyOwner is what a request with an API key needs to know, read by one query.
type KeyOwner struct {
	User
	KeyID         ID     `bun:"key_id"`
	KeyLastUsedAt Micros `bun:"key_last_used_at"`
}

// SessionOwner is what a request with a session cookie needs to know, read by one query.
type SessionOwner struct {
	User
	ExpiresAt Micros `bun:"expires_at"`
}

// InsertKey writes a key of a user and returns it with its id; ErrDuplicate where somebody has this key already.
func (s *Store) InsertKey(ctx context.Context, user ID, key Key) (Key, error) {
	err := s.update(ctx, "write the API key", func(ctx context.Context, tx bun.Tx) error {
		return s.insertKey(ctx, tx, user, &key)
	})
	return key, err
}

func (s *Store) insertKey(ctx context.Context, tx bun.Tx, user ID, key *Key) error {
	key.ID, key.UserID = s.ids.next(), user
	_, err := tx.NewInsert().Model(key).Exec(ctx)
	return err
}

// KeysOf returns the keys of a user, oldest first.
func (s *Store) KeysOf(ctx context.Context, user ID) ([]Key, error) {
	var keys []Key
	err := s.view(ctx, "list API keys", func(db bun.IDB) error {
		return db.NewSelect().Model(&keys).Where("user_id = ?", user).Order("id").Scan(ctx)
	})
	return keys, err
}

// DeleteKey removes a user's key; ErrNotFound where the user has no such key. The next request with it is refused.
func (s *Store) DeleteKey(ctx context.Context, user, key ID) error {
	return s.update(ctx, "delete the API key", func(ctx context.Context, tx bun.Tx) error {
		return affectedOne(tx.NewDelete().Model((*Key)(nil)).Where("id = ?", key).Where("user_id = ?", user).Exec(ctx))
	})
}

// notDisabled lets only users pass who were not disabled. It is asked in the query that reads a credential: what another replica
// has written is seen by the next request.
const notDisabled = "COALESCE(pr.disabled_at, 0) = 0"

// OwnerOfKey returns the user whose key has this hash; ErrNotFound where nobody has it, or its owner was deleted or disabled.
func (s *Store) OwnerOfKey(ctx context.Context, hash []byte) (KeyOwner, error) {
	var owner KeyOwner
	err := s.view(ctx, "read the API key", func(db bun.IDB) error {
		return selectUser(db.NewSelect().Model(&owner)).
			ColumnExpr("k.id AS key_id, k.last_used_at AS key_last_used_at").
			Join("JOIN api_keys AS k ON k.user_id = u.id").
			Where("k.hash = ?", hash).Where("u.deleted_at = 0").Where(notDisabled).Scan(ctx)
	})
	return owner, err
}

// UserOfKey returns the user who has the key with this id.
func (s *Store) UserOfKey(ctx context.Context, key ID) (User, error) {
	return s.userWhere(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Join("JOIN api_keys AS k ON k.user_id = u.id").Where("k.id = ?", key).Where("u.deleted_at = 0")
	})
}

// TouchKeys notes when keys were last used, in one transaction. A time that is older than the known one changes nothing.
func (s *Store) TouchKeys(ctx context.Context, used map[ID]time.Time) error {
	return s.update(ctx, "note the use of API keys", func(ctx context.Context, tx bun.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(used)) { // in one order in every replica: no deadlock
			_, err := tx.NewUpdate().Model((*Key)(nil)).Set("last_used_at = ?", At(used[id])).
				Where("id = ?", id).Where("last_used_at < ?", At(used[id])).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// InsertSession writes a session.
func (s *Store) InsertSession(ctx context.Context, session Session) error {
	return s.update(ctx, "write the session", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&session).Exec(ctx)
		return err
	})
}

// OwnerOfSession returns the user of a session that lasts beyond now; ErrNotFound where there is none.
func (s *Store) OwnerOfSession(ctx context.Context, tokenHash []byte, now time.Time) (SessionOwner, error) {
	var owner SessionOwner
	err := s.view(ctx, "read the session", func(db bun.IDB) error {
		return selectUser(db.NewSelect().Model(&owner)).ColumnExpr("s.expires_at AS expires_at").
			Join("JOIN sessions AS s ON s.user_id = u.id").
			Where("s.token_hash = ?", tokenHash).Where("s.expires_at > ?", At(now)).Where("u.deleted_at = 0").Where(notDisabled).Scan(ctx)
	})
	return owner, err
}

// ExtendSession moves the end of a session; a session that was ended meanwhile stays ended.
func (s *Store) ExtendSession(ctx context.Context, tokenHash []byte, until time.Time) error {
	return s.update(ctx, "extend the session", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*Session)(nil)).Set("expires_at = ?", At(until)).
			Where("token_hash = ?", tokenHash).Exec(ctx)
		return err
	})
}

// DeleteSession ends a session; one that does not exist is no failure.
func (s *Store) DeleteSession(ctx context.Context, tokenHash []byte) error {
	return s.update(ctx, "end the session", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*Session)(nil)).Where("token_hash = ?", tokenHash).Exec(ctx)
		return err
	})
}

// DeleteExpiredSessions removes the sessions that ended before now.
func (s *Store) DeleteExpiredSessions(ctx context.Context, now time.Time) error {
	return s.update(ctx, "remove old sessions", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewDelete().Model((*Session)(nil)).Where("expires_at < ?", At(now)).Exec(ctx)
		return err
	})
}

// affectedOne returns ErrNotFound where a statement matched no row.
func affectedOne(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}
