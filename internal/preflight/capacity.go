package preflight

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// amount is a number of millicores and bytes.
type amount struct{ cpu, memory int64 }

func (a amount) plus(b amount) amount    { return amount{a.cpu + b.cpu, a.memory + b.memory} }
func (a amount) minus(b amount) amount   { return amount{a.cpu - b.cpu, a.memory - b.memory} }
func (a amount) atLeast(b amount) amount { return amount{max(a.cpu, b.cpu), max(a.memory, b.memory)} }
func (a amount) fits(room amount) bool   { return a.cpu <= room.cpu && a.memory <= room.memory }

func (a amount) String() string {
	const precision = 1 << 20
	memory := resource.NewQuantity(a.memory/precision*precision, resource.BinarySI)
	return fmt.Sprintf("%s CPU and %s", resource.NewMilliQuantity(a.cpu, resource.DecimalSI), memory)
}

func amountOf(list corev1.ResourceList) amount {
	return amount{cpu: list.Cpu().MilliValue(), memory: list.Memory().Value()}
}

// demand is what one component asks of the nodes.
type demand struct {
	component   string
	replicas    int64
	each        amount
	selector    map[string]string
	tolerations []corev1.Toleration
}

// demands reads what each component that is installed asks for at the size of the values: its own resources, or those that
// its block of sizing has for that size.
func demands(values map[string]any) []demand {
	size := cmp.Or(text(values, "global", "size"), "small")
	var list []demand
	for _, component := range slices.Sorted(maps.Keys(values)) {
		fields, ok := values[component].(map[string]any)
		if !ok || !flag(fields, "install", false) {
			continue
		}
		sizing := section(fields, "sizing", size)
		resources := section(fields, "containers", component, "resources")
		for _, weaker := range []map[string]any{section(fields, "resources"), section(sizing, "resources")} {
			if len(resources) == 0 {
				resources = weaker
			}
		}
		one := demand{
			component:   component,
			replicas:    replicas(fields, sizing),
			each:        amount{cpu: requested(resources, "cpu").MilliValue(), memory: requested(resources, "memory").Value()},
			selector:    selectorOf(fields, section(values, "global")),
			tolerations: tolerationsOf(fields, section(values, "global")),
		}
		if one.replicas > 0 && one.each != (amount{}) {
			list = append(list, one)
		}
	}
	return list
}

func replicas(fields, sizing map[string]any) int64 {
	for _, layer := range []map[string]any{fields, sizing} {
		if scaler := section(layer, "autoscaling", "horizontal"); flag(scaler, "enabled", false) {
			return whole(scaler["minReplicas"], 1)
		}
	}
	return whole(fields["replicaCount"], whole(sizing["replicaCount"], 1))
}

func whole(value any, fallback int64) int64 {
	var n int64
	if _, err := fmt.Sscan(scalar(value), &n); err != nil || n < 0 {
		return fallback
	}
	return n
}

// requested returns the request of a resource; a limit without a request is one.
func requested(resources map[string]any, key string) *resource.Quantity {
	for _, part := range []string{"requests", "limits"} {
		if parsed, err := resource.ParseQuantity(scalar(section(resources, part)[key])); err == nil {
			return &parsed
		}
	}
	return &resource.Quantity{}
}

func selectorOf(fields, global map[string]any) map[string]string {
	chosen := section(fields, "nodeSelector")
	if len(chosen) == 0 {
		chosen = section(global, "nodeSelector")
	}
	selector := map[string]string{}
	for key, value := range chosen {
		selector[key] = scalar(value)
	}
	return selector
}

func tolerationsOf(fields, global map[string]any) []corev1.Toleration {
	chosen, _ := fields["tolerations"].([]any)
	if len(chosen) == 0 {
		chosen, _ = global["tolerations"].([]any)
	}
	list := make([]corev1.Toleration, 0, len(chosen))
	for _, one := range chosen {
		if fields, ok := one.(map[string]any); ok {
			list = append(list, corev1.Toleration{
				Key: text(fields, "key"), Operator: corev1.TolerationOperator(text(fields, "operator")),
				Value: text(fields, "value"), Effect: corev1.TaintEffect(text(fields, "effect")),
			})
		}
	}
	return list
}

// node is what one node has left.
type node struct {
	name   string
	free   amount
	labels map[string]string
	taints []corev1.Taint
}

// newNode returns a node whose pods are not counted yet; ok is false where no pod may come.
func newNode(from *corev1.Node) (n node, ok bool) {
	if from.Spec.Unschedulable {
		return node{}, false
	}
	for _, condition := range from.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
			return node{}, false
		}
	}
	return node{name: from.Name, free: amountOf(from.Status.Allocatable), labels: from.Labels, taints: from.Spec.Taints}, true
}

// takes tells that the scheduler may put a pod of this component here, room aside.
func (n node) takes(d demand) bool {
	for key, value := range d.selector {
		if n.labels[key] != value {
			return false
		}
	}
	return !slices.ContainsFunc(n.taints, func(taint corev1.Taint) bool {
		return taint.Effect != corev1.TaintEffectPreferNoSchedule &&
			!slices.ContainsFunc(d.tolerations, func(one corev1.Toleration) bool { return tolerates(one, taint) })
	})
}

func tolerates(one corev1.Toleration, taint corev1.Taint) bool {
	switch {
	case one.Effect != "" && one.Effect != taint.Effect, one.Key != "" && one.Key != taint.Key:
		return false
	case one.Operator == corev1.TolerationOpExists:
		return true
	default:
		return one.Key != "" && one.Value == taint.Value
	}
}

// requestOf is what the scheduler reserves for a pod.
func requestOf(pod *corev1.PodSpec) amount {
	var running, starting amount
	for i := range pod.InitContainers {
		own := amountOf(pod.InitContainers[i].Resources.Requests)
		if policy := pod.InitContainers[i].RestartPolicy; policy != nil && *policy == corev1.ContainerRestartPolicyAlways {
			running = running.plus(own)
			continue
		}
		starting = starting.atLeast(running.plus(own))
	}
	for i := range pod.Containers {
		running = running.plus(amountOf(pod.Containers[i].Resources.Requests))
	}
	return running.atLeast(starting).plus(amountOf(pod.Overhead))
}

// judgeCapacity tries to place every pod, the largest first, each on the node with the most memory left. A scheduler may
// do it otherwise, and nodes may be added: what does not fit is only a warning.
func judgeCapacity(wanted []demand, nodes []node) Check {
	nodes = slices.Clone(nodes)
	var sum amount
	var pods int64
	wanted = slices.Clone(wanted)
	slices.SortStableFunc(wanted, func(a, b demand) int {
		return cmp.Or(cmp.Compare(b.each.memory, a.each.memory), cmp.Compare(b.each.cpu, a.each.cpu))
	})
	var missing []string
	for _, one := range wanted {
		pods += one.replicas
		sum = sum.plus(amount{one.each.cpu * one.replicas, one.each.memory * one.replicas})
		for i := range one.replicas {
			if !place(nodes, one) {
				missing = append(missing, fmt.Sprintf("%d of %s (%s each)", one.replicas-i, one.component, one.each))
				break
			}
		}
	}
	if len(missing) > 0 {
		return warning(Capacity, "%d pods need %s; the %d nodes that take pods have no room for %s. Add nodes, or choose a smaller global.size. An autoscaler of nodes may do it by itself.",
			pods, sum, len(nodes), strings.Join(missing, ", "))
	}
	return passed(Capacity, "%d pods need %s, and fit on %d nodes", pods, sum, len(nodes))
}

func place(nodes []node, one demand) bool {
	best := -1
	for i := range nodes {
		if nodes[i].takes(one) && one.each.fits(nodes[i].free) && (best < 0 || nodes[i].free.memory > nodes[best].free.memory) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	nodes[best].free = nodes[best].free.minus(one.each)
	return true
}
