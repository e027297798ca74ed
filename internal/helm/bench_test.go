package helm_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// hundredChart makes 100 objects of the kinds that a real installation consists of.
func hundredChart() map[string]string {
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, `---
apiVersion: v1
kind: ConfigMap
metadata: {name: c-%[1]d}
data: {greeting: {{ .Values.greeting | quote }}}
---
apiVersion: v1
kind: Secret
metadata: {name: s-%[1]d}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: a-%[1]d}
---
apiVersion: v1
kind: Service
metadata: {name: v-%[1]d}
spec: {ports: [{port: 80}], selector: {app: d-%[1]d}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d-%[1]d}
spec:
  selector: {matchLabels: {app: d-%[1]d}}
  template: {metadata: {labels: {app: d-%[1]d}}, spec: {containers: [{name: c, image: i}]}}
`, i)
	}
	return with(configMapChart("1.0.0"), map[string]string{"templates/config.yaml": b.String()})
}

// TestAHundredObjectsStayCheap bounds requests, which do not depend on how busy the machine is.
func TestAHundredObjectsStayCheap(t *testing.T) {
	b := newBench(t, nil)
	measure := func(what string, atMost int, do func() error) {
		t.Helper()
		before := b.traffic.total()
		started := time.Now()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		sent := b.traffic.total() - before
		t.Logf("%s: %d requests, %s", what, sent, time.Since(started).Round(time.Millisecond))
		if sent > atMost {
			t.Errorf("%s took %d requests, want at most %d", what, sent, atMost)
		}
	}
	chart := b.apply(hundredChart(), map[string]any{"greeting": "a"})(t)
	if _, err := b.Render(t.Context(), chart.Chart, chart.Values, b.namespace, "demo"); err != nil {
		t.Fatal(err)
	}
	measure("render", 1, func() error {
		objects, err := b.Render(t.Context(), chart.Chart, chart.Values, b.namespace, "demo")
		if err == nil && len(objects) != 100 {
			t.Errorf("%d objects, want 100", len(objects))
		}
		return err
	})
	measure("rights", 2, func() error {
		objects, err := b.Render(t.Context(), chart.Chart, chart.Values, b.namespace, "demo")
		if err != nil {
			return err
		}
		return b.MissingRights(t.Context(), objects)
	})
	measure("install", 210, func() error {
		_, err := b.Install(t.Context(), chart)
		return err
	})
	chart.Values = map[string]any{"greeting": "b"}
	measure("upgrade", 220, func() error {
		_, err := b.Upgrade(t.Context(), chart)
		return err
	})
	current, err := b.Current(t.Context(), b.namespace, "demo")
	if err != nil {
		t.Fatal(err)
	}
	measure("current", 1, func() error {
		_, err := b.Current(t.Context(), b.namespace, "demo")
		return err
	})
	measure("health", 6, func() error {
		_, err := b.Health(t.Context(), b.namespace, current.Objects)
		return err
	})
}
