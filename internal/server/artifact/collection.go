package artifact

import (
	"context"
	"errors"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// ChangeCollection renames a collection of a kind, or describes it; nil leaves a field as it is. Versions stay.
func (s *Service) ChangeCollection(ctx context.Context, id store.ID, kind store.CollectionKind, name, description *string) (*Collection, error) {
	c, err := s.writable(ctx, id, kind)
	if err != nil {
		return nil, err
	}
	if name != nil {
		if err := checkName("a collection", *name); err != nil {
			return nil, err
		}
	}
	if description != nil && len(*description) > maxMetadata {
		return nil, invalid("the description is too long")
	}
	err = s.store.ChangeCollection(ctx, id, store.CollectionChange{Name: name, Description: description, At: s.now()})
	if errors.Is(err, store.ErrDuplicate) {
		return nil, conflict("there is a collection of that name already", "Choose another name.")
	}
	if err != nil {
		return nil, err
	}
	return s.CollectionByID(ctx, c.ArtifactCollection.ID, access.Read)
}

// MoveSequence gives a sequence, with all its versions, another type, which is made where it is missing.
func (s *Service) MoveSequence(ctx context.Context, id store.ID, typeName string) (*Collection, error) {
	c, err := s.writable(ctx, id, store.Sequence)
	if err != nil {
		return nil, err
	}
	t, err := s.EnsureType(ctx, c.Place, typeName, "")
	if err != nil {
		return nil, err
	}
	if err := s.store.ChangeCollection(ctx, id, store.CollectionChange{TypeID: t.ID, At: s.now()}); err != nil {
		return nil, err
	}
	return s.CollectionByID(ctx, id, access.Read)
}

// EnsureType returns a project's type, and makes it where it is missing.
func (s *Service) EnsureType(ctx context.Context, place access.Place, name, description string) (store.ArtifactType, error) {
	if err := checkName("an artifact type", name); err != nil {
		return store.ArtifactType{}, err
	}
	if len(description) > maxMetadata {
		return store.ArtifactType{}, invalid("the description is too long")
	}
	return s.store.EnsureArtifactType(ctx, store.ArtifactType{
		ProjectID: place.Project.ID, Name: store.Text(name), Description: store.Blob(description), CreatedAt: s.now(),
	})
}

// DeleteCollection deletes a collection of a kind; of a sequence, with all its versions.
func (s *Service) DeleteCollection(ctx context.Context, id store.ID, kind store.CollectionKind) (*Collection, error) {
	c, err := s.writable(ctx, id, kind)
	if err != nil {
		return nil, err
	}
	return c, s.store.DeleteCollection(ctx, id, s.now())
}

// TagCollection adds tags to a collection, takes others away, and returns those that it has now.
func (s *Service) TagCollection(ctx context.Context, place access.Place, name string, add, remove []string) ([]store.ArtifactTag, error) {
	if err := checkTags(add); err != nil {
		return nil, err
	}
	c, err := s.CollectionByName(ctx, place, name)
	if err != nil {
		return nil, err
	}
	if err := s.store.ChangeTags(ctx, c.ArtifactCollection.ID, add, remove, s.now()); err != nil {
		return nil, err
	}
	return s.store.TagsOf(ctx, []store.ID{c.ArtifactCollection.ID})
}

func (s *Service) writable(ctx context.Context, id store.ID, kind store.CollectionKind) (*Collection, error) {
	c, err := s.CollectionByID(ctx, id, access.Write)
	if err == nil && c.Kind != kind {
		return nil, missing("collection", store.ErrNotFound)
	}
	return c, err
}
