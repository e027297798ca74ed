package scim

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scim2/filter-parser/v2"

	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/redact"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// userName is what a directory calls a user: what it said itself, or our username.
func userName(u account.User) string {
	if u.LoginName != "" {
		return u.LoginName
	}
	return u.Username
}

// userTree is a user as the directory sees it.
func (h handler) userTree(u account.User) tree {
	id := strconv.FormatInt(int64(u.ID), 10)
	given, family := splitName(u.Name)
	resource := tree{
		"schemas": []any{schemaUser}, "id": id, "userName": userName(u), "displayName": u.Name, "active": !u.Disabled,
		"name":   tree{"formatted": u.Name, "givenName": given, "familyName": family},
		"emails": []any{tree{"value": u.Email, "type": "work", "primary": true}},
		"meta": tree{
			"resourceType": "User", "created": u.CreatedAt.UTC().Format(time.RFC3339), "location": h.base + "/Users/" + id,
		},
	}
	if u.ExternalID != "" {
		resource["externalId"] = u.ExternalID
	}
	return resource
}

// splitName takes the last word for the family's. Only one name is kept.
func splitName(name string) (given, family string) {
	i := strings.LastIndex(name, " ")
	if i < 0 {
		return name, ""
	}
	return name[:i], name[i+1:]
}

// person is what a directory says of a user.
type person struct {
	userName, externalID, email, name, password string
	active                                      bool
}

// personOf reads a resource. Before is what the directory saw, where it changes a user: of two names that disagree, the one
// that it changed counts.
func personOf(resource, before tree) person {
	p := person{
		userName: textOf(resource, "userName"), externalID: textOf(resource, "externalId"), password: textOf(resource, "password"),
		email: emailOf(resource), name: nameOf(resource, before), active: true,
	}
	active := lookup(resource, "active")
	if active == nil {
		active = lookup(before, "active") // who does not speak of it does not wake a disabled user
	}
	switch active := active.(type) {
	case bool:
		p.active = active
	case string: // some directories send words
		p.active = !strings.EqualFold(active, "false")
	}
	if p.email == "" {
		p.email = emailOf(before)
	}
	if p.email == "" && strings.Contains(p.userName, "@") {
		p.email = p.userName
	}
	if p.name == "" {
		p.name = p.userName
	}
	return p
}

func textOf(resource tree, name string) string {
	text, _ := lookup(resource, name).(string)
	return strings.TrimSpace(text)
}

// emailOf is the primary address, or the first one.
func emailOf(resource tree) string {
	list, _ := lookup(resource, "emails").([]any)
	first := ""
	for _, element := range list {
		t, ok := element.(tree)
		if !ok {
			continue
		}
		value := textOf(t, "value")
		if primary, _ := lookup(t, "primary").(bool); primary && value != "" {
			return value
		}
		if first == "" {
			first = value
		}
	}
	return first
}

func nameOf(resource, before tree) string {
	names := func(r tree) (display, formatted, parts string) {
		name, _ := lookup(r, "name").(tree)
		parts = strings.TrimSpace(textOf(name, "givenName") + " " + textOf(name, "familyName"))
		return textOf(r, "displayName"), textOf(name, "formatted"), parts
	}
	display, formatted, parts := names(resource)
	oldDisplay, oldFormatted, oldParts := names(before)
	for _, candidate := range []struct{ now, old string }{{display, oldDisplay}, {formatted, oldFormatted}, {parts, oldParts}} {
		if candidate.now != "" && candidate.now != candidate.old {
			return candidate.now
		}
	}
	return oldDisplay
}

func (h handler) listUsers(ctx context.Context, q query) (page, error) {
	if u, indexed, err := h.userByIndex(ctx, q.filter); indexed {
		if err != nil {
			return page{}, err
		}
		return h.oneUser(u, q), nil
	}
	collected := newPage(q)
	err := h.Accounts.Users(ctx, func(u account.User) error {
		if !u.Service {
			collected.add(func() tree { return h.userTree(u) })
		}
		return nil
	})
	return collected.page, err
}

func (h handler) oneUser(u *account.User, q query) page {
	collected := newPage(q)
	if u != nil && !u.Service {
		collected.add(func() tree { return h.userTree(*u) })
	}
	return collected.page
}

// userByIndex answers the filters that directories send for every user, by one query each.
func (h handler) userByIndex(ctx context.Context, e filter.Expression) (u *account.User, indexed bool, err error) {
	attribute, value, ok := asked(e)
	if !ok {
		return nil, false, nil
	}
	var found account.User
	switch attribute {
	case "username":
		found, err = h.Accounts.UserByDirectory(ctx, value)
	case "externalid":
		found, err = h.Accounts.UserByExternalID(ctx, value)
	case "emails":
		found, err = h.Accounts.UserByEmail(ctx, value)
	case "id":
		found, err = h.userByID(ctx, value)
	default:
		return nil, false, nil
	}
	if fault.Reason(err, "") == account.ReasonNotFound {
		return nil, true, nil
	}
	return &found, true, err
}

func (h handler) userByID(ctx context.Context, id string) (account.User, error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return account.User{}, notFound()
	}
	u, err := h.Accounts.UserByID(ctx, store.ID(number))
	if err == nil && u.Service {
		return account.User{}, notFound()
	}
	return u, err
}

func (h handler) getUser(ctx context.Context, r *http.Request) (tree, error) {
	u, err := h.userByID(ctx, r.PathValue("id"))
	return h.userTree(u), err
}

func (h handler) createUser(ctx context.Context, resource tree) (tree, error) {
	p := personOf(resource, nil)
	if p.userName == "" {
		return nil, invalidValue("userName is required")
	}
	if _, err := h.Accounts.UserByDirectory(ctx, p.userName); err == nil {
		return nil, conflict("a user with this userName exists")
	} else if fault.Reason(err, "") != account.ReasonNotFound {
		return nil, err
	}
	u, err := h.Accounts.CreateDirectoryUser(ctx, account.NewUser{
		Username: p.userName, Email: p.email, Name: p.name, Password: redact.Secret(p.password), ExternalID: p.externalID, Disabled: !p.active,
	})
	return h.userTree(u), err
}

// changeUser writes what is different between what the directory saw and what it wants.
func (h handler) changeUser(ctx context.Context, u account.User, before, after tree) (tree, error) {
	was, want := personOf(before, nil), personOf(after, before)
	var c account.Change
	different := func(field **string, old, now string) {
		if old != now {
			*field = &now
		}
	}
	different(&c.Email, was.email, want.email)
	different(&c.Name, u.Name, want.name)
	different(&c.ExternalID, was.externalID, want.externalID)
	if want.userName == "" {
		return nil, invalidValue("userName is required")
	}
	if !strings.EqualFold(was.userName, want.userName) {
		if err := h.freeName(ctx, u, want.userName); err != nil {
			return nil, err
		}
	}
	if was.userName != want.userName {
		c.LoginName = &want.userName
	}
	if disabled := !want.active; disabled != u.Disabled {
		c.Disabled = &disabled
	}
	if want.password != "" {
		secret := redact.Secret(want.password)
		c.Password = &secret
	}
	if err := h.Accounts.UpdateUser(ctx, u, c); err != nil {
		return nil, err
	}
	u, err := h.Accounts.UserByID(ctx, u.ID)
	return h.userTree(u), err
}

func (h handler) freeName(ctx context.Context, u account.User, name string) error {
	other, err := h.Accounts.UserByDirectory(ctx, name)
	switch {
	case fault.Reason(err, "") == account.ReasonNotFound:
		return nil
	case err == nil && other.ID != u.ID:
		return conflict("a user with this userName exists")
	}
	return err
}

func (h handler) replaceUser(ctx context.Context, r *http.Request, resource tree) (tree, error) {
	u, err := h.userByID(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return h.changeUser(ctx, u, h.userTree(u), resource)
}

func (h handler) patchUser(ctx context.Context, r *http.Request, operations []operation) (tree, error) {
	u, err := h.userByID(ctx, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	after := h.userTree(u)
	if err := patch(after, operations); err != nil {
		return nil, invalidPath(err)
	}
	return h.changeUser(ctx, u, h.userTree(u), after)
}

func (h handler) deleteUser(ctx context.Context, r *http.Request) error {
	u, err := h.userByID(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.Accounts.DeleteUser(ctx, u, false) // the projects stay for administrators
}
