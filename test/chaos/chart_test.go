package chaos

// application is a small chart with one of each kind of thing that an upgrade must not lose. A version that migrates has
// a hook before its upgrade, an object that older ones lack, and lacks one that older ones have.
func application(version string, migrates bool) map[string]string {
	files := map[string]string{
		"Chart.yaml":         "apiVersion: v2\nname: app\nversion: " + version + "\n",
		"values.yaml":        "tag: none\ncolor: grey\n",
		"values.schema.json": `{"type":"object","properties":{"tag":{"type":"string"},"color":{"type":"string"}}}`,
		"templates/config.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data:
  tag: {{ .Values.tag | quote }}
  color: {{ .Values.color | quote }}
`,
		"templates/database.yaml": `
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}-database
  annotations: {helm.sh/resource-policy: keep}
stringData: {password: hunter2hunter2}
`,
		"templates/volume.yaml": `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: {{ .Release.Name }}-data}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
`,
		"templates/service.yaml": `
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}-app}
spec: {selector: {app: app}, ports: [{port: 80}]}
`,
		"templates/app.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: app, image: "app:{{ .Values.tag }}"}]}
`,
		"templates/former.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-former}
`,
	}
	if !migrates {
		return files
	}
	delete(files, "templates/former.yaml")
	files["templates/newer.yaml"] = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{ .Release.Name }}-newer}
`
	files["templates/migrate.yaml"] = `
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations: {helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "app:{{ .Values.tag }}"}]}
`
	return files
}
