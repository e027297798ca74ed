package chaos

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	k8sappsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/testenv"
)

const (
	// deletionLimit is the promise: each deletion ends within it.
	deletionLimit = 60 * time.Second
	// repetitions of each kind of trouble: 20 deletions in all.
	repetitions = 4
)

// trouble is something that stands in the way of a deletion.
type trouble struct {
	// make makes the trouble, at most a moment before the resource is deleted.
	make func(p *place, operator *process)
	// removes tells that the release's objects have to go; leaves, that they have to stay. Where neither is set nobody can
	// know them any more.
	removes, leaves bool
}

func troubles() map[string]trouble {
	return map[string]trouble{
		"release gone": {make: func(p *place, _ *process) {
			must(p.t, p.api.DeleteAllOf(p.t.Context(), &corev1.Secret{}, client.InNamespace(p.namespace), client.MatchingLabels{"owner": "helm"}))
		}},
		"repository unreachable": {removes: true, make: func(p *place, _ *process) { p.vendor.Close() }},
		"chart unknown": {removes: true, make: func(p *place, _ *process) {
			cr := p.resource()
			before := cr.DeepCopy()
			var err error
			cr.Spec.Chart, err = appsv1.ObjectOf(map[string]any{"url": p.vendor.Repository(), "name": "nobody-knows", "version": "9.9.9"})
			must(p.t, err)
			must(p.t, p.api.Patch(p.t.Context(), cr, client.MergeFrom(before)))
		}},
		"operator uninstalled first": {leaves: true, make: uninstallOperator},
		"namespace terminating": {leaves: true, make: func(p *place, _ *process) {
			// No namespace controller runs: the namespace stays terminating, and the test deletes what that would delete.
			must(p.t, p.api.Delete(p.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.namespace}}))
		}},
	}
}

// TestDeletionEnds deletes the resource under every trouble, at rest and in the middle of its first installation.
func TestDeletionEnds(t *testing.T) {
	t.Parallel()
	random := seed(t)
	var mu sync.Mutex
	var slowest time.Duration
	parts := map[string]func(*testing.T){}
	for name, each := range troubles() {
		for n := range repetitions {
			// The first of each is at rest, so that what has to be gone or still there can be told exactly.
			moment, pause := time.Duration(-1), time.Duration(random.IntN(1000))*time.Millisecond
			if n > 0 {
				moment = time.Duration(random.IntN(4000)) * time.Millisecond
			}
			parts[fmt.Sprintf("%s %d", name, n)] = func(t *testing.T) {
				took := each.play(t, moment, pause)
				mu.Lock()
				defer mu.Unlock()
				slowest = max(slowest, took)
			}
		}
	}
	together(t, crowd, parts)
	t.Logf("%d deletions, the slowest took %s", len(parts), slowest.Round(100*time.Millisecond))
}

// play installs, makes the trouble at a moment after the resource was created (negative: when it is Ready), deletes the
// resource a pause later, and returns how long that took.
func (d trouble) play(t *testing.T, moment, pause time.Duration) time.Duration {
	p := newPlace(t, testenv.Start(t))
	through := newProxy(t, p.base)
	operator := p.start("operator-1", through)
	operator.awaitWork(t)
	p.create()
	atRest := moment < 0
	if atRest {
		p.awaitRelease("v1", "1", patience)
	} else {
		linger(moment)
	}
	before, objects, revisions := p.treasure(), p.objects(), p.revisions()
	d.make(p, operator)
	linger(pause)
	began := time.Now()
	must(t, p.api.Delete(t.Context(), p.resource()))
	cr := &appsv1.WeightsAndBiases{}
	eventually(t, "the resource gone", deletionLimit, func() bool { return apierrors.IsNotFound(p.api.Get(t.Context(), p.key, cr)) },
		func() string {
			return fmt.Sprintf("revisions %v, finalizers %v, conditions %+v", p.revisions(), cr.Finalizers, cr.Status.Conditions)
		})
	took := time.Since(began)
	t.Logf("gone %s after its deletion, which came %s after its creation", took.Round(100*time.Millisecond), moment)

	if d.leaves && atRest {
		if diff := cmp.Diff(before, p.treasure()); diff != "" {
			t.Errorf("what has to stay was touched:\n%s", diff)
		}
		if diff := cmp.Diff(revisions, p.revisions()); diff != "" {
			t.Errorf("Helm's storage was touched:\n%s", diff)
		}
		return took
	}
	if d.leaves {
		return took
	}
	linger(quiet)
	if left := p.revisions(); len(left) > 0 {
		t.Errorf("Helm's storage holds %v", left)
	}
	if left := p.objects(); d.removes && len(left) > 0 {
		t.Errorf("of the release there is still %v (before: %v)", left, objects)
	}
	after := p.treasure()
	for _, name := range []string{"Secret wandb-spec-user", "Secret wandb-password", "Secret wandb-installation", "Secret wandb-database", "wandb-data"} {
		if before[name] != "" && before[name] != after[name] {
			t.Errorf("%s was lost or replaced", name)
		}
	}
	return took
}

// objects are those of the release that go with it.
func (p *place) objects() []string {
	p.t.Helper()
	var found []string
	for _, object := range []client.Object{&k8sappsv1.Deployment{}, &corev1.Service{}} {
		if p.find(object, "wandb-app") {
			found = append(found, fmt.Sprintf("%T", object))
		}
	}
	for _, name := range []string{"wandb-config", "wandb-former"} {
		if p.find(&corev1.ConfigMap{}, name) {
			found = append(found, name)
		}
	}
	return found
}

// uninstallOperator does what `helm uninstall` of the operator's chart does: its hook runs, and its pod ends when the
// hook scales the Deployment down.
func uninstallOperator(p *place, operator *process) {
	p.t.Helper()
	labels := map[string]string{"app": "controller-manager"}
	deployment := &k8sappsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "controller-manager"},
		Spec: k8sappsv1.DeploymentSpec{
			Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "manager"}}},
			},
		},
	}
	must(p.t, p.api.Create(p.t.Context(), deployment))
	deployment.Status = k8sappsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1}
	must(p.t, p.api.Status().Update(p.t.Context(), deployment))

	ctx, cancel := context.WithTimeout(p.t.Context(), deletionLimit)
	defer cancel()
	binary, err := program()
	must(p.t, err)
	// The hook of an isolated operator reaches its own namespace alone; with more rights it would let go of the resources
	// of the tests beside this one.
	limited := newProxy(p.t, p.confined("hook-"+p.namespace))
	hook := exec.CommandContext(ctx, binary, "release-finalizers", "--kubeconfig",
		kubeconfig(p.t, api.Cluster{Server: limited.server.URL}, api.AuthInfo{}))
	hook.Env = p.environment("hook")
	var said strings.Builder
	hook.Stderr = &said
	must(p.t, hook.Start())
	eventually(p.t, "the Deployment scaled down", patience, func() bool {
		must(p.t, p.api.Get(p.t.Context(), types.NamespacedName{Namespace: p.namespace, Name: deployment.Name}, deployment))
		return *deployment.Spec.Replicas == 0
	}, said.String)
	operator.end(p.t)
	deployment.Status = k8sappsv1.DeploymentStatus{ObservedGeneration: deployment.Generation}
	must(p.t, p.api.Status().Update(p.t.Context(), deployment))
	if err := hook.Wait(); err != nil {
		p.t.Fatalf("release-finalizers: %v\n%s", err, &said)
	}
}

// confined returns a user with all rights in the namespace, and none elsewhere.
func (p *place) confined(name string) *rest.Config {
	p.t.Helper()
	must(p.t, p.api.Create(p.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
	}))
	return testenv.As(p.t, name)
}
