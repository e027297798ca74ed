package bench

import (
	"context"
	"errors"
	"fmt"
	"testing"

	k8sappsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// watchReady tells when as many resources are Ready in their newest generation. It watches rather than polls, so that the
// clock stops at the moment and nothing is asked meanwhile.
func watchReady(ctx context.Context, b *testing.B, resources dynamic.ResourceInterface, count int) <-chan error {
	b.Helper()
	stream, err := resources.Watch(ctx, metav1.ListOptions{})
	must(b, err)
	result := make(chan error, 1)
	go func() {
		defer stream.Stop()
		ready := map[string]bool{}
		for len(ready) < count {
			select {
			case <-ctx.Done():
				result <- fmt.Errorf("%d of %d are: %w", len(ready), count, ctx.Err())
				return
			case event, open := <-stream.ResultChan():
				if !open {
					result <- fmt.Errorf("%d of %d are: the watch has ended", len(ready), count)
					return
				}
				if object, ok := event.Object.(*unstructured.Unstructured); ok && isReady(object) {
					ready[object.GetName()] = true
				}
			}
		}
		result <- nil
	}()
	return result
}

func isReady(object *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, each := range conditions {
		condition, _ := each.(map[string]any)
		if condition["type"] != "Ready" || condition["status"] != "True" {
			continue
		}
		seen, found, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
		return !found || seen == object.GetGeneration()
	}
	return false
}

// deploymentWorkers write status at a time, as many as the real controller has by default.
const deploymentWorkers = 5

// playDeploymentController writes what the controller of Deployments says about one without pods: a test's API server has
// no controllers. It watches, and its time is not the operator's.
func playDeploymentController(ctx context.Context, clients kubernetes.Interface) {
	work := make(chan *k8sappsv1.Deployment, 1024)
	for range deploymentWorkers {
		go func() {
			for deployment := range work {
				deployment.Status = available(deployment)
				_, _ = clients.AppsV1().Deployments(namespace).UpdateStatus(ctx, deployment, metav1.UpdateOptions{})
			}
		}()
	}
	go func() {
		defer close(work)
		for ctx.Err() == nil {
			if err := follow(ctx, clients, work); err != nil && ctx.Err() != nil {
				return
			}
		}
	}()
}

func follow(ctx context.Context, clients kubernetes.Interface, work chan<- *k8sappsv1.Deployment) error {
	stream, err := clients.AppsV1().Deployments(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("watch Deployments: %w", err)
	}
	defer stream.Stop()
	for event := range stream.ResultChan() {
		deployment, ok := event.Object.(*k8sappsv1.Deployment)
		if ok && event.Type != watch.Deleted && deployment.Status.ObservedGeneration != deployment.Generation {
			work <- deployment
		}
	}
	return errors.New("the watch has ended")
}

func available(deployment *k8sappsv1.Deployment) k8sappsv1.DeploymentStatus {
	now := metav1.Now()
	return k8sappsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation,
		Conditions: []k8sappsv1.DeploymentCondition{
			{
				Type: k8sappsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable",
				Message: "Deployment has minimum availability.", LastUpdateTime: now, LastTransitionTime: now,
			},
			{
				Type: k8sappsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable",
				Message: "ReplicaSet has successfully progressed.", LastUpdateTime: now, LastTransitionTime: now,
			},
		},
	}
}
