package operator

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/request"
)

// lost returns what is no longer there, or is there under another identity.
func lost(before, after map[string]types.UID) []string {
	var missing []string
	for name, uid := range before {
		if after[name] != uid {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// A release of somebody else is adopted, and its first upgrade by us fails after some objects were applied. Cleaning up
// must not reach what was there before, neither then nor at the rollback; and an uninstallation leaves what is not, or no
// longer, of the release.
func TestFailedUpgradeAfterAnAdoptionDeletesNothingOfOthers(t *testing.T) {
	i := newInstallation(t)
	i.installByHand("0")
	must(t, i.api.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: "wandb-notes", Labels: map[string]string{
			"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "wandb",
		}},
		Data: map[string]string{"by": "a person"},
	}))
	before := i.uids()
	if len(before) < 3 {
		t.Fatalf("there is only %v to lose", before)
	}
	// The ConfigMaps go through, and the API server refuses the Service that comes after them.
	i.addChart("1.1.0", map[string]string{
		"templates/extra.yaml":  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-extra}\n",
		"templates/broken.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}-broken}\nspec: {ports: [{port: 99999}]}\n",
	})
	i.vendor.Publish("v1", "1.1.0", tagged("1"))
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed())
	i.approve(i.awaitPlan(key, appsv1.ReasonAdoptionNeedsConsent))
	eventually(t, "the upgrade failed", func() bool { return slices.Contains(i.revisions(), "2 failed") },
		func() string { return i.logs.String() })
	if gone := lost(before, i.uids()); len(gone) > 0 {
		t.Errorf("the failed upgrade deleted or replaced %v", gone)
	}

	i.ask(func(s *request.Set) { s.Rollback = &request.Rollback{Mark: *markNow(), Revision: 1} })
	i.awaitConfig(map[string]string{"tag": "0"})
	i.awaitReady(key)
	if gone := lost(before, i.uids()); len(gone) > 0 {
		t.Errorf("the rollback deleted or replaced %v", gone)
	}

	// Another release has taken the ConfigMap over since.
	config := i.configMap("wandb-config")
	config.Annotations["meta.helm.sh/release-name"] = "other"
	must(t, i.api.Update(t.Context(), config))
	i.delete(key)
	i.awaitGone(key)
	after := i.uids()
	for _, name := range []string{"ConfigMap wandb-notes", "ConfigMap wandb-config"} {
		if after[name] != before[name] {
			t.Errorf("the uninstallation deleted %s, which belongs to somebody else", name)
		}
	}
	if i.exists(&corev1.ConfigMap{}, "wandb-extra") || after["Deployment wandb-app"] != "" {
		t.Errorf("the uninstallation left %v", after)
	}
}
