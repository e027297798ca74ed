package console

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// podTerminating is the phase shown of a pod that is being deleted; Kubernetes itself has no such phase.
const podTerminating = "Terminating"

type podView struct {
	Name      string      `json:"name"`
	Component string      `json:"component"`
	Phase     string      `json:"phase"`
	Ready     bool        `json:"ready"`
	Restarts  int32       `json:"restarts"`
	Images    []imageView `json:"images"`
	StartedAt *time.Time  `json:"startedAt"`
	// Message says what keeps the pod from working; empty where nothing does.
	Message string `json:"message"`
}

type imageView struct {
	// Name is the container's name.
	Name  string `json:"name"`
	Image string `json:"image"`
	// ImageID names what runs, with its digest; empty before the image was pulled.
	ImageID string `json:"imageID"`
}

func podViews(pods []*corev1.Pod) []podView {
	views := make([]podView, 0, len(pods))
	for _, pod := range pods {
		views = append(views, viewPod(pod))
	}
	slices.SortFunc(views, func(a, b podView) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Name, b.Name))
	})
	return views
}

func viewPod(pod *corev1.Pod) podView {
	view := podView{
		Name: pod.Name, Component: pod.Labels[componentLabel], Phase: string(pod.Status.Phase),
		Images: []imageView{}, StartedAt: instant(pod.Status.StartTime), Message: podMessage(pod),
	}
	if pod.DeletionTimestamp != nil {
		view.Phase = podTerminating
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			view.Ready = condition.Status == corev1.ConditionTrue
		}
	}
	running := map[string]string{}
	for _, container := range pod.Status.ContainerStatuses {
		view.Restarts += container.RestartCount
		running[container.Name] = container.ImageID
	}
	for _, container := range pod.Spec.Containers {
		view.Images = append(view.Images, imageView{Name: container.Name, Image: container.Image, ImageID: running[container.Name]})
	}
	return view
}

// podMessage says what is wrong with a pod, the most telling reason first. The last words of a container are left out: they
// may be lines of its log.
func podMessage(pod *corev1.Pod) string {
	if pod.Status.Reason != "" { // evicted, or lost with its node
		return withDetail(pod.Status.Reason, pod.Status.Message)
	}
	for _, container := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if message := containerMessage(container); message != "" {
			return "Container " + container.Name + ": " + message
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			return withDetail(condition.Reason, condition.Message)
		}
	}
	return ""
}

func containerMessage(container corev1.ContainerStatus) string {
	if waiting := container.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "", "PodInitializing", "ContainerCreating":
			return "" // the usual way to start
		case "CrashLoopBackOff":
			return withDetail(waiting.Reason, exit(container.LastTerminationState.Terminated))
		}
		return withDetail(waiting.Reason, waiting.Message)
	}
	if ended := container.State.Terminated; ended != nil && ended.ExitCode != 0 {
		return exit(ended)
	}
	if last := container.LastTerminationState.Terminated; last != nil && !container.Ready && last.ExitCode != 0 {
		return "restarted after " + exit(last)
	}
	return ""
}

func exit(ended *corev1.ContainerStateTerminated) string {
	if ended == nil {
		return ""
	}
	if ended.Signal != 0 {
		return fmt.Sprintf("%s (signal %d)", cmp.Or(ended.Reason, "Error"), ended.Signal)
	}
	return fmt.Sprintf("%s (exit code %d)", cmp.Or(ended.Reason, "Error"), ended.ExitCode)
}

func withDetail(reason, detail string) string {
	if detail == "" {
		return reason
	}
	return reason + ": " + detail
}
