package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubewandb/kubewandb/internal/spec"
)

// podReader says why the pods of a workload do not run. Pods are listed once per namespace, and only where something is
// not ready.
type podReader struct {
	client *Client
	pods   map[string][]corev1.Pod
}

// explain adds what the pods of a workload say to its health. A workload that is ready needs no explanation.
func (r *podReader) explain(ctx context.Context, health *ObjectHealth, object *unstructured.Unstructured) error {
	if health.Status == HealthReady || object == nil || !hasPods(health.Kind) {
		return nil
	}
	selector, ok := podSelector(object)
	if !ok {
		return nil
	}
	pods, err := r.list(ctx, health.Namespace)
	if err != nil {
		return err
	}
	if trouble, found := worstTrouble(pods, selector); found {
		health.Reason = trouble.reason
		health.Message = spec.MaskText(fmt.Sprintf("pod %s: %s", trouble.pod, trouble.message), nil)
	}
	return nil
}

func (r *podReader) list(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	if pods, known := r.pods[namespace]; known {
		return pods, nil
	}
	var pods []corev1.Pod
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := r.client.clientset.CoreV1().Pods(namespace).List(ctx, options)
		if apierrors.IsForbidden(err) {
			// Without the right to read pods the workload's own words have to do.
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list pods: %w", err)
		}
		pods = append(pods, page.Items...)
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	if r.pods == nil {
		r.pods = map[string][]corev1.Pod{}
	}
	r.pods[namespace] = pods
	return pods, nil
}

func hasPods(kind string) bool {
	return slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"}, kind)
}

func podSelector(object *unstructured.Unstructured) (labels.Selector, bool) {
	raw, found, err := unstructured.NestedMap(object.Object, "spec", "selector")
	if err != nil || !found {
		return nil, false
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return nil, false
	}
	parsed, err := metav1.LabelSelectorAsSelector(&selector)
	return parsed, err == nil && !parsed.Empty()
}

type trouble struct {
	pod, reason, message string
}

// worstTrouble looks at the newest pods first: those of an earlier revision say nothing about this one.
func worstTrouble(pods []corev1.Pod, selector labels.Selector) (trouble, bool) {
	var own []*corev1.Pod
	for i := range pods {
		if pods[i].DeletionTimestamp == nil && selector.Matches(labels.Set(pods[i].Labels)) {
			own = append(own, &pods[i])
		}
	}
	slices.SortFunc(own, func(a, b *corev1.Pod) int {
		if c := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, pod := range own {
		if found, ok := podTrouble(pod); ok {
			found.pod = pod.Name
			return found, true
		}
	}
	return trouble{}, false
}

func podTrouble(pod *corev1.Pod) (trouble, bool) {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return trouble{reason: condition.Reason, message: condition.Message}, true
		}
	}
	statuses := append(slices.Clone(pod.Status.InitContainerStatuses), pod.Status.ContainerStatuses...)
	for _, container := range statuses {
		if found, ok := containerTrouble(container); ok {
			return found, true
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return trouble{reason: pod.Status.Reason, message: "the pod failed: " + pod.Status.Message}, true
	}
	return trouble{}, false
}

func containerTrouble(container corev1.ContainerStatus) (trouble, bool) {
	if waiting := container.State.Waiting; waiting != nil && waiting.Reason != "" && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing" {
		message := fmt.Sprintf("container %s: %s", container.Name, waiting.Message)
		if last := container.LastTerminationState.Terminated; last != nil {
			// The termination message is the application's own text and may hold anything; its log is one command away.
			message = fmt.Sprintf("container %s ended %d times, last with exit code %d (%s); see its log", container.Name, container.RestartCount, last.ExitCode, last.Reason)
		}
		return trouble{reason: waiting.Reason, message: message}, true
	}
	if ended := container.State.Terminated; ended != nil && ended.ExitCode != 0 {
		return trouble{reason: ended.Reason, message: fmt.Sprintf("container %s ended with exit code %d; see its log", container.Name, ended.ExitCode)}, true
	}
	return trouble{}, false
}
