{{/* Call with the values of the component. */}}
{{- define "wandb.podSecurityContext" -}}
{{- if .podSecurityContext -}}
{{- toYaml .podSecurityContext -}}
{{- else -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}
{{- end -}}

{{/* Call with what the values say, or nothing. */}}
{{- define "wandb.securityContext" -}}
{{- if . -}}
{{- toYaml . -}}
{{- else -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
{{- end -}}

{{/* Where pods may run: call with "root" and "component". */}}
{{- define "wandb.scheduling" -}}
{{- $values := index .root.Values .component | default dict -}}
{{- $global := .root.Values.global | default dict -}}
{{- with $values.priorityClassName | default $global.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector | default $global.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations | default $global.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
A pod of one component. Call with dict
  "root" $ "component" "app" "repository" <default image> "args" <list> "port" 8080 "metricsPort" 8181
  "generated" <map of environment> "checksums" <map> "live" "/healthz" "ready" "/ready" "grace" 20 "token" false
  "volumes" <YAML list> "mounts" <YAML list>
*/}}
{{- define "wandb.pod" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .component | default dict -}}
{{- $global := $root.Values.global | default dict -}}
{{- $container := get ($values.containers | default dict) .component | default dict -}}
metadata:
  labels:
    {{- include "wandb.podLabels" . | nindent 4 }}
  {{- with include "wandb.annotations" (dict "root" $root "kind" "pod" "extra" (mergeOverwrite (dict) .checksums (($values.pod).annotations | default dict))) }}
  {{- . | nindent 2 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "wandb.serviceAccountName" . }}
  automountServiceAccountToken: {{ .token }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int (dig "terminationGracePeriodSeconds" .grace $values) }}
  {{- with include "wandb.pullSecrets" . }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext:
    {{- include "wandb.podSecurityContext" $values | nindent 4 }}
  {{- with include "wandb.scheduling" . }}
  {{- trim . | nindent 2 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if $values.topologySpreadConstraints }}
    {{- toYaml $values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "wandb.selector" $ | nindent 10 }}
    {{- end }}
    {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "wandb.image" . | quote }}
      imagePullPolicy: {{ ($values.image).pullPolicy | default "IfNotPresent" }}
      args: {{ toJson .args }}
      env:
        {{- include "wandb.env" . | nindent 8 }}
      {{- with include "wandb.envFrom" . }}
      envFrom:
        {{- trim . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: {{ .port }}
        - name: metrics
          containerPort: {{ .metricsPort }}
      startupProbe:
        httpGet: {path: {{ .ready }}, port: http}
        periodSeconds: 1
        timeoutSeconds: 2
        failureThreshold: 600
      readinessProbe:
        httpGet: {path: {{ .ready }}, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 3
      livenessProbe:
        httpGet: {path: {{ .live }}, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- with $container.resources | default $values.resources | default (include "wandb.sizing" . | fromYaml).resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "wandb.securityContext" ($container.securityContext | default $values.securityContext) | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        {{- with .mounts }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- if include "wandb.customCA" $root }}
        - name: ca-certs
          mountPath: /certs
          readOnly: true
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- with .volumes }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- if include "wandb.customCA" $root }}
    {{- include "wandb.caVolume" $root | nindent 4 }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Environment that both components share, as a map. */}}
{{- define "wandb.commonEnv" -}}
{{- $env := dict "HOST" (include "wandb.host" .) -}}
{{- with (.Values.global).banners }}{{ $_ := set $env "BANNERS" (toJson .) }}{{ end -}}
{{- if include "wandb.customCA" . }}{{ $_ := set $env "SSL_CERT_DIR" "/etc/ssl/certs:/certs" }}{{ end -}}
{{- toYaml $env -}}
{{- end -}}

{{/* The certificate authorities of the values, as a volume; only where there are any. */}}
{{- define "wandb.caVolume" -}}
{{- $global := .Values.global | default dict -}}
- name: ca-certs
  projected:
    sources:
      {{- if $global.customCACerts }}
      - configMap:
          name: {{ include "wandb.fullname" . }}-custom-ca-certs
      {{- end }}
      {{- with $global.caCertsConfigMap }}
      - configMap:
          name: {{ . }}
      {{- end }}
{{- end -}}
