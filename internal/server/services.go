package server

import (
	"time"

	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/graph"
	"github.com/kubewandb/kubewandb/internal/server/history"
	"github.com/kubewandb/kubewandb/internal/server/identity"
	"github.com/kubewandb/kubewandb/internal/server/ingest"
	"github.com/kubewandb/kubewandb/internal/server/limit"
	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/store"
	"github.com/kubewandb/kubewandb/internal/server/sweep"
)

// serve makes the packages that hold the rules, and what speaks for them: GraphQL, and the path of metrics.
func (s *Server) serve() {
	cfg := s.cfg
	s.accounts = account.New(s.store, account.Config{
		SessionLength: cfg.SessionLength, AllowTeamCreation: cfg.AllowTeamCreation, Logger: cfg.Logger, Now: cfg.Now,
	})
	cfg.Identity.Host, cfg.Identity.Now = s.host.String(), cfg.Now
	s.identity = identity.New(cfg.Identity)
	s.guard = access.NewGuard(s.store)
	s.history = history.New(s.store, history.Config{Bucket: history.InBucket(s.storage.bucket), Readers: &s.readers, Logger: cfg.Logger, Now: cfg.Now})
	s.artifacts = artifact.New(s.store, s.guard, s.storage.bucket, artifact.Config{Logger: cfg.Logger, Now: cfg.Now})
	s.quotas = quota.New(s.store, quota.Config{Default: cfg.StorageQuota, Registry: s.registry, Logger: cfg.Logger, Now: cfg.Now})
	s.runs = run.New(s.store, run.Config{
		Guard: s.guard, Quotas: s.quotas, Histories: s.history, Sweeps: sweep.NewDirectory(s.store), Bucket: s.storage.bucket, Artifacts: s.artifacts,
		ExternalURL: s.host.String(), Logger: cfg.Logger, Now: cfg.Now,
	})
	s.graph = graph.NewHandler(graph.Options{
		Services: graph.Services{
			Accounts: s.accounts, Guard: s.guard, Runs: s.runs, History: s.history,
			Artifacts: s.artifacts, Sweeps: sweep.New(s.store, sweep.Runs{Service: s.runs, History: s.history}),
			Quotas: s.quotas,
		},
		DisabledFeatures: cfg.DisabledFeatures, Logger: cfg.Logger, Observe: s.metrics.operation, Readers: &s.readers, Unavailable: unavailable,
	})
	s.ingest = ingest.New(s.store, ingest.Config{
		Guard: s.guard, Authenticate: s.authenticateKey, Refuse: s.refuseGraphQL, Memory: s.bodies,
		Limit:    func(user store.ID) time.Duration { return s.limits.Take(user, limit.Metrics) },
		Readers:  &s.readers,
		Files:    s.runs,
		Written:  s.history.Logged,
		Stored:   s.history.Page,
		Registry: s.registry, Logger: cfg.Logger, Now: cfg.Now,
	})
}
