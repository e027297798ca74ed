package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	k8sappsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "github.com/kubewandb/kubewandb/api/v1"
)

const (
	// deploymentName is the name of the operator's own Deployment.
	deploymentName = "controller-manager"
	// stopTimeout is how long the operator may take to end: a step at work has its grace.
	stopTimeout = 60 * time.Second
)

// Farewell of an operator that is about to be uninstalled.
type Farewell struct {
	RESTConfig *rest.Config
	Logger     logr.Logger
	// Namespace of the operator, and the namespaces where it has rights.
	Namespace       string
	WatchNamespaces []string
}

// ReleaseFinalizers stops the operator and takes its finalizer off every resource, so that resources and namespaces can
// be deleted after it is gone. Workloads stay as they are.
func ReleaseFinalizers(ctx context.Context, farewell Farewell) error {
	scheme := runtime.NewScheme()
	if err := errors.Join(k8sappsv1.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		return fmt.Errorf("register types: %w", err)
	}
	api, err := client.New(farewell.RESTConfig, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if err := farewell.stopOperator(ctx, api); err != nil {
		return fmt.Errorf("stop the operator: %w", err)
	}
	names, err := farewell.resources(ctx, api)
	if err != nil {
		return fmt.Errorf("list resources: %w", err)
	}
	for _, resource := range names {
		if err := farewell.releaseOne(ctx, api, resource); err != nil {
			return fmt.Errorf("release %s/%s: %w", resource.Namespace, resource.Name, err)
		}
		farewell.Logger.Info("finalizer released", "namespace", resource.Namespace, "name", resource.Name)
	}
	return nil
}

// stopOperator scales the Deployment down first: an operator at work would add its finalizer again.
func (f Farewell) stopOperator(ctx context.Context, api client.Client) error {
	deployment := &k8sappsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: f.Namespace, Name: deploymentName}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":0}}`))
	err := api.Patch(ctx, deployment, patch)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err // the caller says what for
	}
	return wait.PollUntilContextTimeout(ctx, 500*time.Millisecond, stopTimeout, true, func(ctx context.Context) (bool, error) {
		err := api.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		stopped := deployment.Status.ObservedGeneration >= deployment.Generation && deployment.Status.Replicas == 0
		return err == nil && stopped, nil
	})
}

// resources lists what may carry our finalizer: everywhere, or where the operator has rights if it may not look
// everywhere.
func (f Farewell) resources(ctx context.Context, api client.Client) ([]appsv1.WeightsAndBiases, error) {
	list := func(options ...client.ListOption) ([]appsv1.WeightsAndBiases, error) {
		found := &appsv1.WeightsAndBiasesList{}
		err := api.List(ctx, found, options...)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return found.Items, err // the caller says what for
	}
	found, err := list()
	if !apierrors.IsForbidden(err) {
		return found, err
	}
	for _, namespace := range f.WatchNamespaces {
		part, err := list(client.InNamespace(namespace))
		if err != nil {
			return nil, err
		}
		found = append(found, part...)
	}
	return found, nil
}

// releaseOne takes our finalizer off a resource, and tries again where somebody else wrote meanwhile.
func (f Farewell) releaseOne(ctx context.Context, api client.Client, resource appsv1.WeightsAndBiases) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if claimed := resource.Status.Operator; claimed != "" && claimed != f.Namespace {
			return nil // another operator looks after it, and stays
		}
		if !slices.Contains(resource.Finalizers, appsv1.Finalizer) {
			return nil
		}
		changed := resource.DeepCopy()
		changed.Finalizers = slices.DeleteFunc(changed.Finalizers, func(name string) bool { return name == appsv1.Finalizer })
		patch := client.MergeFromWithOptions(&resource, client.MergeFromWithOptimisticLock{})
		err := client.IgnoreNotFound(api.Patch(ctx, changed, patch))
		if apierrors.IsConflict(err) {
			if read := api.Get(ctx, client.ObjectKeyFromObject(changed), &resource); read != nil {
				return client.IgnoreNotFound(read)
			}
		}
		return err // retry tests for conflicts, the caller names the resource
	})
}
