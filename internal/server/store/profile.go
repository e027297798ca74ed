package store

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

// Kinds of users.
const (
	// KindPerson: somebody with a personal entity, who may sign in.
	KindPerson int64 = 0
	// KindService: a program of a team, which only has API keys.
	KindService int64 = 1
)

// Profile is a row of profiles: what is known of a user beyond the account.
type Profile struct {
	bun.BaseModel `bun:"table:profiles,alias:pr"`

	UserID ID    `bun:"user_id,pk"`
	Kind   int64 `bun:"kind"`
	// TeamID is the entity of the team that a service account belongs to; 0 for people.
	TeamID ID `bun:"team_id"`
	// DefaultEntityID is the entity that the user chose to write to; 0 for the user's own.
	DefaultEntityID ID     `bun:"default_entity_id"`
	DisabledAt      Micros `bun:"disabled_at"`
	// ExternalID is the name that a directory gave the user.
	ExternalID Text `bun:"external_id"`
	// LoginName is what a directory calls the user where that is no username of ours; LoginKey is its folded form.
	LoginName Text `bun:"login_name"`
	LoginKey  Text `bun:"login_key"`
	// KeyFor is the user who may fetch the first key of a service account, once and until KeyUntil.
	KeyFor   ID     `bun:"key_for"`
	KeyUntil Micros `bun:"key_until"`
}

// selectUser adds to a query of users AS u what their profiles say.
func selectUser(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ModelTableExpr("users AS u").ColumnExpr("u.*").
		ColumnExpr("COALESCE(pr.kind, 0) AS kind, COALESCE(pr.team_id, 0) AS team_id, COALESCE(pr.disabled_at, 0) AS disabled_at").
		ColumnExpr("COALESCE(pr.external_id, ?) AS external_id, COALESCE(pr.login_name, ?) AS login_name", Text(""), Text("")).
		ColumnExpr("COALESCE(de.name, u.username) AS default_entity").
		Join("LEFT JOIN profiles AS pr ON pr.user_id = u.id").
		Join("LEFT JOIN entities AS de ON de.id = pr.default_entity_id")
}

// changeProfile changes columns of a user's profile, and writes the profile where there is none.
func (s *Store) changeProfile(ctx context.Context, op string, user ID, change func(*Profile) (columns []string)) error {
	return s.update(ctx, op, func(ctx context.Context, tx bun.Tx) error { return changeProfile(ctx, tx, user, change) })
}

func changeProfile(ctx context.Context, tx bun.Tx, user ID, change func(*Profile) (columns []string)) error {
	p := Profile{UserID: user}
	// Ignore makes two at once write one row; the row is then there for the update.
	if _, err := tx.NewInsert().Model(&p).Ignore().Exec(ctx); err != nil {
		return err
	}
	_, err := tx.NewUpdate().Model(&p).Column(change(&p)...).WherePK().Exec(ctx)
	return err
}

// SetDefaultEntity chooses where a user writes to; 0 is the user's own entity.
func (s *Store) SetDefaultEntity(ctx context.Context, user, entity ID) error {
	return s.changeProfile(ctx, "choose the default entity", user, func(p *Profile) []string {
		p.DefaultEntityID = entity
		return []string{"default_entity_id"}
	})
}

// SetDisabled stops a user's keys and sessions, or lets the keys work again. Sessions are gone for good.
func (s *Store) SetDisabled(ctx context.Context, user ID, at time.Time) error {
	return s.update(ctx, "change the state of the user", func(ctx context.Context, tx bun.Tx) error {
		err := changeProfile(ctx, tx, user, func(p *Profile) []string {
			p.DisabledAt = At(at)
			return []string{"disabled_at"}
		})
		if err != nil || at.IsZero() {
			return err
		}
		_, err = tx.NewDelete().Model((*Session)(nil)).Where("user_id = ?", user).Exec(ctx)
		return err
	})
}

// UserChange is what UpdateUser writes; nil leaves a value as it is.
type UserChange struct {
	Email, EmailKey, Name, PasswordHash *Text
	Admin                               *bool
	ExternalID, LoginName, LoginKey     *Text
}

// UpdateUser changes a user in one transaction; ErrDuplicate where the address is taken.
func (s *Store) UpdateUser(ctx context.Context, user ID, c UserChange) error {
	return s.update(ctx, "change the user", func(ctx context.Context, tx bun.Tx) error {
		if err := updateUserRow(ctx, tx, user, c); err != nil {
			return err
		}
		return changeProfileNames(ctx, tx, user, c)
	})
}

func updateUserRow(ctx context.Context, tx bun.Tx, user ID, c UserChange) error {
	q := tx.NewUpdate().Model((*User)(nil)).Where("id = ?", user).Where("deleted_at = 0")
	changed := false
	for _, column := range []struct {
		name  string
		value *Text
	}{{"email", c.Email}, {"email_key", c.EmailKey}, {"name", c.Name}, {"password_hash", c.PasswordHash}} {
		if column.value != nil {
			q, changed = q.Set("? = ?", bun.Ident(column.name), *column.value), true
		}
	}
	if c.Admin != nil {
		q, changed = q.Set("admin = ?", *c.Admin), true
	}
	if !changed {
		return nil
	}
	_, err := q.Exec(ctx)
	return err
}

func changeProfileNames(ctx context.Context, tx bun.Tx, user ID, c UserChange) error {
	if c.ExternalID == nil && c.LoginName == nil {
		return nil
	}
	return changeProfile(ctx, tx, user, func(p *Profile) (columns []string) {
		if c.ExternalID != nil {
			p.ExternalID = *c.ExternalID
			columns = append(columns, "external_id")
		}
		if c.LoginName != nil && c.LoginKey != nil {
			p.LoginName, p.LoginKey = *c.LoginName, *c.LoginKey
			columns = append(columns, "login_name", "login_key")
		}
		return columns
	})
}

// UserByLogin returns the user whom a directory calls so.
func (s *Store) UserByLogin(ctx context.Context, key string) (User, error) {
	return s.userWhere(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("pr.login_key = ?", Text(key)).Where("u.deleted_at = 0").OrderExpr("u.id").Limit(1)
	})
}

// UserByExternalID returns the user to whom a directory gave this id.
func (s *Store) UserByExternalID(ctx context.Context, id string) (User, error) {
	return s.userWhere(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("pr.external_id = ?", Text(id)).Where("u.deleted_at = 0").OrderExpr("u.id").Limit(1)
	})
}

// ClaimKey writes the first key of a service account for the user who may fetch it; ErrNotFound where nobody may any more.
func (s *Store) ClaimKey(ctx context.Context, service, by ID, now time.Time, key Key) error {
	return s.update(ctx, "hand out the API key", func(ctx context.Context, tx bun.Tx) error {
		err := affectedOne(tx.NewUpdate().Model((*Profile)(nil)).Set("key_for = 0").
			Where("user_id = ?", service).Where("key_for = ?", by).Where("key_until > ?", At(now)).Exec(ctx))
		if err != nil {
			return err
		}
		return s.insertKey(ctx, tx, service, &key)
	})
}

// Identity is a row of identities: who a user is at an identity provider.
type Identity struct {
	bun.BaseModel `bun:"table:identities,alias:i"`

	IssuerHash []byte `bun:"issuer_hash,pk"`
	Subject    Text   `bun:"subject,pk"`
	UserID     ID     `bun:"user_id"`
	Issuer     Text   `bun:"issuer"`
	CreatedAt  Micros `bun:"created_at"`
}

// UserByIdentity returns the user who is this at an identity provider.
func (s *Store) UserByIdentity(ctx context.Context, issuerHash []byte, subject string) (User, error) {
	return s.userWhere(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Join("JOIN identities AS i ON i.user_id = u.id").
			Where("i.issuer_hash = ?", issuerHash).Where("i.subject = ?", Text(subject)).Where("u.deleted_at = 0")
	})
}

// InsertIdentity links a user with an account at an identity provider; ErrDuplicate where that account has a user.
func (s *Store) InsertIdentity(ctx context.Context, identity Identity) error {
	return s.update(ctx, "link the identity", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&identity).Exec(ctx)
		return err
	})
}

// ErrConflict tells that a thing cannot be removed while others hang on it.
var ErrConflict = errors.New("others depend on it")
