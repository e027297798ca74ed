package graph

import (
	"github.com/kubewandb/kubewandb/internal/server/access"
	"github.com/kubewandb/kubewandb/internal/server/account"
	"github.com/kubewandb/kubewandb/internal/server/artifact"
	"github.com/kubewandb/kubewandb/internal/server/history"
	"github.com/kubewandb/kubewandb/internal/server/quota"
	"github.com/kubewandb/kubewandb/internal/server/run"
	"github.com/kubewandb/kubewandb/internal/server/sweep"
)

// Services hold the rules that resolvers ask.
type Services struct {
	Accounts  *account.Service
	Guard     *access.Guard
	Runs      *run.Service
	History   *history.Service
	Artifacts *artifact.Service
	Sweeps    *sweep.Service
	// Quotas may be nil, where nothing is measured.
	Quotas *quota.Service
}

// Resolver is where resolvers find what they ask.
type Resolver struct {
	Services
	// disabled are features that clients are told this server does not have.
	disabled []string
}
