package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

const (
	// ReasonInUse: the thing cannot be removed while others depend on it.
	ReasonInUse = "InUse"

	// DefaultOrganization is the name of the one that teams belong to where nobody named another.
	DefaultOrganization = "default"
	// organizationPrefix begins the name of an organisation's entity: the organisation itself may be called like a team.
	organizationPrefix = "org_"
)

// Organization holds teams. Entity is the name of its own entity, in which it keeps what its teams share.
type Organization struct {
	ID        store.ID
	Name      string
	EntityID  store.ID
	Entity    string
	CreatedAt time.Time
}

func organizationOf(row store.Organization) Organization {
	return Organization{
		ID: row.ID, Name: string(row.Name), EntityID: row.EntityID, Entity: string(row.EntityName), CreatedAt: row.CreatedAt.Time(),
	}
}

// CreateOrganization makes an organisation and its entity.
func (s *Service) CreateOrganization(ctx context.Context, name string) (Organization, error) {
	if err := checkEntityName("organization", name); err != nil {
		return Organization{}, err
	}
	entity := organizationPrefix + name
	if len(entity) > maxUsername {
		return Organization{}, invalid("organization", "use at most %d characters", maxUsername-len(organizationPrefix))
	}
	row, err := s.store.CreateOrganization(ctx, store.Organization{
		Name: store.Text(name), NameKey: store.Text(fold(name)), EntityName: store.Text(entity), CreatedAt: store.At(s.now()),
	}, store.Text(fold(entity)))
	if errors.Is(err, store.ErrDuplicate) {
		return Organization{}, taken("organization", "this name is taken")
	}
	return organizationOf(row), err
}

// organizationFor returns an organisation by name; "" is the default one, which is made where it is missing.
func (s *Service) organizationFor(ctx context.Context, name string) (Organization, error) {
	if name != "" {
		return s.OrganizationByName(ctx, name)
	}
	found, err := s.OrganizationByName(ctx, DefaultOrganization)
	if fault.Reason(err, "") != ReasonNotFound {
		return found, err
	}
	made, err := s.CreateOrganization(ctx, DefaultOrganization)
	if fault.Reason(err, "") == ReasonTaken { // by another call at the same time
		return s.OrganizationByName(ctx, DefaultOrganization)
	}
	return made, err
}

// OrganizationByName finds an organisation.
func (s *Service) OrganizationByName(ctx context.Context, name string) (Organization, error) {
	row, err := s.store.OrganizationByName(ctx, fold(name))
	if errors.Is(err, store.ErrNotFound) {
		return Organization{}, missing(fmt.Sprintf("find organization %q", name), "there is no such organization",
			"List organizations with: server admin org list")
	}
	return organizationOf(row), err
}

// OrganizationOfEntity returns the organisation that a team belongs to, or whose entity it is; ReasonNotFound for others.
func (s *Service) OrganizationOfEntity(ctx context.Context, entity store.ID) (Organization, error) {
	row, err := s.store.OrganizationOf(ctx, entity)
	if errors.Is(err, store.ErrNotFound) {
		return Organization{}, missing("find the organization", "the entity belongs to none", "")
	}
	return organizationOf(row), err
}

// OrganizationsOf returns the organisations that a user belongs to, by a team or directly.
func (s *Service) OrganizationsOf(ctx context.Context, u User) ([]Organization, error) {
	rows, err := s.store.OrganizationsOf(ctx, u.ID)
	found := make([]Organization, len(rows))
	for i, row := range rows {
		found[i] = organizationOf(row)
	}
	return found, err
}

// Organizations calls visit with every organisation, oldest first.
func (s *Service) Organizations(ctx context.Context, visit func(Organization) error) error {
	const page = 500
	for after := store.ID(0); ; {
		rows, err := s.store.Organizations(ctx, after, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := visit(organizationOf(row)); err != nil {
				return err
			}
		}
		if len(rows) < page {
			return nil
		}
		after = rows[len(rows)-1].ID
	}
}

// DeleteOrganization ends an organisation, whose name is then free; ReasonInUse while it has teams or
// projects.
func (s *Service) DeleteOrganization(ctx context.Context, o Organization) error {
	err := s.store.DeleteOrganization(ctx, store.Organization{ID: o.ID, EntityID: o.EntityID})
	switch {
	case errors.Is(err, store.ErrConflict):
		return &fault.Error{
			Reason: ReasonInUse, Op: "delete the organization", Err: errors.New("it has teams"),
			Hint: "Delete its teams first: server admin team delete",
		}
	case errors.Is(err, store.ErrHasProjects):
		return hasProjects("delete the organization", "Delete its projects first: server admin project list --entity "+o.Name)
	case errors.Is(err, store.ErrNotFound):
		return missing("delete the organization", "there is no such organization", "")
	}
	return err
}
