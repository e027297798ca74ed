package sweep

import "github.com/kubewandb/kubewandb/internal/server/store"

// Service holds the rules. Its methods may be called from any goroutine.
type Service struct{ store *store.Store }

// New returns a service on a store.
func New(s *store.Store) *Service { return &Service{store: s} }
