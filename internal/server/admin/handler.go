package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// maxBody bounds a request.
const maxBody = 64 << 10

// Options set up a Handler.
type Options struct {
	Accounts *account.Service
	Quotas   *quota.Service
	// Host is the external URL, for the links of invitations.
	Host string
	// Fail answers with an error of the rules.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
}

// api answers with an object, and a status where it is not 200.
type api struct{ Options }

type action func(ctx context.Context, r *http.Request) (status int, answer any, err error)

// Handler answers everything below /api/admin/.
func Handler(o Options) http.Handler {
	a := api{o}
	mux := http.NewServeMux()
	for pattern, act := range map[string]action{
		"GET /api/admin/users":                                      a.users,
		"POST /api/admin/users":                                     a.createUser,
		"GET /api/admin/users/{username}":                           a.user,
		"PATCH /api/admin/users/{username}":                         a.changeUser,
		"DELETE /api/admin/users/{username}":                        a.deleteUser,
		"POST /api/admin/users/{username}/identities":               a.linkUser,
		"GET /api/admin/teams":                                      a.teams,
		"POST /api/admin/teams":                                     a.createTeam,
		"GET /api/admin/teams/{name}":                               a.ofTeam(a.team),
		"DELETE /api/admin/teams/{name}":                            a.ofTeam(a.deleteTeam),
		"PUT /api/admin/teams/{name}/members/{username}":            a.ofTeam(a.setTeamMember),
		"DELETE /api/admin/teams/{name}/members/{username}":         a.ofTeam(a.removeTeamMember),
		"POST /api/admin/teams/{name}/invitations":                  a.ofTeam(a.invite),
		"POST /api/admin/teams/{name}/service-accounts":             a.ofTeam(a.createService),
		"GET /api/admin/entities/{entity}/projects":                 a.projects,
		"DELETE /api/admin/entities/{entity}/projects/{name}":       a.deleteProject,
		"GET /api/admin/quotas":                                     a.quotas,
		"GET /api/admin/entities/{entity}/quota":                    a.ofEntity(a.quota),
		"PUT /api/admin/entities/{entity}/quota":                    a.ofEntity(a.setQuota),
		"DELETE /api/admin/entities/{entity}/quota":                 a.ofEntity(a.unsetQuota),
		"POST /api/admin/entities/{entity}/measurements":            a.ofEntity(a.measure),
		"GET /api/admin/organizations":                              a.organizations,
		"POST /api/admin/organizations":                             a.createOrganization,
		"GET /api/admin/organizations/{name}":                       a.ofOrganization(a.organization),
		"DELETE /api/admin/organizations/{name}":                    a.ofOrganization(a.deleteOrganization),
		"PUT /api/admin/organizations/{name}/members/{username}":    a.ofOrganization(a.setOrganizationMember),
		"DELETE /api/admin/organizations/{name}/members/{username}": a.ofOrganization(a.removeOrganizationMember),
	} {
		mux.Handle(pattern, a.answer(act))
	}
	return mux
}

func (a api) answer(act action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, value, err := act(r.Context(), r)
		if err != nil {
			a.failed(w, r, err)
			return
		}
		if value == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		write(w, status, value)
	})
}

func (a api) failed(w http.ResponseWriter, r *http.Request, err error) {
	var body *bodyError
	if !errors.As(err, &body) {
		a.Fail(w, r, err)
		return
	}
	status := http.StatusBadRequest
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		status = http.StatusRequestEntityTooLarge
	}
	write(w, status, map[string]string{"error": "The request is not the JSON that this address expects."})
}

func write(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil { // only types of this package come here, and they all encode
		status, text = http.StatusInternalServerError, []byte(`{"error":"internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // nobody is left to tell
}

// bodyError is a body that cannot be read or is no JSON of the expected form.
type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

// read decodes a body; a field that is not known is a mistake that would otherwise go unnoticed.
func read(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return &bodyError{err}
	}
	return nil
}

func (a api) users(ctx context.Context, _ *http.Request) (int, any, error) {
	shown := []User{}
	err := a.Accounts.Users(ctx, func(u account.User) error {
		shown = append(shown, UserOf(u))
		return nil
	})
	return http.StatusOK, shown, err
}

func (a api) createUser(ctx context.Context, r *http.Request) (int, any, error) {
	var form struct {
		Username string        `json:"username"`
		Email    string        `json:"email"`
		Name     string        `json:"name"`
		Password redact.Secret `json:"password"`
		Admin    bool          `json:"admin"`
		APIKey   redact.Secret `json:"apiKey"`
	}
	if err := read(r, &form); err != nil {
		return 0, nil, err
	}
	user, err := a.Accounts.CreateUser(ctx, account.NewUser{
		Username: form.Username, Email: form.Email, Name: form.Name, Password: form.Password, Admin: form.Admin, APIKey: form.APIKey,
	})
	return http.StatusCreated, UserOf(user), err
}

func (a api) user(ctx context.Context, r *http.Request) (int, any, error) {
	user, err := a.Accounts.UserByUsername(ctx, r.PathValue("username"))
	return http.StatusOK, UserOf(user), err
}

func (a api) changeUser(ctx context.Context, r *http.Request) (int, any, error) {
	var form struct {
		Email    *string        `json:"email"`
		Name     *string        `json:"name"`
		Admin    *bool          `json:"admin"`
		Disabled *bool          `json:"disabled"`
		Password *redact.Secret `json:"password"`
	}
	if err := read(r, &form); err != nil {
		return 0, nil, err
	}
	user, err := a.Accounts.UserByUsername(ctx, r.PathValue("username"))
	if err != nil {
		return 0, nil, err
	}
	err = a.Accounts.UpdateUser(ctx, user, account.Change{
		Email: form.Email, Name: form.Name, Admin: form.Admin, Disabled: form.Disabled, Password: form.Password,
	})
	if err != nil {
		return 0, nil, err
	}
	user, err = a.Accounts.UserByID(ctx, user.ID)
	return http.StatusOK, UserOf(user), err
}

func (a api) deleteUser(ctx context.Context, r *http.Request) (int, any, error) {
	user, err := a.Accounts.UserByUsername(ctx, r.PathValue("username"))
	if err != nil {
		return 0, nil, err
	}
	projects, err := deleteProjects(r)
	if err != nil {
		return 0, nil, err
	}
	return 0, nil, a.Accounts.DeleteUser(ctx, user, projects)
}

func (a api) linkUser(ctx context.Context, r *http.Request) (int, any, error) {
	var form struct {
		Issuer  string `json:"issuer"`
		Subject string `json:"subject"`
	}
	if err := read(r, &form); err != nil {
		return 0, nil, err
	}
	user, err := a.Accounts.UserByUsername(ctx, r.PathValue("username"))
	if err != nil {
		return 0, nil, err
	}
	return 0, nil, a.Accounts.LinkIdentity(ctx, user, form.Issuer, form.Subject)
}

// setMember adds somebody to an entity, or changes the role.
func (a api) setMember(ctx context.Context, r *http.Request, entity store.ID) error {
	var form struct {
		Role string `json:"role"`
	}
	if err := read(r, &form); err != nil {
		return err
	}
	role, err := account.ParseRole(form.Role)
	if err != nil {
		return err
	}
	user, err := a.Accounts.UserByUsername(ctx, r.PathValue("username"))
	if err != nil {
		return err
	}
	return a.Accounts.SetMember(ctx, entity, user, role)
}

func (a api) removeMember(ctx context.Context, r *http.Request, entity store.ID) error {
	user, err := a.Accounts.UserByUsername(ctx, r.PathValue("username"))
	if err != nil {
		return err
	}
	return a.Accounts.RemoveMember(ctx, entity, user.ID)
}
