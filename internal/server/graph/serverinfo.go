package graph

import (
	"encoding/json"

	"github.com/kubewandb/kubewandb/internal/server/graph/model"
	"github.com/kubewandb/kubewandb/internal/version"
)

const (
	// oldestClient is the first client whose protocol is answered.
	oldestClient = "0.19.0"
	// newestClient lies above every client to come: the schema tells a client what is missing, its version does not. A null
	// here ends `wandb verify` with a crash.
	newestClient = "999.999.999"
	// protocolVersion is the release of the hosted product whose protocol this is; clients compare it with the oldest server
	// that they support. Our own version follows as build metadata.
	protocolVersion = "0.78.0"
)

func serverInfo() *model.ServerInfo {
	instance := protocolVersion + "+kubewandb." + version.Version
	return &model.ServerInfo{
		CliVersionInfo: json.RawMessage(`{"min_cli_version":"` + oldestClient + `","max_cli_version":"` + newestClient + `"}`),
		LatestLocalVersionInfo: &model.LocalVersionInfo{
			OutOfDate: false, LatestVersionString: instance, VersionOnThisInstanceString: instance,
		},
		// The client takes a feature that is not named as off.
		Features: []*model.ServerFeature{},
	}
}
