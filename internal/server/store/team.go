package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Roles of members, each of which may do what those below it may.
const (
	RoleNone   int64 = 0
	RoleViewer int64 = 1
	RoleMember int64 = 2
	RoleAdmin  int64 = 3
)

// Team is a row of teams: an entity that people share.
type Team struct {
	bun.BaseModel `bun:"table:teams,alias:t"`

	EntityID       ID   `bun:"entity_id,pk"`
	OrganizationID ID   `bun:"organization_id"`
	ExternalID     Text `bun:"external_id"`

	// Read with the row.
	Name             Text   `bun:"name,scanonly"`
	CreatedAt        Micros `bun:"created_at,scanonly"`
	OrganizationName Text   `bun:"organization_name,scanonly"`
}

// Member is a row of members.
type Member struct {
	bun.BaseModel `bun:"table:members,alias:m"`

	EntityID ID     `bun:"entity_id,pk"`
	UserID   ID     `bun:"user_id,pk"`
	Role     int64  `bun:"role"`
	JoinedAt Micros `bun:"joined_at"`
}

// MemberUser is a member with who it is.
type MemberUser struct {
	User
	Role     int64  `bun:"role"`
	JoinedAt Micros `bun:"joined_at"`
	// KeyFor is who may fetch the first key of a service account, until KeyUntil.
	KeyFor   ID     `bun:"key_for"`
	KeyUntil Micros `bun:"key_until"`
}

// NewTeam is what CreateTeam writes in one transaction.
type NewTeam struct {
	Name, NameKey Text
	Organization  ID
	ExternalID    Text
	// Admin becomes the first member; 0 for nobody.
	Admin     ID
	CreatedAt Micros
}

// CreateTeam writes a team with its entity; ErrDuplicate where an entity has this name.
func (s *Store) CreateTeam(ctx context.Context, n NewTeam) (Team, error) {
	entity := Entity{ID: s.ids.next(), Name: n.Name, NameKey: n.NameKey, CreatedAt: n.CreatedAt}
	team := Team{EntityID: entity.ID, OrganizationID: n.Organization, ExternalID: n.ExternalID, Name: n.Name, CreatedAt: n.CreatedAt}
	err := s.update(ctx, "write the team", func(ctx context.Context, tx bun.Tx) error {
		rows := []any{&entity, &team}
		if n.Admin != 0 {
			rows = append(rows, &Member{EntityID: entity.ID, UserID: n.Admin, Role: RoleAdmin, JoinedAt: n.CreatedAt})
		}
		for _, row := range rows {
			if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return team, err
}

func selectTeam(q *bun.SelectQuery) *bun.SelectQuery {
	return q.ColumnExpr("t.*").ColumnExpr("te.name AS name, te.created_at AS created_at, o.name AS organization_name").
		Join("JOIN entities AS te ON te.id = t.entity_id").Join("JOIN organizations AS o ON o.id = t.organization_id")
}

// Team returns the team of an entity; ErrNotFound where the entity is no team.
func (s *Store) Team(ctx context.Context, entity ID) (Team, error) {
	var t Team
	err := s.view(ctx, "read the team", func(db bun.IDB) error {
		return selectTeam(db.NewSelect().Model(&t)).Where("t.entity_id = ?", entity).Scan(ctx)
	})
	return t, err
}

// TeamByName returns the team with this folded name.
func (s *Store) TeamByName(ctx context.Context, key string) (Team, error) {
	var t Team
	err := s.view(ctx, "read the team", func(db bun.IDB) error {
		return selectTeam(db.NewSelect().Model(&t)).Where("te.name_key = ?", Text(key)).Scan(ctx)
	})
	return t, err
}

// TeamByExternalID returns the team to which a directory gave this id.
func (s *Store) TeamByExternalID(ctx context.Context, id string) (Team, error) {
	var t Team
	err := s.view(ctx, "read the team", func(db bun.IDB) error {
		return selectTeam(db.NewSelect().Model(&t)).Where("t.external_id = ?", Text(id)).OrderExpr("t.entity_id").Limit(1).Scan(ctx)
	})
	return t, err
}

// Teams returns up to limit teams, oldest first, whose entity is above after. An organisation of 0 means any.
func (s *Store) Teams(ctx context.Context, organization, after ID, limit int64) ([]Team, error) {
	var teams []Team
	err := s.view(ctx, "list teams", func(db bun.IDB) error {
		q := selectTeam(db.NewSelect().Model(&teams)).Where("t.entity_id > ?", after).OrderExpr("t.entity_id").Limit(limit)
		if organization != 0 {
			q = q.Where("t.organization_id = ?", organization)
		}
		return q.Scan(ctx)
	})
	return teams, err
}

// SetTeamExternalID notes what a directory calls a team.
func (s *Store) SetTeamExternalID(ctx context.Context, entity ID, id string) error {
	return s.update(ctx, "change the team", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*Team)(nil)).Set("external_id = ?", Text(id)).Where("entity_id = ?", entity).Exec(ctx)
		return err
	})
}

// DeleteTeam ends a team: its members leave, its invitations and service accounts end, and its name is free. With projects
// they are deleted as well; else it fails with ErrHasProjects where there are any.
func (s *Store) DeleteTeam(ctx context.Context, entity ID, projects bool, now time.Time) error {
	return s.update(ctx, "delete the team", func(ctx context.Context, tx bun.Tx) error {
		if err := s.lockEntity(ctx, tx, entity); err != nil {
			return err
		}
		if err := clearEntity(ctx, tx, entity, projects, now); err != nil {
			return err
		}
		if err := affectedOne(tx.NewDelete().Model((*Team)(nil)).Where("entity_id = ?", entity).Exec(ctx)); err != nil {
			return err
		}
		var services []ID
		err := tx.NewSelect().Model((*Profile)(nil)).Column("user_id").Where("team_id = ?", entity).OrderExpr("user_id").Scan(ctx, &services)
		if err != nil {
			return err
		}
		for _, service := range services {
			if err := deleteUser(ctx, tx, service, now); err != nil {
				return err
			}
		}
		return retireEntity(ctx, tx, entity)
	})
}

// retireEntity takes the members from an entity, and its name, so that nothing finds it.
func retireEntity(ctx context.Context, tx bun.Tx, entity ID) error {
	for _, rows := range []any{(*Member)(nil), (*Invitation)(nil)} {
		if _, err := tx.NewDelete().Model(rows).Where("entity_id = ?", entity).Exec(ctx); err != nil {
			return err
		}
	}
	_, err := tx.NewUpdate().Model((*Profile)(nil)).Set("default_entity_id = 0").Where("default_entity_id = ?", entity).Exec(ctx)
	if err != nil {
		return err
	}
	_, err = tx.NewUpdate().Model((*Entity)(nil)).Set("name_key = ?", Text(fmt.Sprintf("%s%d", retiredPrefix, entity))).
		Where("id = ?", entity).Exec(ctx)
	return err
}

// retiredPrefix begins the folded name of an entity that was deleted; no name of an entity can hold a colon.
const retiredPrefix = "deleted:"

// Retired tells whether the entity was deleted.
func (e Entity) Retired() bool {
	return len(e.NameKey) > len(retiredPrefix) && e.NameKey[:len(retiredPrefix)] == retiredPrefix
}

// Members returns the members of an entity in the order in which they joined.
func (s *Store) Members(ctx context.Context, entity ID) ([]MemberUser, error) {
	var members []MemberUser
	err := s.view(ctx, "list members", func(db bun.IDB) error {
		return selectUser(db.NewSelect().Model(&members)).Join("JOIN members AS m ON m.user_id = u.id").
			ColumnExpr("m.role AS role, m.joined_at AS joined_at").
			ColumnExpr("COALESCE(pr.key_for, 0) AS key_for, COALESCE(pr.key_until, 0) AS key_until").
			Where("m.entity_id = ?", entity).Where("u.deleted_at = 0").OrderExpr("m.joined_at, u.id").Scan(ctx)
	})
	return members, err
}

// SetMember adds a member or changes its role. It fails with ErrNotFound where the entity was deleted.
func (s *Store) SetMember(ctx context.Context, m Member) error {
	return s.update(ctx, "write the member", func(ctx context.Context, tx bun.Tx) error {
		if err := s.lockEntity(ctx, tx, m.EntityID); err != nil {
			return err
		}
		result, err := tx.NewInsert().Model(&m).Ignore().Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return err
		}
		_, err = tx.NewUpdate().Model(&m).Column("role").WherePK().Exec(ctx)
		return err
	})
}

// lockEntity makes sure that an entity is not deleted before the transaction ends.
func (s *Store) lockEntity(ctx context.Context, tx bun.Tx, entity ID) error {
	var e Entity
	q := tx.NewSelect().Model(&e).Where("id = ?", entity)
	if s.engine.name() == "mysql" { // SQLite has one writer at a time, and no such clause
		q = q.For("UPDATE")
	}
	if err := q.Scan(ctx); err != nil {
		return err
	}
	if e.Retired() {
		return ErrNotFound
	}
	return nil
}

// RemoveMember takes a member from an entity; ErrNotFound where there is none.
func (s *Store) RemoveMember(ctx context.Context, entity, user ID) error {
	return s.update(ctx, "remove the member", func(ctx context.Context, tx bun.Tx) error {
		err := affectedOne(tx.NewDelete().Model((*Member)(nil)).Where("entity_id = ?", entity).Where("user_id = ?", user).Exec(ctx))
		if err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model((*Profile)(nil)).Set("default_entity_id = 0").
			Where("user_id = ?", user).Where("default_entity_id = ?", entity).Exec(ctx)
		return err
	})
}

// RoleOf returns what a user is to an entity, by one query: the role of a member; that of an administrator for who
// administers the team's organisation; and that of a viewer, at the entity of an organisation, for who is of one of its
// teams.
func (s *Store) RoleOf(ctx context.Context, entity, user ID) (role int64, err error) {
	err = s.view(ctx, "read the role", func(db bun.IDB) error {
		role, err = roleOf(ctx, db, entity, user)
		return err
	})
	return role, err
}

func roleOf(ctx context.Context, db bun.IDB, entity, user ID) (role int64, err error) {
	direct := db.NewSelect().TableExpr("members AS m").ColumnExpr("m.role AS role").
		Where("m.entity_id = ?", entity).Where("m.user_id = ?", user)
	above := db.NewSelect().TableExpr("teams AS t").ColumnExpr("m.role AS role").
		Join("JOIN organizations AS o ON o.id = t.organization_id").
		Join("JOIN members AS m ON m.entity_id = o.entity_id").
		Where("t.entity_id = ?", entity).Where("m.user_id = ?", user).Where("m.role = ?", RoleAdmin)
	below := db.NewSelect().TableExpr("members AS m").ColumnExpr("? AS role", RoleViewer).
		Join("JOIN teams AS t ON t.entity_id = m.entity_id").
		Join("JOIN organizations AS o ON o.id = t.organization_id").
		Where("m.user_id = ?", user).Where("o.entity_id = ?", entity)
	err = db.NewSelect().ColumnExpr("COALESCE(MAX(r.role), 0)").
		TableExpr("(? UNION ALL ? UNION ALL ?) AS r", direct, above, below).Scan(ctx, &role)
	return role, err
}

// EntitiesOf returns the entities that a user belongs to, the personal one first and teams by name.
func (s *Store) EntitiesOf(ctx context.Context, user ID) ([]Entity, error) {
	var entities []Entity
	err := s.view(ctx, "list entities", func(db bun.IDB) error {
		mine := db.NewSelect().TableExpr("members AS m").ColumnExpr("m.entity_id").
			Join("JOIN teams AS t ON t.entity_id = m.entity_id").Where("m.user_id = ?", user)
		return db.NewSelect().Model(&entities).Where("e.user_id = ?", user).WhereOr("e.id IN (?)", mine).
			OrderExpr("CASE WHEN e.user_id = ? THEN 0 ELSE 1 END, e.name_key", user).Scan(ctx)
	})
	return entities, err
}

// ShareTeam tells whether two users are of one team, or of one organisation's entity.
func (s *Store) ShareTeam(ctx context.Context, a, b ID) (bool, error) {
	var shared bool
	err := s.view(ctx, "compare teams", func(db bun.IDB) (err error) {
		shared, err = db.NewSelect().TableExpr("members AS m").Join("JOIN members AS n ON n.entity_id = m.entity_id").
			Where("m.user_id = ?", a).Where("n.user_id = ?", b).Exists(ctx)
		return err
	})
	return shared, err
}
