package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/admin"
	"github.com/kubewandb/kubewandb/internal/server/store"
)

// deletion says what was deleted.
type deletion struct {
	Deleted string `json:"deleted"`
}

func teamCommand(s *settings) *cobra.Command {
	var name, organization, first string
	create := &cobra.Command{
		Use: "create", Short: "Create a team", Args: cobra.NoArgs,
		Example: "  server admin team create --name ml --admin ada",
	}
	create.Flags().StringVar(&name, "name", "", "name of the team, which is also that of its entity")
	create.Flags().StringVar(&organization, "org", "", "organization that it belongs to (default: the instance's own)")
	create.Flags().StringVar(&first, "admin", "", "username of its first member, who administers it")
	require(create, "name")
	create.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		n := account.NewTeam{Name: name, Organization: organization}
		if first != "" {
			user, err := accounts.UserByUsername(ctx, first)
			if err != nil {
				return nil, err
			}
			n.Admin = &user
		}
		made, err := accounts.CreateTeam(ctx, n)
		return admin.TeamOf(made), err
	})
	list := &cobra.Command{Use: "list", Short: "List teams, oldest first", Args: cobra.NoArgs}
	list.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		teams := []admin.Team{}
		err := accounts.Teams(ctx, nil, func(t account.Team) error {
			teams = append(teams, admin.TeamOf(t))
			return nil
		})
		return teams, err
	})
	return commandline.Group("team", "Create, list, show and delete teams", create, list,
		s.named("show", "Show a team with its members", "the team", func(ctx context.Context, accounts *account.Service, name string) (any, error) {
			found, err := accounts.TeamByName(ctx, name)
			if err != nil {
				return nil, err
			}
			return admin.FullTeam(ctx, accounts, found)
		}),
		teamDeleteCommand(s))
}

func teamDeleteCommand(s *settings) *cobra.Command {
	var projects bool
	del := s.named("delete", "Delete a team that has no projects, with its invitations and service accounts", "the team",
		func(ctx context.Context, accounts *account.Service, name string) (any, error) {
			found, err := accounts.TeamByName(ctx, name)
			if err != nil {
				return nil, err
			}
			return deletion{found.Name}, accounts.DeleteTeam(ctx, found, projects)
		})
	del.Flags().BoolVar(&projects, "delete-projects", false, "delete its projects as well, with everything in them")
	return del
}

// named makes a command that does something with the one thing that --name names.
func (s *settings) named(use, short, what string, action func(ctx context.Context, accounts *account.Service, name string) (any, error)) *cobra.Command {
	var name string
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	cmd.Flags().StringVar(&name, "name", "", what)
	require(cmd, "name")
	cmd.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		return action(ctx, accounts, name)
	})
	return cmd
}

func orgCommand(s *settings) *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List organizations, oldest first", Args: cobra.NoArgs}
	list.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		found := []admin.Organization{}
		err := accounts.Organizations(ctx, func(o account.Organization) error {
			found = append(found, admin.OrganizationOf(o))
			return nil
		})
		return found, err
	})
	return commandline.Group("org", "Create, list, show and delete organizations", list,
		s.named("create", "Create an organization", "its name", func(ctx context.Context, accounts *account.Service, name string) (any, error) {
			made, err := accounts.CreateOrganization(ctx, name)
			return admin.OrganizationOf(made), err
		}),
		s.named("show", "Show an organization with its teams and members", "the organization", func(ctx context.Context, accounts *account.Service, name string) (any, error) {
			found, err := accounts.OrganizationByName(ctx, name)
			if err != nil {
				return nil, err
			}
			return admin.FullOrganization(ctx, accounts, found)
		}),
		s.named("delete", "Delete an organization that has no teams and no projects", "the organization", func(ctx context.Context, accounts *account.Service, name string) (any, error) {
			found, err := accounts.OrganizationByName(ctx, name)
			if err != nil {
				return nil, err
			}
			return deletion{found.Name}, accounts.DeleteOrganization(ctx, found)
		}))
}

// place is where somebody is a member: a team or an organization.
type place struct{ team, organization string }

func (p *place) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.team, "team", "", "the team")
	cmd.Flags().StringVar(&p.organization, "org", "", "the organization, in place of a team")
	cmd.MarkFlagsOneRequired("team", "org")
	cmd.MarkFlagsMutuallyExclusive("team", "org")
}

func (p *place) entity(ctx context.Context, accounts *account.Service) (store.ID, error) {
	if p.organization != "" {
		found, err := accounts.OrganizationByName(ctx, p.organization)
		return found.EntityID, err
	}
	found, err := accounts.TeamByName(ctx, p.team)
	return found.ID, err
}

func memberCommand(s *settings) *cobra.Command {
	var where place
	var username, role string
	set := &cobra.Command{
		Use: "set", Short: "Add a member, or change its role", Args: cobra.NoArgs,
		Example: "  server admin member set --team ml --username ada --role admin",
	}
	where.flags(set)
	set.Flags().StringVar(&username, "username", "", "the user")
	set.Flags().StringVar(&role, "role", "member", "viewer, member or admin")
	require(set, "username")
	set.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		parsed, err := account.ParseRole(role)
		if err != nil {
			return nil, err
		}
		entity, user, err := resolve(ctx, accounts, &where, username)
		if err != nil {
			return nil, err
		}
		return map[string]string{"username": user.Username, "role": parsed.String()}, accounts.SetMember(ctx, entity, user, parsed)
	})
	var from place
	remove := &cobra.Command{Use: "remove", Short: "Take a member out", Args: cobra.NoArgs}
	from.flags(remove)
	remove.Flags().StringVar(&username, "username", "", "the user")
	require(remove, "username")
	remove.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		entity, user, err := resolve(ctx, accounts, &from, username)
		if err != nil {
			return nil, err
		}
		return map[string]string{"removed": user.Username}, accounts.RemoveMember(ctx, entity, user.ID)
	})
	return commandline.Group("member", "Add and remove members of teams and organizations", set, remove)
}

func resolve(ctx context.Context, accounts *account.Service, where *place, username string) (store.ID, account.User, error) {
	entity, err := where.entity(ctx, accounts)
	if err != nil {
		return 0, account.User{}, err
	}
	user, err := accounts.UserByUsername(ctx, username)
	return entity, user, err
}

func serviceCommand(s *settings) *cobra.Command {
	var team, username, description, role, key string
	create := &cobra.Command{
		Use: "create", Short: "Create a service account of a team, and print its API key, this once", Args: cobra.NoArgs,
		Example: "  server admin service-account create --team ml --description 'nightly training'",
	}
	f := create.Flags()
	f.StringVar(&team, "team", "", "the team")
	f.StringVar(&username, "username", "", "username (default: made of team and description)")
	f.StringVar(&description, "description", "", "what it is for")
	f.StringVar(&role, "role", "member", "viewer, member or admin")
	f.StringVar(&key, "api-key", "", "give it this API key; \"-\" reads it from standard input (default: a new random one)")
	require(create, "team")
	create.RunE = s.administer(func(ctx context.Context, cmd *cobra.Command, accounts *account.Service) (any, error) {
		parsed, err := account.ParseRole(role)
		if err != nil {
			return nil, err
		}
		found, err := accounts.TeamByName(ctx, team)
		if err != nil {
			return nil, err
		}
		given, err := chooseKey(key, linesOf(cmd.InOrStdin()))
		if err != nil {
			return nil, err
		}
		return admin.CreateService(ctx, accounts, account.NewService{
			Team: found, Username: username, Description: description, Role: parsed, APIKey: given,
		})
	})
	return commandline.Group("service-account", "Create accounts of programs; delete them with `server admin user delete`", create)
}
