package operator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationv1client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
)

// reviewTimeout bounds one question about rights.
const reviewTimeout = 15 * time.Second

// strangerDelay is how long a resource that nobody has claimed yet may wait for the operator whose namespace it is.
const strangerDelay = 10 * time.Second

// notGranted deals with a resource in a namespace where the operator has no rights: it says so, and touches nothing. One
// that another operator looks after is left alone: two that both write would take turns, and a finalizer that we dropped
// would leave the other's release behind. A resource of our own that was granted once and is deleted now is let go.
func (r *Reconciler) notGranted(ctx context.Context, cr *appsv1.WeightsAndBiases) (time.Duration, error) {
	claimed := cr.Status.Operator
	if claimed != "" && claimed != r.config.Namespace {
		return 0, nil
	}
	if !cr.DeletionTimestamp.IsZero() {
		if wait := cr.DeletionTimestamp.Add(strangerDelay).Sub(r.now()); claimed == "" && wait > 0 {
			return wait, nil
		}
		return 0, r.dropFinalizer(ctx, cr)
	}
	return 0, r.writeProblem(ctx, cr, &fault.Error{
		Reason: appsv1.ReasonNamespaceNotGranted,
		Op:     fmt.Sprintf("look at namespace %s: the operator has no rights there", cr.Namespace),
		Hint:   "Run `" + r.grantCommand(cr.Namespace) + "`.",
	})
}

// grantCommand is the line that grants one more namespace to the operator.
func (r *Reconciler) grantCommand(namespace string) string {
	wanted := append(slices.Clone(r.config.WatchNamespaces), namespace)
	slices.Sort(wanted)
	return fmt.Sprintf("helm upgrade %s wandb/operator -n %s --reuse-values --set 'watchNamespaces={%s}'",
		r.config.Release, r.config.Namespace, strings.Join(slices.Compact(wanted), ","))
}

// Isolated asks whether the operator may read custom resources of the whole cluster. Anybody may ask this about himself.
func Isolated(ctx context.Context, config *rest.Config) (bool, error) {
	clientset, err := authorizationv1client.NewForConfig(config)
	if err != nil {
		return false, fmt.Errorf("make client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: appsv1.GroupName, Version: appsv1.Version, Resource: appsv1.Resource, Verb: "list",
		},
	}}
	review, err = clientset.SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask which resources may be read: %w", err)
	}
	return !review.Status.Allowed, nil
}
