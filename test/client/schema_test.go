package client_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kubewandb/kubewandb/internal/server/graph"
	"github.com/kubewandb/kubewandb/test/client"
)

// notServed are operations and input types of things that this server does not have; it answers them with an error at once. Everything else
// that the client may send must fit the schema.
var notServed = strings.Fields(`
	CreateRunQueue CreateDefaultResourceConfig UpsertRunQueue pushToRunQueue pushToRunQueueByName popFromRunQueue
	ackRunQueueItem failRunQueueItem updateRunQueueItemWarning createLaunchAgent updateLaunchAgent LaunchAgent ProjectRunQueues
	GetRunQueueItem GetRunQueueItems GetRunQueueMetadata GetDefaultResourceConfig fetchRunQueuesFromProject DeleteFromRunQueue
	DeleteRunQueue EnqueueSweepRun
	GetAutomationsLegacy GetEntityAutomationsLegacy GetEntityAutomations GetOrgAutomations CreateAutomation UpdateAutomation
	DeleteAutomation IntegrationsByEntity CreateGenericWebhookIntegration
	FetchRegistries FetchRegistry UpsertRegistry RenameRegistry DeleteRegistry RegistryCollections RegistryVersions
	FetchAdvancedRegistryFeatures RegistryUserMembers RegistryTeamMembers CreateRegistryMembers DeleteRegistryMembers
	UpdateUserRegistryRole UpdateTeamRegistryRole CreateProjectMembersInput DeleteProjectMembersInput UpdateProjectMemberInput
	UpdateProjectTeamMemberInput
`)

func TestTheSchemaHasWhatTheClientAsksFor(t *testing.T) {
	operations, inputs := client.Operations(t)
	if len(operations) < 150 || len(inputs) < 20 {
		t.Fatalf("found only %d operations and %d input types in the client: it is read wrongly", len(operations), len(inputs))
	}
	var lacking []string
	for _, operation := range operations {
		if slices.Contains(notServed, operation.Name) {
			continue
		}
		if operation.Assembled {
			lacking = append(lacking, operation.String()+": the client assembles its text; say how in operations.py")
			continue
		}
		for _, problem := range graph.Validate(operation.Text) {
			lacking = append(lacking, operation.String()+": "+problem)
		}
	}
	for _, input := range inputs {
		if slices.Contains(notServed, input.Name) || strings.HasPrefix(input.Source, "automations/") {
			continue
		}
		for _, field := range input.Fields {
			if problem := graph.ValidateInput(input.Name, field); problem != "" {
				lacking = append(lacking, input.Name+" ("+input.Source+"): "+problem)
			}
		}
	}
	slices.Sort(lacking)
	lacking = slices.Compact(lacking)
	if path := os.Getenv("SCHEMA_LACKS"); path != "" {
		if err := os.WriteFile(path, []byte(strings.Join(lacking, "\n")+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
	for _, problem := range lacking {
		t.Error(problem)
	}
}
