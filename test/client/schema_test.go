package client_test

import (
	"os"
	"regexp"
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
	DeleteRunQueue EnqueueSweepRun CreateAnonymousApiKey
	LaunchAgentIntrospection ProbeCreateRunQueueInput ProbePushToRunQueueInput ProbeServerFailRunQueueItemInput
	ProbeServerCreateLaunchAgentInput
	GetAutomationsLegacy GetEntityAutomationsLegacy GetEntityAutomations GetOrgAutomations CreateAutomation UpdateAutomation
	DeleteAutomation IntegrationsByEntity CreateGenericWebhookIntegration
	FetchRegistries FetchRegistry UpsertRegistry RenameRegistry DeleteRegistry RegistryCollections RegistryVersions
	FetchAdvancedRegistryFeatures RegistryUserMembers RegistryTeamMembers CreateRegistryMembers DeleteRegistryMembers
	UpdateUserRegistryRole UpdateTeamRegistryRole CreateProjectMembersInput DeleteProjectMembersInput UpdateProjectMemberInput
	UpdateProjectTeamMemberInput
`)

func TestTheSchemaHasWhatTheClientAsksFor(t *testing.T) {
	operations, inputs := client.Newest().Operations(t)
	if len(operations) < 150 || len(inputs) < 20 {
		t.Fatalf("found only %d operations and %d input types in the client: it is read wrongly", len(operations), len(inputs))
	}
	lacking := lackingOf(operations)
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

func TestTheSchemaHasWhatTheOldestClientAsksFor(t *testing.T) {
	operations, _ := client.Oldest().Operations(t)
	if len(operations) < 100 {
		t.Fatalf("found only %d operations in the client: it is read wrongly", len(operations))
	}
	for _, problem := range lackingOf(operations) {
		t.Error(problem)
	}
}

// probed finds the types that a client asks about before it says what it wants. Some of its code takes for granted that they exist:
// without ServerSettings, `wandb sync` of 0.19 sent nothing, and said that it was done.
var probed = regexp.MustCompile(`__type\(name:\s*"(\w+)"\)`)

// lackingOf tells what the schema lacks of what operations ask for.
func lackingOf(operations []client.Operation) (lacking []string) {
	for _, operation := range operations {
		if slices.ContainsFunc(notServed, func(name string) bool { return strings.EqualFold(name, operation.Name) }) {
			continue
		}
		if operation.Assembled {
			lacking = append(lacking, operation.String()+": the client assembles its text; say how in operations.py")
			continue
		}
		for _, problem := range graph.Validate(operation.Text) {
			lacking = append(lacking, operation.String()+": "+problem)
		}
		for _, asked := range probed.FindAllStringSubmatch(operation.Text, -1) {
			if !graph.HasType(asked[1]) {
				lacking = append(lacking, operation.String()+": asks for a type that is not there: "+asked[1])
			}
		}
	}
	return lacking
}

// What the core sends stands in types of a binary only.
func TestTheSchemaHasTheFieldsOfTheCore(t *testing.T) {
	operations, _ := client.Newest().Operations(t)
	texts := map[string]string{}
	for _, operation := range operations {
		if operation.Source == "bin/wandb-core" {
			texts[operation.Name] = operation.Text
		}
	}
	checked := map[string]bool{}
	for _, input := range client.CoreInputs(t) {
		name, variables := strings.CutPrefix(strings.TrimSuffix(input.Name, "Input"), "__")
		if slices.Contains(notServed, name) || slices.Contains(notServed, input.Name) {
			continue
		}
		checked[input.Name] = true
		for _, field := range input.Fields {
			if variables {
				// That the text fits the schema is checked above; a variable that it does not name would be lost.
				if !regexp.MustCompile(`\$` + field + `\b`).MatchString(texts[name]) {
					t.Errorf("%s sends %s, which its text does not name: %q", name, field, texts[name])
				}
			} else if problem := graph.ValidateInput(input.Name, field); problem != "" {
				t.Errorf("%s (%s): %s", input.Name, input.Source, problem)
			}
		}
	}
	for _, name := range []string{
		"CreateArtifactInput", "CreateArtifactFilesInput", "CreateArtifactFileSpecInput", "UploadPartsInput", "UseArtifactInput",
		"ArtifactAliasInput", "__UpsertBucketInput", "__CreateArtifactManifestInput", "__RewindRunInput",
	} {
		if !checked[name] {
			t.Errorf("%s is not found in the core: it is read wrongly", name)
		}
	}
	if len(checked) < 30 {
		t.Errorf("only %d types are found in the core: it is read wrongly", len(checked))
	}
	if graph.ValidateInput("CreateArtifactInput", "noSuchField") == "" || graph.ValidateInput("NoSuchInput", "name") == "" {
		t.Error("what the schema lacks is not noticed")
	}
}
