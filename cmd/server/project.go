package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kubewandb/kubewandb/internal/commandline"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/admin"
)

func projectCommand(s *settings) *cobra.Command {
	return commandline.Group("project", "List and delete projects", projectListCommand(s), projectDeleteCommand(s))
}

func projectListCommand(s *settings) *cobra.Command {
	var entity string
	list := &cobra.Command{Use: "list", Short: "List the projects of a user or a team, newest first", Args: cobra.NoArgs}
	list.Flags().StringVar(&entity, "entity", "", "the user or the team")
	require(list, "entity")
	list.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		projects := []admin.Project{}
		err := accounts.Projects(ctx, entity, func(p account.Project) error {
			projects = append(projects, admin.ProjectOf(p))
			return nil
		})
		return projects, err
	})
	return list
}

func projectDeleteCommand(s *settings) *cobra.Command {
	var entity, name string
	del := &cobra.Command{
		Use: "delete", Short: "Delete a project with everything in it, for good", Args: cobra.NoArgs,
		Long: "Delete a project with its runs, files, artifacts, sweeps and views, for good. Nobody sees it from then on, and its name is free; " +
			"a running server removes what it held, in the bucket too: at once what nobody can be about to use, the rest within three days.",
		Example: "  server admin project delete --entity ml --name old-experiments",
	}
	del.Flags().StringVar(&entity, "entity", "", "the user or the team that the project belongs to")
	del.Flags().StringVar(&name, "name", "", "the project")
	require(del, "entity", "name")
	del.RunE = s.administer(func(ctx context.Context, _ *cobra.Command, accounts *account.Service) (any, error) {
		found, err := accounts.ProjectByName(ctx, entity, name)
		if err != nil {
			return nil, err
		}
		return admin.ProjectOf(found), accounts.DeleteProject(ctx, found)
	})
	return del
}
