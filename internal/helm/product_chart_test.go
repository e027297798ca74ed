package helm_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/kubewandb/kubewandb/api/v1"
	"github.com/kubewandb/kubewandb/internal/fault"
	"github.com/kubewandb/kubewandb/internal/helm"
	"github.com/kubewandb/kubewandb/internal/spec"
)

// finishJobs does what the Job controller would, until ctx ends, and returns how many Jobs it finished.
func (b *bench) finishJobs(ctx context.Context) int {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	finished := 0
	for {
		select {
		case <-ctx.Done():
			return finished
		case <-tick.C:
		}
		jobs, err := b.kube.BatchV1().Jobs(b.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			continue
		}
		for _, job := range jobs.Items {
			if len(job.Status.Conditions) > 0 {
				continue
			}
			now := metav1.Now()
			job.Status = batchv1.JobStatus{StartTime: &now, CompletionTime: &now, Succeeded: 1, Conditions: []batchv1.JobCondition{
				{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: now},
				{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: now},
			}}
			if _, err := b.kube.BatchV1().Jobs(b.namespace).UpdateStatus(ctx, &job, metav1.UpdateOptions{}); err == nil {
				finished++
			}
		}
	}
}

// TestTheProductsChartInstalls walks the path of a resource in the field: layers, schema, rendering, rights, Helm.
func TestTheProductsChartInstalls(t *testing.T) {
	charts, err := filepath.Abs("../../charts")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(c *helm.Config) { c.ChartsDir = charts })
	chart, err := b.LoadChart(t.Context(), &spec.Chart{Form: spec.FormLocal, Path: "operator-wandb"}, helm.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	schema, err := chart.ParsedSchema()
	if err != nil || schema == nil {
		t.Fatalf("schema %v, %v", schema, err)
	}
	resolve := func(values map[string]any) *spec.Resolved {
		t.Helper()
		resolved, err := spec.Resolve([]spec.Layer{
			spec.OperatorDefaults(b.namespace),
			{Name: spec.LayerChannel, Values: map[string]any{"app": map[string]any{"image": map[string]any{"tag": "1.2.3"}}}},
			{Name: spec.LayerResource, Values: values},
		}, spec.Options{Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		return resolved
	}
	resolved := resolve(map[string]any{
		"global": map[string]any{
			"host": "https://wandb.example.com", "license": "eyJhbGciOiJFZERTQSJ9.e30.c2ln",
			"bucket":   map[string]any{"provider": "s3", "name": "my-bucket", "region": "us-east-1", "kmsKey": nil},
			"mysql":    map[string]any{"host": "db", "port": int64(3306), "database": "wandb_local", "user": "wandb", "password": "pw"},
			"extraEnv": map[string]any{"GORILLA_X": "1"},
		},
		"ingress": map[string]any{"class": "nginx", "annotations": map[string]any{"nginx.ingress.kubernetes.io/proxy-body-size": "0"}},
		"mysql":   map[string]any{"install": false},
	})
	objects, err := b.Render(t.Context(), chart, resolved.Values, b.namespace, "demo")
	if err != nil {
		t.Fatalf("render: %s", fault.Message(err))
	}
	if err := b.CheckObjects(t.Context(), objects, helm.Policy{Namespace: b.namespace}); err != nil {
		t.Errorf("our own chart needs more than its namespace: %v", err)
	}
	if err := b.MissingRights(t.Context(), objects); err != nil {
		t.Error(err)
	}
	finished := make(chan int, 1)
	installing, installed := context.WithCancel(t.Context())
	go func() { finished <- b.finishJobs(installing) }()
	release, err := b.Install(t.Context(), helm.Apply{Namespace: b.namespace, Name: "demo", Chart: chart, Values: resolved.Values, Timeout: time.Minute})
	installed()
	if err != nil {
		t.Fatalf("install: %s", fault.Message(err))
	}
	if jobs := <-finished; jobs == 0 {
		t.Error("with MySQL a hook migrates the database, and none ran")
	}
	again, err := b.Render(t.Context(), chart, resolved.Values, b.namespace, "demo")
	if err != nil || len(again) != len(objects) {
		t.Errorf("%d objects before, %d after the install: %v", len(objects), len(again), err)
	}
	if release.ValuesDigest != spec.ValuesDigest(resolved.Values) {
		t.Error("the release has another digest than the values it was made from")
	}

	wrong := resolve(map[string]any{"global": map[string]any{"host": "https://wandb.example.com", "size": []any{"huge"}}})
	if err := chart.Validate(wrong.Values); fault.Reason(err, "") != v1.ReasonValuesInvalid {
		t.Errorf("global.size as a list is accepted: %v", err)
	}
}

func TestAFailedHookFailsTheRevision(t *testing.T) {
	b := newBench(t, nil)
	files := with(configMapChart("1.0.0"), map[string]string{
		"templates/hook.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {helm.sh/hook: pre-install}}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n",
	})
	apply := b.apply(files, nil)(t)
	apply.Timeout = 2 * time.Second
	started := time.Now()
	release, err := b.Install(t.Context(), apply)
	if fault.Reason(err, "") != v1.ReasonHelmFailed || release == nil || release.Status != helm.StatusFailed {
		t.Fatalf("%+v, %v", release, err)
	}
	if took := time.Since(started); took < apply.Timeout || took > time.Minute {
		t.Errorf("the hook was waited for %s, its timeout is %s", took, apply.Timeout)
	}
	if _, err := b.kube.CoreV1().ConfigMaps(b.namespace).Get(t.Context(), "demo-config", metav1.GetOptions{}); err == nil {
		t.Error("the chart was applied although its hook before that failed")
	}
}
