package charts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/scheme"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/kubewandb/kubewandb/tools/chart/reference"
)

// foreign are groups of kinds whose Go types this module does not have.
func foreign(group string) bool {
	return slices.Contains([]string{"monitoring.coreos.com", "cert-manager.io", "networking.gke.io"}, group)
}

func TestEveryObjectDecodesStrictly(t *testing.T) {
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for _, one := range goldenCases(t) {
		for _, document := range render(t, one.chart, one.in).documents(t) {
			group, _, _ := strings.Cut(fmt.Sprint(parse(t, string(document))["apiVersion"]), "/")
			if foreign(group) {
				continue
			}
			if _, _, err := strict.Decode(document, nil, nil); err != nil {
				t.Errorf("%s: %v\n%s", one.name, err, document)
			}
		}
	}
}

func TestPodsPassTheRestrictedStandard(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	for _, one := range goldenCases(t) {
		pods := render(t, one.chart, one.in).pods(t)
		if len(pods) == 0 {
			t.Errorf("%s renders no pod", one.name)
		}
		for name, pod := range pods {
			for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
				if !result.Allowed {
					t.Errorf("%s: %s: %s: %s", one.name, name, result.ForbiddenReason, result.ForbiddenDetail)
				}
			}
			for _, container := range pod.Spec.Containers {
				if c := container.SecurityContext; c == nil || c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem {
					t.Errorf("%s: %s: container %s can write its root file system", one.name, name, container.Name)
				}
			}
		}
	}
}

func TestNamesAndLabelsAreValidForTheLongestRelease(t *testing.T) {
	const longest = 53 // Helm's limit
	long := strings.Repeat("a", longest)
	for _, name := range reference.Charts() {
		values := minimal(name)
		if name == "operator" {
			values["nameOverride"] = long
		}
		for _, object := range render(t, name, input{values: values, release: long, namespace: strings.Repeat("n", 63)}).objects(t) {
			for _, problem := range problems(object) {
				t.Errorf("%s: %s %s: %s", name, object.GetKind(), object.GetName(), problem)
			}
		}
	}
}

func problems(object *unstructured.Unstructured) []string {
	found := validation.IsDNS1123Subdomain(object.GetName())
	if object.GetKind() == "Service" || object.GetKind() == "Deployment" || object.GetKind() == "Job" {
		found = append(found, validation.IsDNS1035Label(object.GetName())...)
	}
	labels := object.GetLabels()
	template, _, _ := unstructured.NestedStringMap(object.Object, "spec", "template", "metadata", "labels")
	for _, set := range []map[string]string{labels, template} {
		for key, value := range set {
			found = append(found, validation.IsQualifiedName(key)...)
			found = append(found, validation.IsValidLabelValue(value)...)
		}
	}
	return found
}

func TestNumericNamesStayText(t *testing.T) {
	for _, name := range reference.Charts() {
		for _, object := range render(t, name, input{values: minimal(name), release: "1e3", namespace: "12345"}).objects(t) {
			if namespace, found, err := unstructured.NestedString(object.Object, "metadata", "namespace"); err != nil || (found && namespace != "12345") {
				t.Errorf("%s: %s: namespace %q, %v", name, object.GetKind(), namespace, err)
			}
			if _, found, err := unstructured.NestedString(object.Object, "metadata", "name"); err != nil || !found {
				t.Errorf("%s: %s: name: %v", name, object.GetKind(), err)
			}
			if labels, _, err := unstructured.NestedStringMap(object.Object, "metadata", "labels"); err != nil {
				t.Errorf("%s: %s: labels %v: %v", name, object.GetKind(), labels, err)
			}
		}
	}
}
