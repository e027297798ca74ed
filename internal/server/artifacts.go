package server

import (
	"context"
	"net/http"

	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
)

// artifactFile sends whoever may read a project to the bytes of an MD5. The address names the version that the bytes were
// uploaded for, and may name the one that they are read from.
func (s *Server) artifactFile(w http.ResponseWriter, r *http.Request) {
	s.redirect(w, r, func(ctx context.Context) (string, error) {
		birth, _ := artifact.ParseArtifactID(r.PathValue("birth")) // 0 finds nothing, and the project is asked
		return s.artifacts.Located(ctx, r.PathValue("entity"), r.PathValue("project"), r.PathValue("collection"), birth, r.PathValue("md5"))
	})
}

// entityFile is the two older addresses, which name no project; one names the version that the bytes were uploaded for, as 0.19 of
// the client asks.
func (s *Server) entityFile(w http.ResponseWriter, r *http.Request) {
	s.redirect(w, r, func(ctx context.Context) (string, error) {
		return s.artifacts.LocatedInEntity(ctx, r.PathValue("entity"), r.PathValue("md5"))
	})
}

// redirect sends the user of a request to the address that f finds.
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, f func(ctx context.Context) (string, error)) {
	setAPIHeaders(w)
	allowAnyOrigin(w)
	w.Header().Set("Cache-Control", "no-store") // the address that it leads to expires
	user, err := s.authenticate(w, r)
	if err != nil {
		s.refuseGraphQL(w, r, err)
		return
	}
	address, err := f(account.WithUser(r.Context(), user))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusFound)
}
