package artifact

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// Change says what of a version changes; nil leaves a field as it is.
type Change struct {
	Description *string
	Metadata    *string
	TTLSeconds  *int64
	// Aliases replace those in the version's own sequence.
	Aliases              []string
	TagsToAdd, TagsToCut []string
}

// Update changes what people say about a version.
func (s *Service) Update(ctx context.Context, id store.ID, change Change) (*Version, error) {
	if err := checkTags(change.TagsToAdd); err != nil {
		return nil, err
	}
	if err := checkTTL(change.TTLSeconds); err != nil {
		return nil, err
	}
	if err := checkMetadata(change.Metadata); err != nil {
		return nil, err
	}
	if change.Description != nil && len(*change.Description) > maxMetadata {
		return nil, invalid(fmt.Sprintf("the description is longer than %d bytes", maxMetadata))
	}
	a, place, err := s.alive(ctx, id, access.Write)
	if err != nil {
		return nil, err
	}
	now := s.now()
	a, err = s.store.ChangeArtifact(ctx, a.ID, store.ArtifactChange{
		Description: change.Description, Metadata: change.Metadata, TTLSeconds: change.TTLSeconds, At: now,
	})
	if err != nil {
		return nil, err
	}
	if len(change.TagsToAdd)+len(change.TagsToCut) > 0 {
		if err := s.store.ChangeTags(ctx, a.ID, change.TagsToAdd, change.TagsToCut, now); err != nil {
			return nil, err
		}
	}
	if change.Aliases != nil && a.State == store.ArtifactCommitted {
		if err := s.replaceAliases(ctx, a, change.Aliases); err != nil {
			return nil, err
		}
	}
	return s.one(ctx, a, place)
}

func (s *Service) replaceAliases(ctx context.Context, a store.Artifact, aliases []string) error {
	wanted, err := checkAliases(aliases)
	if err != nil {
		return err
	}
	have, err := s.store.AliasesOf(ctx, []store.ID{a.ID})
	if err != nil {
		return err
	}
	keep := map[string]bool{store.AliasLatest: true}
	for _, alias := range wanted {
		keep[alias] = true
	}
	var cut []string
	for _, alias := range have {
		if alias.CollectionID == a.CollectionID && !keep[string(alias.Alias)] {
			cut = append(cut, string(alias.Alias))
		}
	}
	if err := s.store.DeleteAliases(ctx, a.CollectionID, a.ID, cut, s.now()); err != nil {
		return err
	}
	return s.store.AddAliases(ctx, a.CollectionID, a.ID, wanted, s.now())
}

// AliasIn is an alias in a collection of a project.
type AliasIn struct{ Entity, Project, Collection, Alias string }

// AddAliases gives aliases to a version in collections that it is in. Other versions there lose them.
func (s *Service) AddAliases(ctx context.Context, id store.ID, aliases []AliasIn) error {
	return s.eachCollection(ctx, id, aliases, func(c *Collection, names []string) error {
		names, err := checkAliases(names)
		if err != nil {
			return err
		}
		err = s.store.AddAliases(ctx, c.ArtifactCollection.ID, id, names, s.now())
		if errors.Is(err, store.ErrNotFound) {
			return missing("artifact in "+string(c.Name), err)
		}
		return err
	})
}

// DeleteAliases takes aliases from a version. Those that it does not have are no error.
func (s *Service) DeleteAliases(ctx context.Context, id store.ID, aliases []AliasIn) error {
	return s.eachCollection(ctx, id, aliases, func(c *Collection, names []string) error {
		return s.store.DeleteAliases(ctx, c.ArtifactCollection.ID, id, names, s.now())
	})
}

// eachCollection calls f for each collection that aliases name and the user may write.
func (s *Service) eachCollection(ctx context.Context, id store.ID, aliases []AliasIn, f func(*Collection, []string) error) error {
	if len(aliases) > maxAliases {
		return invalid(fmt.Sprintf("there are more than %d aliases", maxAliases))
	}
	if _, _, err := s.alive(ctx, id, access.Read); err != nil {
		return err
	}
	names := make(map[AliasIn][]string)
	for _, alias := range aliases {
		in := AliasIn{Entity: alias.Entity, Project: alias.Project, Collection: alias.Collection}
		names[in] = append(names[in], alias.Alias)
	}
	for in, list := range names {
		place, err := s.guard.Project(ctx, in.Entity, in.Project, access.Write)
		if err != nil {
			return err
		}
		c, err := s.CollectionByName(ctx, place, in.Collection)
		if err != nil {
			return err
		}
		if err := f(c, list); err != nil {
			return err
		}
	}
	return nil
}

// Delete deletes a version; with aliases only where that is asked for. Its bytes are freed in the background.
func (s *Service) Delete(ctx context.Context, id store.ID, withAliases bool) error {
	if _, _, err := s.alive(ctx, id, access.Write); err != nil {
		return err
	}
	err := s.store.DeleteArtifact(ctx, id, withAliases, s.now())
	switch {
	case errors.Is(err, store.ErrHasAliases):
		return conflict("the artifact has aliases and cannot be deleted", "Delete the aliases too: artifact.delete(delete_aliases=True).")
	case errors.Is(err, store.ErrNotFound):
		return missing("artifact", err)
	}
	return err
}

// Link is a version that is to be a member of a portfolio.
type Link struct {
	// Artifact or ClientID names the version.
	Artifact store.ID
	ClientID string
	// PortfolioID names the portfolio; where it is 0, its name and those of its project do.
	PortfolioID                store.ID
	Entity, Project, Portfolio string
	Aliases                    []string
}

// Link makes a version a member of a portfolio. Portfolio and project are made where they are missing.
func (s *Service) Link(ctx context.Context, l Link) (*Member, error) {
	aliases, err := checkAliases(l.Aliases)
	if err != nil {
		return nil, err
	}
	if l.Artifact == 0 {
		if l.Artifact, err = s.ByClientID(ctx, l.ClientID); err != nil {
			return nil, err
		}
	}
	a, _, err := s.alive(ctx, l.Artifact, access.Read)
	if err != nil {
		return nil, err
	}
	sequence, err := s.store.Collection(ctx, a.CollectionID)
	if err != nil {
		return nil, err
	}
	portfolio, err := s.portfolio(ctx, l, string(sequence.TypeName))
	if err != nil {
		return nil, err
	}
	row, err := s.store.LinkArtifact(ctx, portfolio.ArtifactCollection.ID, a.ID, aliases, s.now())
	if err != nil {
		return nil, err
	}
	members, err := s.members(ctx, portfolio, []store.ArtifactMembership{row})
	if err != nil {
		return nil, err
	}
	return members[0], nil
}

func (s *Service) portfolio(ctx context.Context, l Link, typeName string) (*Collection, error) {
	if l.PortfolioID != 0 {
		c, err := s.CollectionByID(ctx, l.PortfolioID, access.Write)
		if err == nil && (c.Kind != store.Portfolio || string(c.TypeName) != typeName) {
			return nil, conflict(fmt.Sprintf("%s is no portfolio of type %s", c.Name, typeName), "")
		}
		return c, err
	}
	if err := checkName("a portfolio", l.Portfolio); err != nil {
		return nil, err
	}
	place, err := s.ensureProject(ctx, l.Entity, l.Project)
	if err != nil {
		return nil, err
	}
	row, err := s.ensure(ctx, place, store.Portfolio, typeName, l.Portfolio)
	return s.withTags(ctx, row, place, err)
}

func (s *Service) ensureProject(ctx context.Context, entity, name string) (access.Place, error) {
	place, err := s.guard.Project(ctx, entity, name, access.Write)
	if !access.IsNotFound(err) {
		return place, err
	}
	owner, err := s.guard.Entity(ctx, entity, access.Write)
	if err != nil {
		return place, err
	}
	if err := checkName("a project", name); err != nil {
		return place, err
	}
	now := s.now()
	if _, _, err := s.store.EnsureProject(ctx, store.Project{
		EntityID: owner.ID, Name: store.Text(name), Access: store.AccessPrivate, CreatedAt: now, UpdatedAt: now,
	}); err != nil {
		return place, err
	}
	return s.guard.Project(ctx, entity, name, access.Write)
}

// Unlink takes a version out of a portfolio.
func (s *Service) Unlink(ctx context.Context, artifact, portfolio store.ID) error {
	if _, _, err := s.alive(ctx, artifact, access.Read); err != nil {
		return err
	}
	c, err := s.CollectionByID(ctx, portfolio, access.Write)
	if err != nil {
		return err
	}
	if c.Kind != store.Portfolio {
		return conflict("a version cannot be unlinked from the sequence that it was made in", "Delete it instead.")
	}
	err = s.store.UnlinkArtifact(ctx, portfolio, artifact, s.now())
	if errors.Is(err, store.ErrNotFound) {
		return missing("artifact in "+string(c.Name), err)
	}
	return err
}

// ByClientID returns the version, or the sequence, that the client of a user calls by an id of its own.
func (s *Service) ByClientID(ctx context.Context, clientID string) (store.ID, error) {
	holder, err := s.Client(ctx, clientID)
	if err == nil && holder.Kind != store.ClientArtifact {
		return 0, missing("artifact", store.ErrNotFound)
	}
	return holder.HolderID, err
}

// maxHolders are looked at for one id: ids are random, and only somebody who guesses one makes a second row.
const maxHolders = 20

// Client returns what the user's clients call by an id.
func (s *Service) Client(ctx context.Context, clientID string) (store.ArtifactClient, error) {
	rows, err := s.store.ClientHolders(ctx, clientID, maxHolders)
	if err != nil {
		return store.ArtifactClient{}, err
	}
	for _, row := range rows {
		if row.Kind == store.ClientArtifact {
			_, _, err = s.alive(ctx, row.HolderID, access.Read)
		} else {
			_, err = s.CollectionByID(ctx, row.HolderID, access.Read)
		}
		if !access.IsNotFound(err) {
			return row, err
		}
	}
	return store.ArtifactClient{}, missing("artifact", store.ErrNotFound)
}
