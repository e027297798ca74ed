{{/*
What the two hook Jobs share. Their objects are hooks too, with an account of their own: at that moment of an upgrade or
an uninstallation the release's objects are not there yet, or no more.
Call all of them with dict "root" $ "hook" "crd-upgrade" "event" "pre-upgrade".
*/}}
{{- define "operator.hook.name" -}}
{{ include "operator.name" .root }}-{{ .hook }}
{{- end -}}

{{/* ClusterRoles have no namespace: see operator.clusterName. */}}
{{- define "operator.hook.clusterName" -}}
{{ include "operator.hook.name" . }}-{{ .root.Release.Namespace }}
{{- end -}}

{{/* Labels and annotations; "weight" orders account, rights and Job. */}}
{{- define "operator.hook.labels" -}}
labels:
  {{- include "operator.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .hook }}
annotations:
  helm.sh/hook: {{ .event }}
  helm.sh/hook-weight: {{ .weight | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "operator.hook.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "operator.hook.name" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  {{- include "operator.hook.labels" (merge (dict "weight" "-10") .) | nindent 2 }}
{{- end -}}

{{/* Role and RoleBinding in "namespace", or for the whole cluster without it; "rules" is YAML. */}}
{{- define "operator.hook.rights" -}}
{{- $kind := .namespace | empty | ternary "ClusterRole" "Role" -}}
{{- $name := .namespace | empty | ternary (include "operator.hook.clusterName" .) (include "operator.hook.name" .) -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  {{- include "operator.hook.labels" (merge (dict "weight" "-9") .) | nindent 2 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  {{- include "operator.hook.labels" (merge (dict "weight" "-8") .) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "operator.hook.name" . }}
    namespace: {{ .root.Release.Namespace | quote }}
{{- end -}}

{{- define "operator.hook.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "operator.hook.name" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  {{- include "operator.hook.labels" (merge (dict "weight" "0") .) | nindent 2 }}
spec:
  backoffLimit: 3
  activeDeadlineSeconds: 120
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {{ .root.Chart.Name }}-hook
        app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
        app.kubernetes.io/component: {{ .hook }}
    spec:
      restartPolicy: OnFailure
      serviceAccountName: {{ include "operator.hook.name" . }}
      {{- with include "operator.pullSecrets" .root }}{{ . | trim | nindent 6 }}{{ end }}
      securityContext:
        {{- include "operator.podSecurityContext" .root | nindent 8 }}
      {{- with include "operator.scheduling" .root }}{{ . | trim | nindent 6 }}{{ end }}
      containers:
        - name: {{ .hook }}
          image: {{ include "operator.image" .root | quote }}
          imagePullPolicy: {{ (.root.Values.image).pullPolicy | default "IfNotPresent" }}
          args: {{ .args | toJson }}
          env:
            - name: OPERATOR_NAMESPACE
              valueFrom:
                fieldRef:
                  fieldPath: metadata.namespace
            - name: WATCH_NAMESPACES
              value: {{ include "operator.namespaces" .root | fromJsonArray | join "," | quote }}
          resources:
            requests: {cpu: 10m, memory: 32Mi}
            limits: {memory: 256Mi}
          securityContext:
            {{- include "operator.securityContext" .root | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir: {}
{{- end -}}
