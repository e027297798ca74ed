package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/kubewandb/kubewandb/internal/server/account"
)

func (a api) projects(ctx context.Context, r *http.Request) (int, any, error) {
	shown := []Project{}
	err := a.Accounts.Projects(ctx, r.PathValue("entity"), func(p account.Project) error {
		shown = append(shown, ProjectOf(p))
		return nil
	})
	return http.StatusOK, shown, err
}

func (a api) deleteProject(ctx context.Context, r *http.Request) (int, any, error) {
	project, err := a.Accounts.ProjectByName(ctx, r.PathValue("entity"), r.PathValue("name"))
	if err != nil {
		return 0, nil, err
	}
	return 0, nil, a.Accounts.DeleteProject(ctx, project)
}

// deleteProjects tells whether a request wants the projects of a user or a team deleted as well.
func deleteProjects(r *http.Request) (bool, error) {
	text := r.URL.Query().Get("deleteProjects")
	if text == "" {
		return false, nil
	}
	wanted, err := strconv.ParseBool(text)
	if err != nil {
		return false, &bodyError{err}
	}
	return wanted, nil
}
