package helm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/probe"
	"github.com/kubewandb/kubewandb/internal/probe/report"
)

const (
	// logLines are asked for from the end of a log; the report is the last line, or nearly.
	logLines = 64
	// maxLogRead bounds what is read of them, in bytes; only the last report.MaxSize are kept.
	maxLogRead = 4 << 20
	// logAttempts: a kubelet that is busy answers a moment later.
	logAttempts = 4

	defaultContainer = "kubectl.kubernetes.io/default-container"
)

// readOutcome returns what a hook that has ended reported.
func (c *Client) readOutcome(ctx context.Context, object *hookObject) (probe.Report, error) {
	pod, err := c.podOf(ctx, object.live)
	if err != nil {
		return probe.Report{}, err
	}
	var log []byte
	if pod != nil {
		if log, err = c.readLog(ctx, pod); err != nil {
			return probe.Report{}, err
		}
	}
	found, err := probe.Parse(log)
	exit := probe.Check{Name: report.Name(object.hook.Name), Path: report.Inside, Result: report.Passed}
	if !object.succeeded {
		exit.Result, exit.Message = report.Failed, whyFailed(object, pod)
	}
	switch {
	case errors.Is(err, report.ErrNone):
		return probe.Report{Checks: []probe.Check{exit}}, nil
	case err != nil:
		return probe.Report{}, &fault.Error{
			Reason: v1.ReasonProbeUnusable, Op: "read the log of " + object.ref(), Err: err,
			Hint: "The probe of the chart and the operator do not understand each other: update the older of the two.",
		}
	case !object.succeeded && len(found.Failing()) == 0:
		// A report may be printed before the end: how it ended counts too.
		return report.Join(found, probe.Report{Checks: []probe.Check{exit}}), nil
	}
	return found, nil
}

func whyFailed(object *hookObject, pod *corev1.Pod) string {
	if pod != nil {
		if found, ok := podTrouble(pod); ok {
			return fmt.Sprintf("%s failed: %s", object.ref(), found.message)
		}
	}
	conditions, _, _ := unstructured.NestedSlice(object.live.Object, "status", "conditions")
	for _, one := range conditions {
		if condition, ok := one.(map[string]any); ok && text(condition, "type") == "Failed" && text(condition, "message") != "" {
			return fmt.Sprintf("%s failed: %s", object.ref(), text(condition, "message"))
		}
	}
	return object.ref() + " failed"
}

// podOf returns the pod of a Pod or Job, of several the newest; nil where there is none.
func (c *Client) podOf(ctx context.Context, object *unstructured.Unstructured) (*corev1.Pod, error) {
	if object.GetKind() == "Pod" {
		pod, err := c.clientset.CoreV1().Pods(object.GetNamespace()).Get(ctx, object.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read pod %s: %w", object.GetName(), err)
		}
		return pod, nil
	}
	selector := labels.Set{batchv1.ControllerUidLabel: string(object.GetUID())}.AsSelector().String()
	pods, err := c.clientset.CoreV1().Pods(object.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: pageSize})
	if err != nil {
		return nil, fmt.Errorf("list pods of Job %s: %w", object.GetName(), err)
	}
	var newest *corev1.Pod
	for i := range pods.Items {
		if pod := &pods.Items[i]; newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			newest = pod
		}
	}
	return newest, nil
}

// readLog returns the end of a pod's log; nothing where the pod never had one.
func (c *Client) readLog(ctx context.Context, pod *corev1.Pod) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		log, err := c.readLogOnce(ctx, pod)
		switch {
		case err == nil:
			return log, nil
		case apierrors.IsNotFound(err), apierrors.IsBadRequest(err): // the pod is gone, or its container never started
			return nil, nil
		case apierrors.IsForbidden(err), attempt == logAttempts, !retryPause(ctx, attempt):
			return nil, fmt.Errorf("read the log of pod %s: %w", pod.Name, err)
		}
	}
}

func (c *Client) readLogOnce(ctx context.Context, pod *corev1.Pod) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	lines := int64(logLines)
	stream, err := c.clientset.CoreV1().Pods(pod.Namespace).
		GetLogs(pod.Name, &corev1.PodLogOptions{Container: mainContainer(pod), TailLines: &lines}).Stream(ctx)
	if err != nil {
		return nil, err // readLog words it
	}
	defer func() { _ = stream.Close() }()
	return lastBytes(io.LimitReader(stream, maxLogRead), report.MaxSize)
}

// mainContainer names the container whose log counts: a service mesh may put another one into the pod.
func mainContainer(pod *corev1.Pod) string {
	if name := pod.Annotations[defaultContainer]; name != "" {
		return name
	}
	if len(pod.Spec.Containers) == 0 {
		return ""
	}
	return pod.Spec.Containers[0].Name
}

// lastBytes reads to the end and returns at most the last size bytes, holding no more than twice as many.
func lastBytes(reader io.Reader, size int) ([]byte, error) {
	var kept bytes.Buffer
	for {
		n, err := io.CopyN(&kept, reader, int64(size))
		if over := kept.Len() - size; over > 0 {
			kept.Next(over)
		}
		switch {
		case errors.Is(err, io.EOF):
			return kept.Bytes(), nil
		case err != nil:
			return nil, err
		case n == 0:
			return kept.Bytes(), nil
		}
	}
}
