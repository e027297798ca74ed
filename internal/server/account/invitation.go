package account

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// invitationLife is how long somebody has to accept.
const invitationLife = 14 * 24 * time.Hour

// Invitation asks somebody without an account into a team.
type Invitation struct {
	ID        store.ID
	Email     string
	Role      Role
	CreatedAt time.Time
	ExpiresAt time.Time
}

func invitationOf(row store.Invitation) Invitation {
	return Invitation{
		ID: row.ID, Email: string(row.Email), Role: Role(row.Role), CreatedAt: row.CreatedAt.Time(), ExpiresAt: row.ExpiresAt.Time(),
	}
}

// Invited is what came of an invitation: somebody who has an account is a member at once, others hold an invitation.
type Invited struct {
	// Member is the new member; nil where there is no such account yet.
	Member     *User
	Invitation Invitation
	// Token goes into the link that invites, and is known nowhere else.
	Token redact.Secret
}

// Invite brings somebody into a team, by username or by email address.
func (s *Service) Invite(ctx context.Context, entity store.ID, by User, login string, role Role) (Invited, error) {
	login = strings.TrimSpace(login)
	row, err := s.userByLogin(ctx, fold(login))
	switch {
	case err == nil && row.DeletedAt == 0:
		user := userOf(row)
		return Invited{Member: &user}, s.join(ctx, entity, user, role)
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return Invited{}, err
	case !strings.Contains(login, "@"):
		return Invited{}, missing("invite "+login, "there is no such user", "Invite somebody without an account by email address.")
	}
	if err := CheckEmail(login); err != nil {
		return Invited{}, err
	}
	return s.inviteAddress(ctx, entity, by, login, role)
}

// join makes somebody a member who is none, and says so where they are.
func (s *Service) join(ctx context.Context, entity store.ID, user User, role Role) error {
	if user.Service {
		return invalid("username", "a service account belongs to its own team")
	}
	members, err := s.store.Members(ctx, entity)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.ID == user.ID {
			return taken("username", "this user is a member already")
		}
	}
	return s.SetMember(ctx, entity, user, role)
}

func (s *Service) inviteAddress(ctx context.Context, entity store.ID, by User, email string, role Role) (Invited, error) {
	token := newToken()
	row, err := s.store.InsertInvitation(ctx, store.Invitation{
		EntityID: entity, Email: store.Text(email), EmailKey: store.Text(fold(email)), Role: int64(role),
		TokenHash: digest(token.Reveal()), InvitedBy: by.ID,
		CreatedAt: store.At(s.now()), ExpiresAt: store.At(s.now().Add(invitationLife)),
	})
	if errors.Is(err, store.ErrNotFound) {
		return Invited{}, missing("invite "+email, "there is no such team", "")
	}
	return Invited{Invitation: invitationOf(row), Token: token}, err
}

// newToken makes a secret of 256 random bits for an address or a header.
func newToken() redact.Secret {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return redact.Secret(base64.RawURLEncoding.EncodeToString(raw))
}

// Invitations returns the open invitations to an entity, oldest first.
func (s *Service) Invitations(ctx context.Context, entity store.ID) ([]Invitation, error) {
	rows, err := s.store.Invitations(ctx, entity, s.now())
	found := make([]Invitation, len(rows))
	for i, row := range rows {
		found[i] = invitationOf(row)
	}
	return found, err
}

// Uninvite takes an invitation back.
func (s *Service) Uninvite(ctx context.Context, entity, invitation store.ID) error {
	err := s.store.DeleteInvitation(ctx, entity, invitation)
	if errors.Is(err, store.ErrNotFound) {
		return missing("take the invitation back", "there is no such invitation", "")
	}
	return err
}

// InvitationByToken returns an open invitation; ReasonNotFound where there is none.
func (s *Service) InvitationByToken(ctx context.Context, token redact.Secret) (Invitation, error) {
	row, err := s.store.InvitationByToken(ctx, digest(token.Reveal()), s.now())
	if errors.Is(err, store.ErrNotFound) {
		return Invitation{}, missing("read the invitation", "the invitation has expired or was taken back", "Ask for a new one.")
	}
	return invitationOf(row), err
}

// Accept makes the account of somebody who holds an invitation, with the address that was invited, and signs it in. The new
// user is a member of every team that has invited the address.
func (s *Service) Accept(ctx context.Context, token redact.Secret, n NewUser) (User, Session, error) {
	invitation, err := s.InvitationByToken(ctx, token)
	if err != nil {
		return User{}, Session{}, err
	}
	if n.Password == "" {
		return User{}, Session{}, invalid("password", "choose a password")
	}
	n.Email, n.Admin = invitation.Email, false
	row, err := s.prepare(ctx, n)
	if err != nil {
		return User{}, Session{}, err
	}
	session, sessionRow := s.newSession(0)
	created, err := s.create(ctx, store.NewUser{User: row, Session: &sessionRow, Invitation: invitation.ID})
	if errors.Is(err, store.ErrNotFound) {
		return User{}, Session{}, missing("accept the invitation", "the invitation was taken back", "Ask for a new one.")
	}
	return userOf(created), session, err
}
