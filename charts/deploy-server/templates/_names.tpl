{{/* Every key is read with a default: `helm upgrade --reuse-values` brings the values of an older chart. */}}
{{- define "deploy.name" -}}
{{- .Values.fullnameOverride | default .Values.nameOverride | default .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- end -}}

{{- define "deploy.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "deploy.labels" -}}
{{ include "deploy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: wandb
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "deploy.serviceAccountName" -}}
{{- $account := .Values.serviceAccount | default dict -}}
{{- $account.name | default (dig "create" true $account | ternary (include "deploy.name" .) "default") -}}
{{- end -}}

{{/* Tag and digest default empty and follow the chart's version. */}}
{{- define "deploy.image" -}}
{{- $image := .Values.image | default dict -}}
{{- $repository := $image.repository | default "ghcr.io/kubewandb/deploy-server" -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The URL under which installations reach the server: given, or that of the Ingress, or that of the Service. */}}
{{- define "deploy.externalURL" -}}
{{- $ingress := .Values.ingress | default dict -}}
{{- if .Values.externalURL -}}
{{- .Values.externalURL | trimSuffix "/" -}}
{{- else if and $ingress.enabled $ingress.host -}}
{{- printf "%s://%s" ($ingress.tls | empty | ternary "http" "https") $ingress.host -}}
{{- else -}}
{{- printf "http://%s.%s.svc:8080" (include "deploy.name" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/* Secret with the token of the vendor's administrators. */}}
{{- define "deploy.adminToken.secret" -}}
{{- $token := .Values.adminToken | default dict -}}
{{- if $token.create -}}
{{- $_ := required "adminToken.value: the token itself, when adminToken.create is true" $token.value -}}
{{- printf "%s-admin" (include "deploy.name" .) -}}
{{- else -}}
{{- required "adminToken.existingSecret: name a Secret with the administrators' token, or set adminToken.create and adminToken.value" $token.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "deploy.adminToken.key" -}}
{{- (.Values.adminToken).key | default "token" -}}
{{- end -}}

{{- define "deploy.persistent" -}}
{{- if dig "enabled" true (.Values.persistence | default dict) -}}true{{- end -}}
{{- end -}}

{{/* Environment; a name in extraEnv replaces ours. */}}
{{- define "deploy.env" -}}
{{- $own := list
  (dict "name" "LISTEN" "value" ":8080")
  (dict "name" "DATA_DIR" "value" "/vol/data")
  (dict "name" "EXTERNAL_URL" "value" (include "deploy.externalURL" .))
  (dict "name" "ADMIN_TOKEN_FILE" "value" (printf "/etc/kubewandb/admin/%s" (include "deploy.adminToken.key" .)))
-}}
{{- if (.Values.licenseKey).existingSecret }}{{ $own = append $own (dict "name" "LICENSE_KEY_FILE" "value" "/etc/kubewandb/license/key.pem") }}{{ end -}}
{{- $taken := list -}}
{{- range .Values.extraEnv }}{{ $taken = append $taken .name }}{{ end -}}
{{- $env := list -}}
{{- range $own }}{{ if not (has .name $taken) }}{{ $env = append $env . }}{{ end }}{{ end -}}
{{- concat $env (.Values.extraEnv | default list) | toYaml -}}
{{- end -}}
