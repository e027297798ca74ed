package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// ErrNotFirst tells that the first user was made already.
var ErrNotFirst = errors.New("a user exists already")

// firstUser is the claim that the first user takes, whoever makes it.
const firstUser = "first-user"

// User is a row of users. Username and email are as the user wrote them; the keys are their folded forms, which are
// unique among all users.
type User struct {
	bun.BaseModel `bun:"table:users,alias:u"`

	ID           ID     `bun:"id,pk"`
	Username     Text   `bun:"username"`
	UsernameKey  Text   `bun:"username_key"`
	Email        Text   `bun:"email"`
	EmailKey     Text   `bun:"email_key"`
	Name         Text   `bun:"name"`
	Admin        bool   `bun:"admin"`
	PasswordHash Text   `bun:"password_hash"`
	CreatedAt    Micros `bun:"created_at"`
	DeletedAt    Micros `bun:"deleted_at"`

	// What the profile says, where the user was read. ExternalID and LoginName are what a directory calls the user.
	Kind          int64  `bun:"kind,scanonly"`
	TeamID        ID     `bun:"team_id,scanonly"`
	DisabledAt    Micros `bun:"disabled_at,scanonly"`
	ExternalID    Text   `bun:"external_id,scanonly"`
	LoginName     Text   `bun:"login_name,scanonly"`
	DefaultEntity Text   `bun:"default_entity,scanonly"`
}

// Entity owns projects: a user's personal one has the name of the user, and a team's has no user.
type Entity struct {
	bun.BaseModel `bun:"table:entities,alias:e"`

	ID        ID     `bun:"id,pk"`
	Name      Text   `bun:"name"`
	NameKey   Text   `bun:"name_key"`
	UserID    ID     `bun:"user_id"`
	CreatedAt Micros `bun:"created_at"`
}

type claim struct {
	bun.BaseModel `bun:"table:claims"`

	Name      Text   `bun:"name,pk"`
	ClaimedAt Micros `bun:"claimed_at"`
}

// NewUser is what CreateUser writes in one transaction.
type NewUser struct {
	User User
	// First makes the call fail with ErrNotFirst where any user was ever made. Of several calls at once one succeeds.
	First bool
	// NoEntity makes no personal entity.
	NoEntity bool
	// These, where set, are written with the user, whose id they are given.
	Key      *Key
	Session  *Session
	Profile  *Profile
	Identity *Identity
	Member   *Member
	// Invitation, where set, must still be open: ErrNotFound otherwise.
	Invitation ID
}

// CreateUser writes a user with a personal entity of the same name, and returns it with its id. It fails with ErrDuplicate
// where the username, the email, the name of the entity or the key is taken.
func (s *Store) CreateUser(ctx context.Context, n NewUser) (User, error) {
	u := n.User
	u.ID = s.ids.next()
	entity := Entity{ID: s.ids.next(), Name: u.Username, NameKey: u.UsernameKey, UserID: u.ID, CreatedAt: u.CreatedAt}
	err := s.update(ctx, "write the user", func(ctx context.Context, tx bun.Tx) error {
		if err := claimFirst(ctx, tx, n.First, u.CreatedAt); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&u).Exec(ctx); err != nil {
			return err
		}
		if !n.NoEntity {
			if _, err := tx.NewInsert().Model(&entity).Exec(ctx); err != nil {
				return err
			}
		}
		return s.insertOfUser(ctx, tx, u.ID, n)
	})
	return u, err
}

// insertOfUser writes what comes with a new user.
func (s *Store) insertOfUser(ctx context.Context, tx bun.Tx, user ID, n NewUser) error {
	if n.Invitation != 0 {
		open, err := tx.NewSelect().Model((*Invitation)(nil)).Where("id = ?", n.Invitation).Exists(ctx)
		if err != nil {
			return err
		}
		if !open {
			return ErrNotFound
		}
	}
	if n.Key != nil {
		if err := s.insertKey(ctx, tx, user, n.Key); err != nil {
			return err
		}
	}
	var rows []any
	if n.Session != nil {
		n.Session.UserID = user
		rows = append(rows, n.Session)
	}
	if n.Profile != nil {
		n.Profile.UserID = user
		rows = append(rows, n.Profile)
	}
	if n.Identity != nil {
		n.Identity.UserID = user
		rows = append(rows, n.Identity)
	}
	if n.Member != nil {
		n.Member.UserID = user
		rows = append(rows, n.Member)
	}
	for _, row := range rows {
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
	}
	return acceptInvitations(ctx, tx, user, n.User.EmailKey, n.User.CreatedAt)
}

// claimFirst takes the claim of the first user. Its primary key decides between two that try at once.
func claimFirst(ctx context.Context, tx bun.Tx, only bool, at Micros) error {
	insert := tx.NewInsert().Model(&claim{Name: firstUser, ClaimedAt: at})
	if !only {
		_, err := insert.Ignore().Exec(ctx)
		return err
	}
	if _, err := insert.Exec(ctx); err != nil {
		if isDuplicate(err) {
			return ErrNotFirst
		}
		return err
	}
	return nil
}

// AnyUser tells whether a user was ever made.
func (s *Store) AnyUser(ctx context.Context) (bool, error) {
	var exists bool
	err := s.view(ctx, "look for a user", func(db bun.IDB) (err error) {
		exists, err = db.NewSelect().Model((*claim)(nil)).Where("name = ?", Text(firstUser)).Exists(ctx)
		return err
	})
	return exists, err
}

// UserByUsername returns the user with this folded name, also one that was deleted.
func (s *Store) UserByUsername(ctx context.Context, key string) (User, error) {
	return s.user(ctx, "username_key", Text(key))
}

// UserByEmail returns the user with this folded address. A deleted user's address is free for others.
func (s *Store) UserByEmail(ctx context.Context, key string) (User, error) {
	return s.user(ctx, "email_key", Text(key))
}

func (s *Store) user(ctx context.Context, column string, value any) (User, error) {
	return s.userWhere(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("u.? = ?", bun.Ident(column), value) })
}

func (s *Store) userWhere(ctx context.Context, where func(*bun.SelectQuery) *bun.SelectQuery) (User, error) {
	var u User
	err := s.view(ctx, "read the user", func(db bun.IDB) error {
		return where(selectUser(db.NewSelect().Model(&u))).Scan(ctx)
	})
	return u, err
}

// User returns a user by its id.
func (s *Store) User(ctx context.Context, id ID) (User, error) { return s.user(ctx, "id", id) }

// Users returns up to limit users that were not deleted, oldest first, with an id above after.
func (s *Store) Users(ctx context.Context, after ID, limit int64) ([]User, error) {
	var users []User
	err := s.view(ctx, "list users", func(db bun.IDB) error {
		return selectUser(db.NewSelect().Model(&users)).Where("u.id > ?", after).Where("u.deleted_at = 0").OrderExpr("u.id").
			Limit(limit).Scan(ctx)
	})
	return users, err
}

// SetPassword replaces the hash of a user's password and ends every session of the user.
func (s *Store) SetPassword(ctx context.Context, user ID, hash string) error {
	return s.update(ctx, "write the password", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*User)(nil)).Set("password_hash = ?", Text(hash)).Where("id = ?", user).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewDelete().Model((*Session)(nil)).Where("user_id = ?", user).Exec(ctx)
		return err
	})
}

// RehashPassword replaces a hash by one of the same password, and nothing where another was set meanwhile.
func (s *Store) RehashPassword(ctx context.Context, user ID, old, hash string) error {
	return s.update(ctx, "write the password", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*User)(nil)).Set("password_hash = ?", Text(hash)).
			Where("id = ?", user).Where("password_hash = ?", Text(old)).Exec(ctx)
		return err
	})
}

// DeleteUser marks a user as deleted, frees the email address, and removes its keys and sessions. The username stays taken,
// since runs carry it. With projects those of its personal entity are deleted; else administrators keep them.
func (s *Store) DeleteUser(ctx context.Context, user ID, projects bool, now time.Time) error {
	return s.update(ctx, "delete the user", func(ctx context.Context, tx bun.Tx) error {
		if err := deleteUser(ctx, tx, user, now); err != nil || !projects {
			return err
		}
		var personal []ID
		if err := tx.NewSelect().Model((*Entity)(nil)).Column("id").Where("user_id = ?", user).Scan(ctx, &personal); err != nil {
			return err
		}
		for _, entity := range personal {
			if err := clearEntity(ctx, tx, entity, true, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func deleteUser(ctx context.Context, tx bun.Tx, user ID, now time.Time) error {
	result, err := tx.NewUpdate().Model((*User)(nil)).
		Set("deleted_at = ?", At(now)).
		Set("email_key = ?", Text(fmt.Sprintf("deleted:%d", user))).
		Set("password_hash = ?", Text("")).
		Where("id = ?", user).Where("deleted_at = 0").Exec(ctx)
	if err := affectedOne(result, err); err != nil {
		return err
	}
	return deleteOfUser(ctx, tx, user)
}

// deleteOfUser removes what a deleted user had.
func deleteOfUser(ctx context.Context, tx bun.Tx, user ID) error {
	for _, rows := range []any{(*Key)(nil), (*Session)(nil), (*Identity)(nil), (*Member)(nil), (*Profile)(nil)} {
		if _, err := tx.NewDelete().Model(rows).Where("user_id = ?", user).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
