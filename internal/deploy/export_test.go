package deploy

import (
	"context"
	"time"
)

// SetNow moves the server's clock.
func SetNow(s *Server, now func() time.Time) { s.now = now }

// Renew renews signatures as the background loop does.
func Renew(ctx context.Context, s *Server) error { return s.renew(ctx) }

// DataDir is the folder that the server holds.
func DataDir(s *Server) string { return s.config.DataDir }
