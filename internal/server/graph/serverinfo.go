package graph

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

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

func serverInfo(disabled []string) *model.ServerInfo {
	instance := protocolVersion + "+kubewandb." + version.Version
	return &model.ServerInfo{
		CliVersionInfo: json.RawMessage(`{"min_cli_version":"` + oldestClient + `","max_cli_version":"` + newestClient + `"}`),
		LatestLocalVersionInfo: &model.LocalVersionInfo{
			OutOfDate: false, LatestVersionString: instance, VersionOnThisInstanceString: instance,
		},
		// The client takes a feature that is not named as off.
		Features: features(disabled),
	}
}

// enabled are the features that this server has. Clients of before 0.22 ask for those of the last line.
var enabled = [...]string{
	"ARTIFACT_COLLECTIONS_FILTERING_SORTING", "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
	"ARTIFACT_V2_DOWNLOAD_HANDLER_SUPPORTS_ARTIFACT_ID", "USE_ARTIFACT_WITH_ENTITY_AND_PROJECT_INFORMATION",
	"TOTAL_COUNT_IN_FILE_CONNECTION", "MARK_RUN_FILES_UPLOADED",
	"ARTIFACT_TAGS", "CLIENT_IDS", "PROJECT_ARTIFACT_COLLECTION_MEMBERSHIP", "ARTIFACT_COLLECTION_MEMBERSHIP_FILES",
}

// CheckFeatures tells which of some names are of no feature that could be switched off.
func CheckFeatures(names []string) error {
	for _, name := range names {
		if !slices.Contains(enabled[:], name) {
			return fmt.Errorf("DISABLED_FEATURES names %s, which is none of %s", name, strings.Join(enabled[:], ", "))
		}
	}
	return nil
}

// features are those that clients are told of.
func features(disabled []string) []*model.ServerFeature {
	list := make([]*model.ServerFeature, len(enabled))
	for i, name := range enabled {
		list[i] = &model.ServerFeature{Name: name, IsEnabled: !slices.Contains(disabled, name)}
	}
	return list
}
