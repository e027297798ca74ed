package preflight

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// pageSize and maxPages bound what is read: 500 nodes or pods a request, 20,000 of either.
	pageSize, maxPages = 500, 40
	// maxReplicas bounds how often a pod is tried to be placed.
	maxReplicas = 1000
)

var errTooMany = errors.New("there are too many of them")

// capacity compares what the installation asks for with what nodes have left.
func (r *run) capacity(ctx context.Context) Check {
	wanted := demands(r.Values)
	if len(wanted) == 0 {
		return idle(Capacity, "the values ask for no resources")
	}
	for i := range wanted {
		wanted[i].replicas = min(wanted[i].replicas, maxReplicas)
	}
	var nodes []node
	places := map[string]int{}
	err := pages(ctx, r.Cluster, func() *corev1.NodeList { return &corev1.NodeList{} }, func(list *corev1.NodeList) {
		for i := range list.Items {
			if one, ok := newNode(&list.Items[i]); ok {
				places[one.name] = len(nodes)
				nodes = append(nodes, one)
			}
		}
	})
	if err != nil {
		return unasked(Capacity, "list nodes", err)
	}
	err = pages(ctx, r.Cluster, func() *corev1.PodList { return &corev1.PodList{} }, func(list *corev1.PodList) {
		for i := range list.Items {
			pod := &list.Items[i]
			if at, ok := places[pod.Spec.NodeName]; ok && !r.own(pod) {
				nodes[at].free = nodes[at].free.minus(requestOf(&pod.Spec))
			}
		}
	}, client.MatchingFieldsSelector{Selector: unfinished()})
	if err != nil {
		return unasked(Capacity, "list pods", err)
	}
	return judgeCapacity(wanted, nodes)
}

// unfinished selects pods that hold resources.
func unfinished() fields.Selector {
	return fields.AndSelectors(
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
		fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
	)
}

// own tells a pod of the installation itself, whose room an upgrade takes over.
func (r *run) own(pod *corev1.Pod) bool {
	return pod.Namespace == r.Namespace && pod.Labels["app.kubernetes.io/instance"] == r.Release
}

// pages reads a list page by page, and shows each page. Every page gets an object of its own: what is decoded into a used
// one keeps the fields that it does not name.
func pages[L client.ObjectList](ctx context.Context, reader client.Reader, empty func() L, see func(L), options ...client.ListOption) error {
	var next string
	for range maxPages {
		list := empty()
		if err := reader.List(ctx, list, append([]client.ListOption{client.Limit(pageSize), client.Continue(next)}, options...)...); err != nil {
			return fmt.Errorf("list: %w", err)
		}
		see(list)
		if next = list.GetContinue(); next == "" {
			return nil
		}
	}
	return errTooMany
}
