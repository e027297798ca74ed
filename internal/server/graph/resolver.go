package graph

import (
	"github.com/kubewandb/kubewandb/internal/server/account"
)

// Resolver is where resolvers find what they ask.
type Resolver struct {
	Accounts *account.Service
}
