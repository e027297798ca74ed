package helm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubewandb/kubewandb/internal/helm"
)

// eventually waits for what the API server does by itself.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !check() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

func workloadChart() map[string]string {
	return with(configMapChart("1.0.0"), map[string]string{
		"templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: demo}
spec:
  replicas: 1
  selector: {matchLabels: {app: demo}}
  template:
    metadata: {labels: {app: demo}}
    spec: {containers: [{name: app, image: registry.example.com/app}]}
`,
		"templates/secret.yaml":  "apiVersion: v1\nkind: Secret\nmetadata: {name: demo-secret}\nstringData: {password: canary-secret}\n",
		"templates/service.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: demo}\nspec: {ports: [{port: 80}], selector: {app: demo}}\n",
		"templates/claim.yaml":   "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n",
	})
}

// settle makes the Deployment's status what the controller would write.
func (b *bench) settle(t *testing.T, change func(*appsv1.DeploymentStatus)) {
	t.Helper()
	deployments := b.kube.AppsV1().Deployments(b.namespace)
	deployment, err := deployments.Get(t.Context(), "demo", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: deployment.Generation, Replicas: 1, UpdatedReplicas: 1}
	change(&deployment.Status)
	if _, err := deployments.UpdateStatus(t.Context(), deployment, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) pod(t *testing.T, name string, status corev1.PodStatus) {
	t.Helper()
	pods := b.kube.CoreV1().Pods(b.namespace)
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "demo"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example.com/app"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Status = status
	if _, err := pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func waiting(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}}
}

func TestHealthOfARelease(t *testing.T) {
	available := func(s *appsv1.DeploymentStatus) {
		s.AvailableReplicas, s.ReadyReplicas = 1, 1
		s.Conditions = []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
		}
	}
	tests := map[string]struct {
		arrange func(t *testing.T, b *bench)
		status  helm.HealthStatus
		// reason of the Deployment.
		reason string
		parts  []string
	}{
		"nobody has looked at the Deployment yet": {
			arrange: func(*testing.T, *bench) {}, status: helm.HealthInProgress, parts: []string{"Deployment"},
		},
		"everything runs": {
			arrange: func(t *testing.T, b *bench) { b.settle(t, available) }, status: helm.HealthReady,
		},
		"the image cannot be pulled": {
			arrange: func(t *testing.T, b *bench) {
				b.settle(t, func(*appsv1.DeploymentStatus) {})
				b.pod(t, "demo-1", waiting("ImagePullBackOff", "Back-off pulling image from https://user:canary-pull@registry.example.com"))
			},
			status: helm.HealthInProgress, reason: "ImagePullBackOff", parts: []string{"pod demo-1", "container app", "Back-off pulling"},
		},
		"the container crashes": {
			arrange: func(t *testing.T, b *bench) {
				b.settle(t, func(*appsv1.DeploymentStatus) {})
				status := waiting("CrashLoopBackOff", "back-off 5m0s")
				status.ContainerStatuses[0].RestartCount = 4
				status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error", Message: "password canary-log refused"}
				b.pod(t, "demo-1", status)
			},
			status: helm.HealthInProgress, reason: "CrashLoopBackOff", parts: []string{"ended 4 times", "exit code 2", "see its log"},
		},
		"no node has room": {
			arrange: func(t *testing.T, b *bench) {
				b.settle(t, func(*appsv1.DeploymentStatus) {})
				b.pod(t, "demo-1", corev1.PodStatus{Conditions: []corev1.PodCondition{{
					Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available: insufficient memory",
				}}})
			},
			status: helm.HealthInProgress, reason: "Unschedulable", parts: []string{"insufficient memory"},
		},
		"the rollout gave up": {
			arrange: func(t *testing.T, b *bench) {
				b.settle(t, func(s *appsv1.DeploymentStatus) {
					s.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: "too slow"}}
				})
			},
			status: helm.HealthFailed, parts: []string{"Deployment"},
		},
		"an object was removed": {
			arrange: func(t *testing.T, b *bench) {
				b.settle(t, available)
				if err := b.kube.CoreV1().Services(b.namespace).Delete(t.Context(), "demo", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			status: helm.HealthFailed, parts: []string{"Service", "Missing"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			release := b.install(t, workloadChart(), nil)
			test.arrange(t, b)
			health, err := b.Health(t.Context(), b.namespace, release.Objects)
			if err != nil {
				t.Fatal(err)
			}
			if health.Status != test.status || len(health.Objects) != len(release.Objects) {
				t.Errorf("status %s (%s) of %d objects, want %s of %d", health.Status, health.Message, len(health.Objects), test.status, len(release.Objects))
			}
			for _, part := range test.parts {
				if !strings.Contains(health.Message, part) {
					t.Errorf("message %q lacks %q", health.Message, part)
				}
			}
			if strings.Contains(health.Message, "canary") {
				t.Errorf("message shows a secret: %s", health.Message)
			}
			for i, object := range health.Objects {
				if object.Ref != release.Objects[i] {
					t.Errorf("object %d is %v, want %v", i, object.Ref, release.Objects[i])
				}
				if object.Kind == "Deployment" && test.reason != "" && object.Reason != test.reason {
					t.Errorf("reason %q, want %q", object.Reason, test.reason)
				}
			}
		})
	}
}

func TestHealthReadsNoSecretAndBatchesByKind(t *testing.T) {
	b := newBench(t, nil)
	files := workloadChart()
	var many strings.Builder
	for _, suffix := range strings.Split("abcdefghijklmnopqrst", "") {
		many.WriteString("---\napiVersion: v1\nkind: Secret\nmetadata: {name: many-" + suffix + "}\nstringData: {password: canary-secret}\n")
	}
	files["templates/many.yaml"] = many.String()
	release := b.install(t, files, nil)
	if _, err := b.Health(t.Context(), b.namespace, release.Objects); err != nil {
		t.Fatal(err)
	}
	var requests []string
	b.traffic.intercept(func(r *http.Request) error {
		requests = append(requests, r.URL.Path)
		if strings.Contains(r.URL.Path, "/secrets") && !strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadata") {
			t.Errorf("whole Secrets are read: %s", r.URL.Path)
		}
		return nil
	})
	if _, err := b.Health(t.Context(), b.namespace, release.Objects); err != nil {
		t.Fatal(err)
	}
	b.traffic.intercept(nil)
	// Five kinds and the pods of the Deployment that is not ready.
	if len(release.Objects) < 24 || len(requests) > 6 {
		t.Errorf("%d objects took %d requests: %v", len(release.Objects), len(requests), requests)
	}
}

func TestHealthOfAKindThatIsGone(t *testing.T) {
	b := newBench(t, nil)
	health, err := b.Health(t.Context(), b.namespace, []helm.Ref{
		{APIVersion: "keda.sh/v1", Kind: "ScaledObject", Name: "x"},
		{APIVersion: "batch/v1", Kind: "Job", Name: "finished-and-removed"},
	})
	if err != nil || health.Status != helm.HealthFailed || health.Objects[0].Reason != helm.HealthReasonUnknownKind || health.Objects[1].Status != helm.HealthReady {
		t.Errorf("%+v, %v", health, err)
	}
}
