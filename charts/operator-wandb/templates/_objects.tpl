{{/* ServiceAccount, Service, disruption budget and network policy of a component: call with "wandb.app" or "wandb.console" and "root". */}}
{{- define "wandb.serviceAccount" -}}
{{- $account := (index .root.Values .component | default dict).serviceAccount | default dict -}}
{{- if dig "create" true $account -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "wandb.serviceAccountName" . }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "wandb.labels" (dict "root" .root "component" .component "extra" $account.labels) | nindent 4 }}
  {{- with include "wandb.annotations" (dict "root" .root "extra" $account.annotations) }}
  {{- . | nindent 2 }}
  {{- end }}
automountServiceAccountToken: {{ .token }}
{{- end -}}
{{- end -}}

{{- define "wandb.service" -}}
{{- $service := (index .root.Values .component | default dict).service | default dict -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "wandb.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "wandb.labels" (dict "root" .root "component" .component "kind" "service" "extra" $service.labels) | nindent 4 }}
  {{- with include "wandb.annotations" (dict "root" .root "kind" "service" "extra" $service.annotations) }}
  {{- . | nindent 2 }}
  {{- end }}
spec:
  type: {{ $service.type | default "ClusterIP" }}
  selector:
    {{- include "wandb.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .port }}
      targetPort: http
    - name: metrics
      port: {{ .metricsPort }}
      targetPort: metrics
{{- end -}}

{{- define "wandb.replicas" -}}
{{- int (dig "replicaCount" 1 (index .root.Values .component | default dict)) -}}
{{- end -}}

{{- define "wandb.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "wandb.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "wandb.labels" (dict "root" .root "component" .component) | nindent 4 }}
  {{- with include "wandb.annotations" (dict "root" .root) }}
  {{- . | nindent 2 }}
  {{- end }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "wandb.selector" . | nindent 6 }}
{{- end -}}

{{- define "wandb.networkPolicy" -}}
{{- $policy := .root.Values.networkPolicy | default dict -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "wandb.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "wandb.labels" (dict "root" .root "component" .component) | nindent 4 }}
  {{- with include "wandb.annotations" (dict "root" .root) }}
  {{- . | nindent 2 }}
  {{- end }}
spec:
  podSelector:
    matchLabels:
      {{- include "wandb.selector" . | nindent 6 }}
  policyTypes:
    - Ingress
    {{- if $policy.egress }}
    - Egress
    {{- end }}
  ingress:
    - ports:
        - port: http
      {{- with $policy.from }}
      from:
        {{- toYaml . | nindent 8 }}
        - podSelector:
            matchLabels:
              app.kubernetes.io/instance: {{ $.root.Release.Name | quote }}
      {{- end }}
    - ports:
        - port: metrics
      {{- with $policy.metricsFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  {{- with $policy.egress }}
  egress:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
