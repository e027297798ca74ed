{{- define "operator.podSecurityContext" -}}
{{- if .Values.podSecurityContext -}}
{{- toYaml .Values.podSecurityContext -}}
{{- else -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}
{{- end -}}

{{- define "operator.securityContext" -}}
{{- if .Values.securityContext -}}
{{- toYaml .Values.securityContext -}}
{{- else -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
{{- end -}}

{{- define "operator.customCA" -}}
{{- if or .Values.customCACerts .Values.caCertsConfigMap -}}true{{- end -}}
{{- end -}}

{{/* The channel's public keys: the part of the trust that this chart was given inline. */}}
{{- define "operator.channelFiles" -}}
{{- $channel := .Values.channel | default dict -}}
{{- $files := dict -}}
{{- if $channel.jwks }}{{ $_ := set $files "jwks.json" $channel.jwks }}{{ end -}}
{{- if and $channel.root (not ($channel.rootSecret).name) }}{{ $_ := set $files "root.json" $channel.root }}{{ end -}}
{{- $files | toYaml -}}
{{- end -}}

{{- define "operator.channelMounted" -}}
{{- $channel := .Values.channel | default dict -}}
{{- if or $channel.jwks $channel.root ($channel.rootSecret).name -}}true{{- end -}}
{{- end -}}

{{/*
Environment of the manager. A name in extraEnv replaces ours: today's installations set DEPLOYER_CHANNEL_URL there, and
two entries of one name cannot be applied.
*/}}
{{- define "operator.env" -}}
{{- $channel := .Values.channel | default dict -}}
{{- $own := list
  (dict "name" "OPERATOR_NAMESPACE" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.namespace")))
  (dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  (dict "name" "OPERATOR_RELEASE" "value" .Release.Name)
  (dict "name" "LEADER_ELECT" "value" "true")
  (dict "name" "WATCH_NAMESPACES" "value" (include "operator.namespaces" . | fromJsonArray | join ","))
  (dict "name" "AIRGAPPED" "value" (toString (.Values.airgapped | default false)))
  (dict "name" "CHANNEL_TRUST" "value" ($channel.trust | default "TLS"))
  (dict "name" "CHARTS_DIR" "value" "/charts")
  (dict "name" "CHART_SOURCES" "value" (join "," (.Values.chartSources | default list)))
  (dict "name" "ALLOW_CLUSTER_OBJECTS" "value" (include "operator.clusterKinds" . | fromJsonArray | join ","))
  (dict "name" "CONCURRENCY" "value" (.Values.concurrency | default 10 | int | toString))
  (dict "name" "HELM_CACHE_HOME" "value" "/helm/cache")
  (dict "name" "HELM_CONFIG_HOME" "value" "/helm/config")
  (dict "name" "HELM_DATA_HOME" "value" "/helm/data")
-}}
{{- if include "operator.isolated" . }}{{ $own = append $own (dict "name" "ISOLATION_NAMESPACES" "value" (include "operator.namespaces" . | fromJsonArray | join ",")) }}{{ end -}}
{{- if ((.Values.manager).debug).enabled }}{{ $own = append $own (dict "name" "DEBUG" "value" "true") }}{{ end -}}
{{- if $channel.url }}{{ $own = append $own (dict "name" "DEPLOYER_CHANNEL_URL" "value" $channel.url) }}{{ end -}}
{{- if $channel.jwks }}{{ $own = append $own (dict "name" "LICENSE_JWKS_FILE" "value" "/etc/kubewandb/jwks.json") }}{{ end -}}
{{- if or $channel.root ($channel.rootSecret).name }}{{ $own = append $own (dict "name" "CHANNEL_ROOT_FILE" "value" "/etc/kubewandb/root.json") }}{{ end -}}
{{- if include "operator.customCA" . }}{{ $own = append $own (dict "name" "SSL_CERT_DIR" "value" "/etc/ssl/certs:/certs") }}{{ end -}}
{{- with .Values.notifications }}{{ if .secretName -}}
{{- $own = append $own (dict "name" "NOTIFY_URL_FILE" "value" "/etc/kubewandb-notify/url") }}
{{- if .signingKeyKey }}{{ $own = append $own (dict "name" "NOTIFY_KEY_FILE" "value" "/etc/kubewandb-notify/key") }}{{ end -}}
{{- if .kinds }}{{ $own = append $own (dict "name" "NOTIFY_KINDS" "value" (join "," .kinds)) }}{{ end -}}
{{- end }}{{ end -}}
{{- $extra := .Values.extraEnv | default list -}}
{{- $taken := list -}}
{{- range $extra }}{{ $taken = append $taken .name }}{{ end -}}
{{- $env := list -}}
{{- range $own }}{{ if not (has .name $taken) }}{{ $env = append $env . }}{{ end }}{{ end -}}
{{- concat $env $extra | toYaml -}}
{{- end -}}

{{- define "operator.volumes" -}}
- name: tmp
  emptyDir: {}
- name: helm
  emptyDir: {}
{{- if .Values.airgapped }}
- name: charts
  configMap:
    name: {{ include "operator.name" . }}-charts
    optional: true
{{- end }}
{{- if include "operator.channelMounted" . }}
- name: channel
  projected:
    sources:
      {{- if include "operator.channelFiles" . | fromYaml }}
      - configMap:
          name: {{ include "operator.name" . }}-channel
      {{- end }}
      {{- with ((.Values.channel).rootSecret).name }}
      - secret:
          name: {{ . }}
          items:
            - key: {{ (($.Values.channel).rootSecret).key | default "root.json" }}
              path: root.json
      {{- end }}
{{- end }}
{{- with .Values.notifications }}{{ if .secretName }}
- name: notifications
  secret:
    secretName: {{ .secretName }}
    {{- /* The operator starts without it, and reads it before each notification. */}}
    optional: true
    items:
      - key: {{ .urlKey | default "url" }}
        path: url
      {{- with .signingKeyKey }}
      - key: {{ . }}
        path: key
      {{- end }}
{{- end }}{{ end }}
{{- if include "operator.customCA" . }}
- name: ca-certs
  projected:
    sources:
      {{- if .Values.customCACerts }}
      - configMap:
          name: {{ include "operator.name" . }}-ca-certs
      {{- end }}
      {{- with .Values.caCertsConfigMap }}
      - configMap:
          name: {{ . }}
      {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "operator.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
- name: helm
  mountPath: /helm
{{- if .Values.airgapped }}
- name: charts
  mountPath: /charts
  readOnly: true
{{- end }}
{{- if include "operator.channelMounted" . }}
- name: channel
  mountPath: /etc/kubewandb
  readOnly: true
{{- end }}
{{- if (.Values.notifications).secretName }}
- name: notifications
  mountPath: /etc/kubewandb-notify
  readOnly: true
{{- end }}
{{- if include "operator.customCA" . }}
- name: ca-certs
  mountPath: /certs
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "operator.scheduling" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
