package preflight

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubewandb/kubewandb/internal/testenv"
)

// chartDefaults are the values that the chart has by itself.
func chartDefaults(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "charts", "operator-wandb", "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return values(t, string(text))
}

func connect(t *testing.T, config *rest.Config) *API {
	t.Helper()
	api, err := Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// furnish gives the cluster of the tests one node and a class of each kind, until the test ends.
func furnish(t *testing.T, namespace string) *kubernetes.Clientset {
	t.Helper()
	kube, err := kubernetes.NewForConfig(testenv.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	create := metav1.CreateOptions{}
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("4Gi"), corev1.ResourcePods: resource.MustParse("10"),
	}
	node, err := kube.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "node-"}}, create)
	must(node, err)
	node.Spec.Taints = nil // new nodes are tainted as not ready, and no controller of these tests takes that away
	node, err = kube.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{})
	must(node, err)
	node.Status = corev1.NodeStatus{
		Allocatable: room, Capacity: room,
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}
	must(kube.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}))
	must(kube.NetworkingV1().IngressClasses().Create(t.Context(), &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: "nginx-" + namespace, Annotations: map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}},
		Spec:       networkingv1.IngressClassSpec{Controller: "example.com/ingress"},
	}, create))
	must(kube.StorageV1().StorageClasses().Create(t.Context(), &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "fast-" + namespace}, Provisioner: "example.com/disk",
	}, create))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		remove := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		remove(kube.CoreV1().Nodes().Delete(ctx, node.Name, metav1.DeleteOptions{}))
		remove(kube.NetworkingV1().IngressClasses().Delete(ctx, "nginx-"+namespace, metav1.DeleteOptions{}))
		remove(kube.StorageV1().StorageClasses().Delete(ctx, "fast-"+namespace, metav1.DeleteOptions{}))
	})
	return kube
}

func clusterInput(t *testing.T, namespace string, cluster Cluster) Input {
	t.Helper()
	in := input(t, "")
	in.Namespace, in.Values, in.Cluster, in.Keys = namespace, chartDefaults(t), cluster, nil
	section(in.Values, "global")["host"] = "https://wandb.example.com"
	return in
}

func TestACluster(t *testing.T) {
	namespace := testenv.Namespace(t)
	kube := furnish(t, namespace)
	in := clusterInput(t, namespace, connect(t, testenv.Start(t)))

	report := Run(t.Context(), in)
	expect(t, "version", named(t, report, KubernetesVersion), Passed, "Kubernetes v1.")
	expect(t, "default class", named(t, report, IngressClass), Passed, "nginx-"+namespace+" (the cluster's default)")
	expect(t, "no default class", named(t, report, StorageClass), Warning, "Set global.storageClass")
	expect(t, "room", named(t, report, Capacity), Passed, "fit on 1 nodes")
	if report.Blocking() {
		t.Errorf("blocked:\n%s", report.Text())
	}

	section(in.Values, "global")["storageClass"] = "fast-" + namespace
	section(in.Values, "ingress")["class"] = "other"
	occupy(t, kube, namespace, "neighbour", "other-release")
	report = Run(t.Context(), in)
	expect(t, "named class", named(t, report, StorageClass), Passed, "fast-")
	expect(t, "missing class", named(t, report, IngressClass), Warning, `no class "other"`)
	expect(t, "room that somebody takes", named(t, report, Capacity), Warning, "of app")

	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: in.Release + "-app"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	if _, err := kube.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	section(in.Values, "global")["storageClass"] = "gone"
	expect(t, "a volume that exists", named(t, Run(t.Context(), in), StorageClass), Passed, "exists")
	section(in.Values, "app", "persistence")["existingClaim"] = "mine"
	expect(t, "a claim that does not", named(t, Run(t.Context(), in), StorageClass), Warning, `"mine"`)
}

// occupy puts a pod on the only node that leaves no room for the application.
func occupy(t *testing.T, kube *kubernetes.Clientset, namespace, name, instance string) {
	t.Helper()
	nodes, err := kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("nodes: %v %v", nodes, err)
	}
	grace := int64(0)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app.kubernetes.io/instance": instance}},
		Spec: corev1.PodSpec{
			NodeName: nodes.Items[0].Name, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{
				Name: "c", Image: "registry.example.com/c",
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("3Gi")}},
			}},
		},
	}
	if _, err := kube.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestPodsOfTheInstallationGiveTheirRoomBack(t *testing.T) {
	namespace := testenv.Namespace(t)
	kube := furnish(t, namespace)
	in := clusterInput(t, namespace, connect(t, testenv.Start(t)))
	occupy(t, kube, namespace, "wandb-app-0", in.Release)
	expect(t, "an upgrade", named(t, Run(t.Context(), in), Capacity), Passed, "fit on 1 nodes")
}

func TestSomebodyWithoutRights(t *testing.T) {
	namespace := testenv.Namespace(t)
	kube := furnish(t, namespace)
	api := connect(t, testenv.As(t, "stranger-"+namespace))
	in := clusterInput(t, namespace, api)
	mysql := section(in.Values, "global", "mysql")
	mysql["host"], mysql["passwordSecret"] = "db", map[string]any{"name": "login", "passwordKey": "pw"}
	section(in.Values, "global")["bucket"] = map[string]any{"name": "data", "accessKey": secretRef("keys", "a"), "secretKey": secretRef("keys", "s")}

	report := Run(t.Context(), in)
	expect(t, "anybody may ask", named(t, report, KubernetesVersion), Passed, "")
	for name, needs := range map[string]string{
		IngressClass: "needs: list ingressclasses", StorageClass: "needs: list storageclasses", Capacity: "needs: list nodes",
		MySQLReachable: "needs: get secrets", BucketAccess: "needs: get secrets",
	} {
		if got := named(t, report, name); got.Result != Skipped || got.Idle || got.Message != needs {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if report.Blocking() {
		t.Error("a right that is missing blocks")
	}
	if !strings.Contains(report.Text(), "– capacity            needs: list nodes\n") {
		t.Errorf("got\n%s", report.Text())
	}

	// With the right to nodes alone, that to pods is missing.
	grant(t, kube, "stranger-"+namespace, "nodes")
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		got := named(t, Run(t.Context(), in), Capacity)
		if got.Message == "needs: list pods" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v", got)
		}
		<-tick.C
	}
}

func grant(t *testing.T, kube *kubernetes.Clientset, user, resource string) {
	t.Helper()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{resource}, Verbs: []string{"list"}}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	if _, err := kube.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestKeysComeFromSecretsAndConfigMaps(t *testing.T) {
	namespace := testenv.Namespace(t)
	kube := furnish(t, namespace)
	in := clusterInput(t, namespace, connect(t, testenv.Start(t)))
	section(in.Values, "global")["mysql"] = map[string]any{
		"host":     map[string]any{"configMapKeyRef": map[string]any{"name": "places", "key": "host"}},
		"password": map[string]any{"valueFrom": secretRef("login", "password")},
	}
	expect(t, "no ConfigMap", named(t, Run(t.Context(), in), MySQLReachable), Failed, "ConfigMap places, which is not there")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := kube.CoreV1().ConfigMaps(namespace).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "places"}, Data: map[string]string{"host": "127.0.0.1"},
	}, metav1.CreateOptions{})
	must(err)
	_, err = kube.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "login"}, StringData: map[string]string{"other": "canary-of-a-secret"},
	}, metav1.CreateOptions{})
	must(err)
	expect(t, "no such key", named(t, Run(t.Context(), in), MySQLReachable), Failed, "--from-literal=password=<value>")
	section(in.Values, "global", "mysql")["password"] = map[string]any{"valueFrom": secretRef("login", "other")}
	in.Dial = nil
	section(in.Values, "global", "mysql")["port"] = "1"
	report := Run(t.Context(), in)
	expect(t, "found, and nobody listens", named(t, report, MySQLReachable), Failed, "127.0.0.1:1 is not reached")
	if strings.Contains(report.Text(), "canary") {
		t.Errorf("a password is in\n%s", report.Text())
	}
}

func TestTheVersionIsRemembered(t *testing.T) {
	api := connect(t, testenv.Start(t))
	now := time.Now()
	api.now = func() time.Time { return now }
	if _, err := api.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := api.Version(ended); err != nil {
		t.Errorf("it was asked again: %v", err)
	}
	now = now.Add(versionAge)
	if _, err := api.Version(ended); err == nil {
		t.Error("an old answer was not asked for again")
	}
}
