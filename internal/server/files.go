package server

import (
	"net/http"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
)

// runFile sends whoever may read a run's file to its bytes.
func (s *Server) runFile(w http.ResponseWriter, r *http.Request) {
	setAPIHeaders(w)
	allowAnyOrigin(w)
	w.Header().Set("Cache-Control", "no-store") // the address that it leads to expires
	user, err := s.authenticate(w, r)
	if err != nil {
		s.refuseGraphQL(w, r, err)
		return
	}
	ctx := account.WithUser(r.Context(), user)
	place, err := s.guard.Project(ctx, r.PathValue("entity"), r.PathValue("project"), access.Read)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	record, err := s.runs.ByName(ctx, place, r.PathValue("run"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	address, err := s.runs.Download(ctx, record.ID, r.PathValue("path"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusFound)
}

// preflight lets pages of any origin ask: what they then send must hold a key of its own, since no cookie goes with it.
func preflight(w http.ResponseWriter, _ *http.Request) {
	allowAnyOrigin(w)
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Range")
	h.Set("Access-Control-Max-Age", "3600")
	w.WriteHeader(http.StatusNoContent)
}

func allowAnyOrigin(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Content-Length, ETag")
}
