package preflight

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// values reads values as the operator holds them.
func values(t *testing.T, text string) map[string]any {
	t.Helper()
	var parsed map[string]any
	if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

const gib = 1 << 30

func TestDemands(t *testing.T) {
	sizing := `
  install: true
  sizing:
    small: {resources: {requests: {cpu: "1", memory: 2Gi}, limits: {memory: 4Gi}}}
    medium: {resources: {requests: {cpu: 500m, memory: 8Gi}}, autoscaling: {horizontal: {enabled: true, minReplicas: 3}}}
`
	for sentence, c := range map[string]struct {
		values   string
		each     amount
		replicas int64
	}{
		"small where no size is set":             {"app:" + sizing, amount{1000, 2 * gib}, 1},
		"the size that is set":                   {"global: {size: medium}\napp:" + sizing, amount{500, 8 * gib}, 3},
		"a component's own resources replace it": {"app:" + sizing + "  resources: {requests: {cpu: 3}}", amount{3000, 0}, 1},
		"those of a container even more":         {"app:" + sizing + "  resources: {requests: {cpu: 3}}\n  containers: {app: {resources: {limits: {cpu: 4}}}}", amount{4000, 0}, 1},
		"as often as there are replicas":         {"app:" + sizing + "  replicaCount: 2", amount{1000, 2 * gib}, 2},
		"as often as the autoscaler begins with": {"app:" + sizing + "  autoscaling: {horizontal: {enabled: true, minReplicas: 4}}", amount{1000, 2 * gib}, 4},
		"a quantity that is none counts nothing": {"app:" + sizing + "  resources: {requests: {cpu: a, memory: 1Gi}}", amount{0, gib}, 1},
	} {
		got := demands(values(t, c.values))
		if len(got) != 1 || got[0].each != c.each || got[0].replicas != c.replicas {
			t.Errorf("%s: got %+v", sentence, got)
		}
	}
	for sentence, text := range map[string]string{
		"a size that nothing is known of": "global: {size: testing}\napp:" + sizing,
		"a component that is off":         "app:" + sizing + "  replicaCount: 0",
		"a chart without such keys":       "replicas: 3\nweb: {resources: {requests: {cpu: 1}}}",
		"nothing":                         "",
	} {
		if got := demands(values(t, text)); len(got) != 0 {
			t.Errorf("%s: got %+v", sentence, got)
		}
	}
}

func TestPlacing(t *testing.T) {
	pod := func(replicas, cpu, memory int64) demand {
		return demand{component: "app", replicas: replicas, each: amount{cpu, memory * gib}}
	}
	room := func(cpu, memory int64) node { return node{free: amount{cpu, memory * gib}} }
	tainted := room(8000, 32)
	tainted.taints = []corev1.Taint{{Key: "gpu", Value: "yes", Effect: corev1.TaintEffectNoSchedule}}
	tolerant := pod(1, 1000, 2)
	tolerant.tolerations = tolerationsOf(values(t, `tolerations: [{key: gpu, operator: Exists}]`), nil)
	choosy := pod(1, 1000, 2)
	choosy.selector = map[string]string{"pool": "wandb"}
	for sentence, c := range map[string]struct {
		wanted []demand
		nodes  []node
		want   Result
		part   string
	}{
		"room on one node":              {[]demand{pod(1, 1000, 2)}, []node{room(2000, 4)}, Passed, "1 pods need 1 CPU and 2Gi"},
		"room on several":               {[]demand{pod(3, 1000, 2)}, []node{room(1000, 2), room(2000, 4)}, Passed, "3 pods"},
		"the large one first":           {[]demand{pod(1, 100, 1), pod(1, 100, 4)}, []node{room(1000, 4), room(1000, 1)}, Passed, "2 pods"},
		"room in sum, on no node alone": {[]demand{pod(1, 1000, 4)}, []node{room(4000, 3), room(4000, 3)}, Warning, "1 of app (1 CPU and 4Gi each)"},
		"some of them":                  {[]demand{pod(3, 1000, 2)}, []node{room(2000, 64)}, Warning, "1 of app"},
		"a node that is overbooked":     {[]demand{pod(1, 1, 1)}, []node{room(-100, 4)}, Warning, "no room"},
		"no node":                       {[]demand{pod(1, 1, 1)}, nil, Warning, "0 nodes"},
		"a taint":                       {[]demand{pod(1, 1, 1)}, []node{tainted}, Warning, "no room"},
		"a taint that is tolerated":     {[]demand{tolerant}, []node{tainted}, Passed, ""},
		"a node without the label":      {[]demand{choosy}, []node{room(8000, 8)}, Warning, "no room"},
	} {
		expect(t, sentence, judgeCapacity(c.wanted, c.nodes), c.want, c.part)
	}
}

func TestRequestsOfPods(t *testing.T) {
	container := func(cpu string) corev1.Container {
		return corev1.Container{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}
	}
	always := corev1.ContainerRestartPolicyAlways
	sidecar := container("1")
	sidecar.RestartPolicy = &always
	for sentence, c := range map[string]struct {
		pod  corev1.PodSpec
		want int64
	}{
		"containers add up":            {corev1.PodSpec{Containers: []corev1.Container{container("1"), container("500m")}}, 1500},
		"a larger one before them":     {corev1.PodSpec{InitContainers: []corev1.Container{container("4")}, Containers: []corev1.Container{container("1")}}, 4000},
		"one that stays beside them":   {corev1.PodSpec{InitContainers: []corev1.Container{sidecar}, Containers: []corev1.Container{container("1")}}, 2000},
		"one that starts beside those": {corev1.PodSpec{InitContainers: []corev1.Container{sidecar, container("2")}, Containers: []corev1.Container{container("1")}}, 3000},
		"what the runtime takes":       {corev1.PodSpec{Containers: []corev1.Container{container("1")}, Overhead: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}}, 1100},
	} {
		if got := requestOf(&c.pod).cpu; got != c.want {
			t.Errorf("%s: got %d, want %d", sentence, got, c.want)
		}
	}
}

func TestNodesThatTakeNoPods(t *testing.T) {
	ready := func(status corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n"},
			Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}},
		}
	}
	cordoned := ready(corev1.ConditionTrue)
	cordoned.Spec.Unschedulable = true
	for sentence, c := range map[string]struct {
		node *corev1.Node
		want bool
	}{
		"ready": {ready(corev1.ConditionTrue), true}, "not ready": {ready(corev1.ConditionFalse), false},
		"away": {ready(corev1.ConditionUnknown), false}, "cordoned": {cordoned, false},
	} {
		if _, got := newNode(c.node); got != c.want {
			t.Errorf("%s: got %v", sentence, got)
		}
	}
}
