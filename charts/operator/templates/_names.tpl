{{/*
Every key is read with a default: `helm upgrade --reuse-values` brings the values of an older chart, in which newer keys
do not exist.
*/}}

{{/* Prefix of all objects but the Deployment, which is always called controller-manager. */}}
{{- define "operator.name" -}}
{{- .Values.fullnameOverride | default .Values.nameOverride | default "wandb" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
control-plane: controller-manager
{{- end -}}

{{- define "operator.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: wandb
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* ClusterRoles have no namespace: their names carry the release's, so that two operators can share a cluster. */}}
{{- define "operator.clusterName" -}}
{{- printf "%s-manager-%s" (include "operator.name" .) .Release.Namespace -}}
{{- end -}}

{{- define "operator.serviceAccountName" -}}
{{- $account := (.Values.manager).serviceAccount | default dict -}}
{{- if dig "create" true $account -}}
{{- $account.name | default (printf "%s-manager" (include "operator.name" .)) -}}
{{- else -}}
{{- required "manager.serviceAccount.name: name the existing ServiceAccount when create is false" $account.name -}}
{{- end -}}
{{- end -}}

{{- define "operator.isolated" -}}
{{- if (.Values.namespaceIsolation).enabled -}}true{{- end -}}
{{- end -}}

{{/* The namespaces in which the operator may act, as a JSON list without duplicates. */}}
{{- define "operator.namespaces" -}}
{{- $namespaces := .Values.watchNamespaces | default list -}}
{{- if include "operator.isolated" . -}}
{{- $namespaces = concat $namespaces ((.Values.namespaceIsolation).additionalNamespaces | default list) (list .Release.Namespace) -}}
{{- end -}}
{{- $namespaces | default (list .Release.Namespace) | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* Repository with tag or digest; both default empty so that --reuse-values follows the chart's version. */}}
{{- define "operator.image" -}}
{{- $image := .Values.image | default dict -}}
{{- $repository := $image.repository | default "ghcr.io/kubewandb/controller-manager" -}}
{{- /* A packed chart names the digest of its own image in an annotation, where --reuse-values can't freeze it. A tag of the user's is a choice of another image. */ -}}
{{- $digest := $image.digest -}}
{{- if not (or $digest $image.tag) -}}
{{- $digest = index (.Chart.Annotations | default dict) "kubewandb.io/image-digest" -}}
{{- end -}}
{{- if $digest -}}
{{- printf "%s@%s" $repository $digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (toString ($image.tag | default .Chart.AppVersion)) -}}
{{- end -}}
{{- end -}}

{{- define "operator.pullSecrets" -}}
{{- $secrets := concat (.Values.imagePullSecrets | default list) ((.Values.image).pullSecrets | default list) -}}
{{- if $secrets }}
imagePullSecrets:
{{- range $secrets }}
  - name: {{ kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Kinds that charts may make outside the namespace of their release; profile upstream adds what today's chart makes. */}}
{{- define "operator.clusterKinds" -}}
{{- $kinds := .Values.allowClusterObjects | default list -}}
{{- if eq ((.Values.rbac).profile | default "default") "upstream" -}}
{{- $kinds = concat $kinds (list "ClusterRole" "ClusterRoleBinding" "PriorityClass") | uniq -}}
{{- end -}}
{{- $kinds | toJson -}}
{{- end }}
