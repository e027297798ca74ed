package operator

import (
	"maps"
	"testing"

	"github.com/kubewandb/kubewandb/test/vendortest"
)

// newVendor is a vendor whose repository has version 1.0.0 of the chart.
func newVendor(t *testing.T) *vendortest.Vendor {
	v := vendortest.New(t)
	v.AddChart("1.0.0", chartFiles("1.0.0", nil))
	return v
}

// addChart adds a version of the chart to the repository, with files replaced or added.
func (i *installation) addChart(version string, changed map[string]string) {
	i.t.Helper()
	i.vendor.AddChart(version, chartFiles(version, changed))
}

// chartFiles is a small application: a Deployment that reads a ConfigMap, a Secret that outlives the release, and a schema, with
// files replaced or added.
func chartFiles(version string, changed map[string]string) map[string]string {
	files := map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: app\nversion: " + version + "\nappVersion: \"app-" + version + "\"\n",
		"values.yaml": "image: {tag: none}\nreplicas: 1\ncolor: grey\nhold: \"\"\nlist: []\n",
		"values.schema.json": `{"type":"object","properties":{
			"replicas":{"type":"integer","minimum":0,"maximum":5},
			"color":{"type":"string"},
			"image":{"type":"object","properties":{"tag":{"type":"string"}}}}}`,
		"templates/config.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data:
  color: {{ .Values.color | quote }}
  tag: {{ .Values.image.tag | quote }}
  namespace: {{ .Values.global.operator.namespace | quote }}
  list: {{ .Values.list | join "," | quote }}
`,
		"templates/keep.yaml": `
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-database
  annotations: {helm.sh/resource-policy: keep}
stringData: {password: hunter2hunter2}
`,
		"templates/app.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-app
  annotations: {test/hold: {{ .Values.hold | quote }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
        - {name: app, image: "app:{{ .Values.image.tag }}"}
`,
	}
	maps.Copy(files, changed)
	return files
}

// tagged are values of a release.
func tagged(tag string) map[string]any {
	return map[string]any{"image": map[string]any{"tag": tag}}
}
