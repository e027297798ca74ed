package operator

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/license"
)

// TestEachFailureHasItsReasonAndLeavesWhatRunsAlone breaks one thing at a time under a running installation.
func TestEachFailureHasItsReasonAndLeavesWhatRunsAlone(t *testing.T) {
	tests := map[string]struct {
		harm   func(i *installation, key types.NamespacedName)
		kind   string
		reason string
		// hint is part of the message that says what to do.
		hint string
		// stillReady tells that the instance itself is as good as before.
		stillReady bool
	}{
		"licence that is no licence": {
			harm: func(i *installation, key types.NamespacedName) { i.setLicence(key, "not-a-licence") },
			kind: appsv1.ConditionLicenseValid, reason: appsv1.ReasonLicenseMalformed, hint: "global.license of layer resource",
		},
		"licence whose time is over": {
			harm: func(i *installation, key types.NamespacedName) {
				i.setLicence(key, i.licence(time.Now().Add(-time.Hour)).Reveal())
			},
			kind: appsv1.ConditionLicenseValid, reason: appsv1.ReasonLicenseExpired, hint: "Ask the vendor",
		},
		"licence that was changed": {
			harm: func(i *installation, key types.NamespacedName) {
				token := i.licence(time.Now().Add(time.Hour)).Reveal()
				i.setLicence(key, token[:len(token)-8]+"AAAAAAAA")
			},
			kind: appsv1.ConditionLicenseValid, reason: appsv1.ReasonLicenseSignatureInvalid, hint: "Copy it again",
		},
		"licence in a Secret that does not exist": {
			harm: func(i *installation, key types.NamespacedName) {
				i.setValues(key, map[string]any{"global": map[string]any{"licenseSecret": map[string]any{"name": "missing"}}})
			},
			kind: appsv1.ConditionLicenseValid, reason: appsv1.ReasonLicenseSecretNotFound, hint: "kubectl create secret generic missing",
		},
		"licence that the deploy server refuses": {
			harm: func(i *installation, _ types.NamespacedName) { i.vendor.Fail(http.StatusForbidden) },
			kind: appsv1.ConditionLicenseValid, reason: appsv1.ReasonLicenseRejected, hint: "Check the licence",
		},
		"deploy server that refuses": {
			harm: func(i *installation, _ types.NamespacedName) { i.vendor.Fail(http.StatusUnauthorized) },
			kind: appsv1.ConditionChannelReachable, reason: appsv1.ReasonChannelRejected, hint: "Check the licence",
		},
		"deploy server that is gone": {
			harm: func(i *installation, _ types.NamespacedName) {
				i.vendor.Close()
			},
			kind: appsv1.ConditionChannelReachable, reason: appsv1.ReasonChannelUnreachable, hint: "Check DNS", stillReady: true,
		},
		"deploy server that fails": {
			harm: func(i *installation, _ types.NamespacedName) { i.vendor.Fail(http.StatusInternalServerError) },
			kind: appsv1.ConditionChannelReachable, reason: appsv1.ReasonChannelServerError, hint: "v1, stays in use", stillReady: true,
		},
		"release that was cut short": {
			harm: func(i *installation, _ types.NamespacedName) { i.vendor.Offer(`{"metadata":{"releaseId":"x"`) },
			kind: appsv1.ConditionChannelReachable, reason: appsv1.ReasonChannelMalformedRelease, hint: "stays in use", stillReady: true,
		},
		"answer that is empty": {
			harm: func(i *installation, _ types.NamespacedName) { i.vendor.Offer(`{}`) },
			kind: appsv1.ConditionChannelReachable, reason: appsv1.ReasonChannelMalformedRelease, hint: "stays in use", stillReady: true,
		},
		"channel without a release": {
			harm: func(i *installation, _ types.NamespacedName) { i.vendor.Fail(http.StatusNotFound) },
			kind: appsv1.ConditionChannelReachable, reason: appsv1.ReasonChannelReleaseNotFound, hint: "stays in use", stillReady: true,
		},
		"chart that does not exist": {
			harm: func(i *installation, _ types.NamespacedName) { i.vendor.Publish("v2", "9.9.9", tagged("2")) },
			kind: appsv1.ConditionReleased, reason: appsv1.ReasonChartNotFound, hint: "9.9.9",
		},
		"chart that is none": {
			harm: func(i *installation, _ types.NamespacedName) {
				i.vendor.AddPacked("2.0.0", []byte("no archive"))
				i.vendor.Publish("v2", "2.0.0", tagged("2"))
			},
			kind: appsv1.ConditionReady, reason: appsv1.ReasonChartInvalid, hint: "chart",
		},
		"values that the chart refuses": {
			harm: func(i *installation, key types.NamespacedName) { i.addValue(key, "replicas", 99) },
			kind: appsv1.ConditionSpecResolved, reason: appsv1.ReasonValuesInvalid, hint: "replicas",
		},
		"value of a wrong type": {
			harm: func(i *installation, key types.NamespacedName) { i.addValue(key, "replicas", "many") },
			kind: appsv1.ConditionSpecResolved, reason: appsv1.ReasonValuesInvalid, hint: "replicas",
		},
		"map where a lower layer has a text": {
			harm: func(i *installation, key types.NamespacedName) {
				i.vendor.Publish("v2", "1.0.0", map[string]any{"color": "red", "image": "none"})
				_ = key
			},
			kind: appsv1.ConditionSpecResolved, reason: appsv1.ReasonValuesInvalid, hint: "image",
		},
		"user layer that is no JSON": {
			harm: func(i *installation, _ types.NamespacedName) {
				user := i.secret("wandb-spec-user")
				user.Data["values"] = []byte(`{"a":`)
				must(i.t, i.api.Update(i.t.Context(), user))
			},
			kind: appsv1.ConditionSpecResolved, reason: appsv1.ReasonLayerInvalid, hint: "must hold a JSON object",
		},
		"chart with a version that is a number": {
			harm: func(i *installation, key types.NamespacedName) {
				i.update(key, func(cr *appsv1.WeightsAndBiases) {
					cr.Spec.Chart, _ = appsv1.ObjectOf(map[string]any{"url": "https://x.test", "name": "app", "version": 1.2})
				})
			},
			kind: appsv1.ConditionSpecResolved, reason: appsv1.ReasonChartInvalid, hint: "Put it in quotes",
		},
		"chart that makes objects elsewhere": {
			harm: func(i *installation, _ types.NamespacedName) {
				i.addChart("2.0.0", map[string]string{
					"templates/role.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: too-much}\nrules: []\n",
				})
				i.vendor.Publish("v2", "2.0.0", tagged("2"))
			},
			kind: appsv1.ConditionReleased, reason: appsv1.ReasonClusterObjectRefused, hint: "allowClusterObjects",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newInstallation(t)
			i.vendor.Publish("v1", "1.0.0", tagged("1"))
			i.playKubelet()
			i.start()
			key := i.resource(i.licensed())
			i.awaitReady(key)
			before, revisions := i.uids(), i.revisions()

			test.harm(i, key)
			message := i.awaitCondition(key, test.kind, metav1.ConditionFalse, test.reason)
			if !strings.Contains(message, test.hint) {
				t.Errorf("message %q does not contain %q", message, test.hint)
			}
			if diff := cmp.Diff(before, i.uids()); diff != "" {
				t.Errorf("what runs was touched:\n%s", diff)
			}
			if diff := cmp.Diff(revisions, i.revisions()); diff != "" {
				t.Errorf("Helm's storage was touched:\n%s", diff)
			}
			cr := i.get(key)
			if ready := meta.IsStatusConditionTrue(cr.Status.Conditions, appsv1.ConditionReady); ready != test.stillReady {
				t.Errorf("Ready is %t, want %t: %+v", ready, test.stillReady, meta.FindStatusCondition(cr.Status.Conditions, appsv1.ConditionReady))
			}
			t.Logf("%s: %s", test.reason, message)
		})
	}
}

func (i *installation) setValues(key types.NamespacedName, values map[string]any) {
	i.t.Helper()
	// The patch has to remove what the values held before, so it replaces the whole field.
	i.update(key, func(cr *appsv1.WeightsAndBiases) { cr.Spec.Values = appsv1.Object{} })
	i.update(key, func(cr *appsv1.WeightsAndBiases) {
		var err error
		cr.Spec.Values, err = appsv1.ObjectOf(values)
		must(i.t, err)
	})
}

func (i *installation) setLicence(key types.NamespacedName, token string) {
	i.t.Helper()
	i.update(key, func(cr *appsv1.WeightsAndBiases) {
		var err error
		cr.Spec.Values, err = appsv1.ObjectOf(map[string]any{"global": map[string]any{"license": token}})
		must(i.t, err)
	})
}

func (i *installation) addValue(key types.NamespacedName, name string, value any) {
	i.t.Helper()
	i.update(key, func(cr *appsv1.WeightsAndBiases) {
		values, err := cr.Spec.Values.Map()
		must(i.t, err)
		values[name] = value
		cr.Spec.Values, err = appsv1.ObjectOf(values)
		must(i.t, err)
	})
}

func TestWrongTypesInSpecAreRefusedAtAdmission(t *testing.T) {
	i := newInstallation(t)
	tests := map[string]map[string]any{
		"values as a text":     {"values": "text"},
		"values as a list":     {"values": []any{}},
		"chart as a text":      {"chart": "operator-wandb"},
		"suspend as a text":    {"suspend": "yes"},
		"unset with no path":   {"unset": []any{"a..b"}},
		"unknown rule of list": {"merge": map[string]any{"lists": "Shuffle"}},
	}
	for name, spec := range tests {
		t.Run(name, func(t *testing.T) {
			object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
			object.SetGroupVersionKind(appsv1.GroupVersionKind())
			object.SetNamespace(i.namespace)
			object.SetName("refused")
			err := i.api.Create(t.Context(), object)
			if !apierrors.IsInvalid(err) {
				t.Errorf("Create gave %v, want it to be invalid", err)
			}
		})
	}
}

func TestFirstInstallationWaitsForTheDeployServer(t *testing.T) {
	i := newInstallation(t)
	i.vendor.Fail(http.StatusServiceUnavailable)
	i.playKubelet()
	i.start()
	key := i.resource(i.licensed())
	i.awaitCondition(key, appsv1.ConditionReady, metav1.ConditionFalse, appsv1.ReasonChannelServerError)
	if got := i.revisions(); len(got) > 0 {
		t.Fatalf("something was installed: %v", got)
	}
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.vendor.Fail(0)
	i.awaitReady(key)
}

func TestIssuerThatNobodyKnowsIsSentOn(t *testing.T) {
	i := newInstallation(t)
	i.config.Keys = nil
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.playKubelet()
	i.start()
	token := i.licence(time.Now().Add(time.Hour)).Reveal()
	key := i.resource(map[string]any{"global": map[string]any{"license": token}})
	i.awaitReady(key)
	i.awaitCondition(key, appsv1.ConditionLicenseValid, metav1.ConditionUnknown, license.ReasonIssuerUnknown)
	if asked := i.vendor.Passwords(); len(asked) == 0 || asked[0] != token {
		t.Error("the licence was not sent to the deploy server")
	}
}

func TestRotatedLicenceSecretActsWithinSeconds(t *testing.T) {
	i := newInstallation(t)
	i.vendor.Publish("v1", "1.0.0", tagged("1"))
	i.playKubelet()
	i.start()
	key := i.resource(map[string]any{"global": map[string]any{"licenseSecret": map[string]any{"name": "ours"}}})
	i.awaitCondition(key, appsv1.ConditionLicenseValid, metav1.ConditionFalse, appsv1.ReasonLicenseSecretNotFound)
	changed := time.Now()
	i.writeSecret("ours", map[string]string{"license": i.licence(time.Now().Add(time.Hour)).Reveal()})
	i.awaitReady(key)
	if took := time.Since(changed); took > 10*time.Second {
		t.Errorf("a new licence was acted on after %s", took)
	}
}

func TestDeployServerAwayAtStartUsesTheLastAnswer(t *testing.T) {
	i := newInstallation(t)
	key := i.running()
	i.stop()

	i.vendor.Fail(http.StatusBadGateway)
	i.start()
	i.awaitCondition(key, appsv1.ConditionChannelReachable, metav1.ConditionFalse, appsv1.ReasonChannelServerError)
	// The layers below are still there: what the person changes now is applied on top of them.
	i.addValue(key, "color", "blue")
	i.awaitConfig(map[string]string{"color": "blue", "tag": "1"})
	i.awaitReady(key)
}
