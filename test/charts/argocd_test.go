package charts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

const healthFile = "charts/operator/files/argocd-health.lua"

// resource makes a resource of generation 2 with conditions given as "Type=Status Reason".
func resource(observed int64, conditions ...string) *appsv1.WeightsAndBiases {
	cr := &appsv1.WeightsAndBiases{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "wandb", Generation: 2}}
	cr.Status.ObservedGeneration = observed
	for _, each := range conditions {
		kind, rest, _ := strings.Cut(each, "=")
		value, reason, _ := strings.Cut(rest, " ")
		cr.Status.Conditions = append(cr.Status.Conditions, metav1.Condition{
			Type: kind, Status: metav1.ConditionStatus(value), Reason: reason, Message: kind + " " + reason,
		})
	}
	return cr
}

func TestArgoCDShowsTheHealth(t *testing.T) {
	deleted := resource(2, "Ready=True Ready")
	now := metav1.Now()
	deleted.DeletionTimestamp = &now
	for name, c := range map[string]struct {
		cr              *appsv1.WeightsAndBiases
		status, message string
	}{
		"nobody has looked yet":       {resource(0), "Progressing", "waiting for the operator to look at the resource"},
		"an older generation is seen": {resource(1, "Ready=True Ready"), "Progressing", "waiting for the operator to look at the newest specification"},
		"Ready is not judged yet":     {resource(2, "LicenseValid=True Valid"), "Progressing", "waiting for the operator to judge the resource"},
		"it is being deleted":         {deleted, "Progressing", "the release is being uninstalled"},
		"it runs": {
			resource(2, "Ready=True Ready", "UpToDate=True UpToDate", "Reconciling=False Ready", "Stalled=False Ready"), "Healthy", "Ready Ready",
		},
		"Helm is at work": {
			resource(2, "Ready=Unknown Progressing", "Reconciling=True Progressing", "Stalled=False Progressing"), "Progressing", "Reconciling Progressing",
		},
		"a failure is tried again": {
			resource(2, "Ready=False HelmFailed", "Reconciling=True HelmFailed", "Stalled=False HelmFailed"), "Progressing", "Reconciling HelmFailed",
		},
		"somebody has to mend it": {
			resource(2, "Ready=False ValuesInvalid", "Reconciling=False ValuesInvalid", "Stalled=True ValuesInvalid"), "Degraded", "Stalled ValuesInvalid",
		},
		"workloads broke later": {
			resource(2, "Ready=False WorkloadsNotReady", "Reconciling=False WorkloadsNotReady", "Stalled=False WorkloadsNotReady"), "Degraded", "Ready WorkloadsNotReady",
		},
		"the state is not known": {resource(2, "Ready=Unknown Progressing"), "Progressing", "Ready Progressing"},
		"suspended while it runs": {
			resource(2, "Ready=True Suspended", "Reconciling=False Suspended"), "Suspended", "Ready Suspended",
		},
		"suspended before it ran": {resource(2, "Ready=False Suspended"), "Suspended", "Ready Suspended"},
		"it runs, and the next release waits for approval": {
			resource(2, "Ready=True Ready", "UpToDate=False AwaitingApproval", "Reconciling=False AwaitingApproval"), "Healthy", "UpToDate AwaitingApproval",
		},
		"it runs, and the next release waits for a window": {
			resource(2, "Ready=True Ready", "UpToDate=False OutsideWindow", "Reconciling=True OutsideWindow"), "Healthy", "UpToDate OutsideWindow",
		},
		"the first release waits for approval": {
			resource(2, "Ready=False AwaitingApproval", "UpToDate=False AwaitingApproval", "Reconciling=True AwaitingApproval"), "Suspended", "UpToDate AwaitingApproval",
		},
		"an adoption waits for consent": {
			resource(2, "Ready=False AdoptionNeedsConsent", "UpToDate=False AdoptionNeedsConsent"), "Suspended", "UpToDate AdoptionNeedsConsent",
		},
		"a plan waits while the application is broken": {
			resource(2, "Ready=False WorkloadsNotReady", "UpToDate=False AwaitingApproval"), "Degraded", "Ready WorkloadsNotReady",
		},
		"it runs again after a rollback, and somebody has to choose": {
			resource(2, "Ready=True Ready", "UpToDate=False ReleaseFailed", "Stalled=True ReleaseFailed"), "Degraded", "Stalled ReleaseFailed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, message := argoHealth(t, c.cr)
			if status != c.status || message != c.message {
				t.Errorf("health %s %q, want %s %q", status, message, c.status, c.message)
			}
		})
	}
}

// argoHealth runs the rule as Argo CD does: with the object as the global obj, and the base library alone.
func argoHealth(t *testing.T, cr *appsv1.WeightsAndBiases) (status, message string) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(root, healthFile))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(cr)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	state.Push(state.NewFunction(lua.OpenBase))
	state.Call(0, 0)
	state.SetGlobal("obj", luaValue(state, object))
	if err := state.DoString(string(script)); err != nil {
		t.Fatal(err)
	}
	result, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		t.Fatalf("the rule returns %v", state.Get(-1))
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String()
}

func luaValue(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, each := range value {
			table.RawSetString(key, luaValue(state, each))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, each := range value {
			table.Append(luaValue(state, each))
		}
		return table
	case string:
		return lua.LString(value)
	case float64:
		return lua.LNumber(value)
	case bool:
		return lua.LBool(value)
	default:
		return lua.LNil
	}
}

// TestArgoCDGuideHoldsTheRule keeps what people copy from the guide equal to the file.
func TestArgoCDGuideHoldsTheRule(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join(root, "docs", "guides", "argocd.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```yaml\n# argocd-cm\n")
	block, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the guide has no block that begins with # argocd-cm")
	}
	var settings struct {
		Data map[string]string `json:"data"`
	}
	if err := yaml.UnmarshalStrict([]byte(block), &struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   map[string]any    `json:"metadata"`
		Data       map[string]string `json:"data"`
	}{}); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(block), &settings); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(root, healthFile))
	if err != nil {
		t.Fatal(err)
	}
	if got := settings.Data["resource.customizations.health.apps.wandb.com_WeightsAndBiases"]; got != string(script) {
		t.Errorf("docs/guides/argocd.md holds another rule than %s", healthFile)
	}
}
