package console

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	apiv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

// What must never leave the cluster's Secrets; the harness looks for them in everything that was logged.
const (
	testPassword = "canary-password-8f1c"
	testKey      = "Y2FuYXJ5LXNlc3Npb24ta2V5LTAxMjM0NTY3ODlhYmNkZWY=" // "canary-session-key-0123456789abcdef"
	testLicense  = "canary-license-77aa"
)

// cluster is one namespace of a real API server, as the operator would have left it, and the console's service account.
type cluster struct {
	admin     kubernetes.Interface
	resources dynamic.ResourceInterface
	namespace string
	// console is how the console reaches the API server: as its service account, with the Role of the reference page.
	console *rest.Config
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	config := testenv.Start(t)
	admin, err := kubernetes.NewForConfig(config)
	must(t, err)
	dyn, err := dynamic.NewForConfig(config)
	must(t, err)
	namespace := testenv.Namespace(t)
	c := &cluster{
		admin: admin, namespace: namespace,
		resources: dyn.Resource(apiv1.GroupVersion().WithResource(apiv1.Resource)).Namespace(namespace),
	}
	c.writeSecret(t, "wandb-password", map[string]string{"password": testPassword})
	c.writeSecret(t, "wandb-session-keys", map[string]string{"console": testKey})
	c.writeSecret(t, "wandb-spec-user", map[string]string{"values": "{}", "chart": "null", "metadata": "null"})
	c.console = c.serviceAccount(t, config)
	return c
}

// serviceAccount makes the console's account with the Role of docs/reference/console-rbac.md and nothing else.
func (c *cluster) serviceAccount(t *testing.T, admin *rest.Config) *rest.Config {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "console-rbac.md"))
	must(t, err)
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/reference/console-rbac.md shows no Role")
	}
	var role rbacv1.Role
	must(t, yaml.UnmarshalStrict(block[1], &role))
	_, err = c.admin.RbacV1().Roles(c.namespace).Create(t.Context(), &role, metav1.CreateOptions{})
	must(t, err)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "wandb-console"}}
	_, err = c.admin.CoreV1().ServiceAccounts(c.namespace).Create(t.Context(), account, metav1.CreateOptions{})
	must(t, err)
	_, err = c.admin.RbacV1().RoleBindings(c.namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "wandb-console"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account.Name, Namespace: c.namespace}},
	}, metav1.CreateOptions{})
	must(t, err)
	token, err := c.admin.CoreV1().ServiceAccounts(c.namespace).CreateToken(t.Context(), account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	must(t, err)
	config := rest.AnonymousClientConfig(admin)
	config.BearerToken = token.Status.Token
	config.QPS, config.Burst = 200, 400
	return config
}

// writeSecret creates a Secret or replaces its data.
func (c *cluster) writeSecret(t *testing.T, name string, data map[string]string) {
	t.Helper()
	secrets := c.admin.CoreV1().Secrets(c.namespace)
	wanted := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}
	if _, err := secrets.Get(t.Context(), name, metav1.GetOptions{}); err == nil {
		must(t, secrets.Delete(t.Context(), name, metav1.DeleteOptions{}))
	}
	_, err := secrets.Create(t.Context(), wanted, metav1.CreateOptions{})
	must(t, err)
}

func (c *cluster) readSecret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret, err := c.admin.CoreV1().Secrets(c.namespace).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	return secret
}

// createResource makes the custom resource from the YAML of its spec.
func (c *cluster) createResource(t *testing.T, name, spec string) {
	t.Helper()
	var fields map[string]any
	must(t, yaml.Unmarshal([]byte(spec), &fields))
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps.wandb.com/v1", "kind": "WeightsAndBiases",
		"metadata": map[string]any{"name": name}, "spec": fields,
	}}
	_, err := c.resources.Create(t.Context(), object, metav1.CreateOptions{})
	must(t, err)
}

// setStatus writes the status of the custom resource from YAML, as the operator does.
func (c *cluster) setStatus(t *testing.T, name, status string) {
	t.Helper()
	var fields map[string]any
	must(t, yaml.Unmarshal([]byte(status), &fields))
	object, err := c.resources.Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	object.Object["status"] = fields
	_, err = c.resources.UpdateStatus(t.Context(), object, metav1.UpdateOptions{})
	must(t, err)
}

func (c *cluster) createPod(t *testing.T, name, instance, component string) *corev1.Pod {
	t.Helper()
	pod, err := c.admin.CoreV1().Pods(c.namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{instanceLabel: instance, componentLabel: component}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: component, Image: "example.com/" + component + ":1"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	return pod
}

func (c *cluster) createEvent(t *testing.T, kind, name, reason, message string, at time.Time) {
	t.Helper()
	_, err := c.admin.CoreV1().Events(c.namespace).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: name + "."},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name, Namespace: c.namespace},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: message, LastTimestamp: metav1.NewTime(at),
	}, metav1.CreateOptions{})
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until check returns "", and fails with what it said last.
func eventually(t *testing.T, within time.Duration, check func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		problem := check()
		if problem == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s: %s", within, problem)
		case <-tick.C:
		}
	}
}

func containsAny(text string, words ...string) string {
	for _, word := range words {
		if strings.Contains(text, word) {
			return fmt.Sprintf("%q", word)
		}
	}
	return ""
}
