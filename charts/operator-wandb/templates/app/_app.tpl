{{/* Not empty when several nodes may write the volume of the application. */}}
{{- define "wandb.app.shared" -}}
{{- if has "ReadWriteMany" (((.Values.app).persistence).accessModes | default list) -}}true{{- end -}}
{{- end -}}

{{- define "wandb.app.claim" -}}
{{- ((.Values.app).persistence).existingClaim | default (printf "%s-app" (include "wandb.fullname" .)) -}}
{{- end -}}

{{/* Not empty when the pods keep nothing themselves: rows are in MySQL, and bytes in a bucket. */}}
{{- define "wandb.app.stateless" -}}
{{- if and (include "wandb.mysql" .) (include "wandb.bucket" . | fromJson).name -}}true{{- end -}}
{{- end -}}

{{- define "wandb.app.persistent" -}}
{{- if and (dig "enabled" true ((.Values.app).persistence | default dict)) (not (include "wandb.app.stateless" .)) -}}true{{- end -}}
{{- end -}}

{{- define "wandb.app.autoscaled" -}}
{{- if (((.Values.app).autoscaling).horizontal).enabled -}}true{{- end -}}
{{- end -}}

{{/* More than one replica, whether fixed or at the autoscaler's will. */}}
{{- define "wandb.app.many" -}}
{{- if or (include "wandb.app.autoscaled" .) (gt (int (include "wandb.replicas" (dict "root" . "component" "app"))) 1) -}}true{{- end -}}
{{- end -}}

{{/* Not empty when an old and a new pod may run side by side. Two processes must never write one volume. */}}
{{- define "wandb.app.rolling" -}}
{{- if and (include "wandb.mysql" .) (or (include "wandb.app.shared" .) (not (include "wandb.app.persistent" .))) -}}true{{- end -}}
{{- end -}}

{{/* Not empty when a Job changes the schema of MySQL before the pods roll; in SQLite the one pod does it at its start. */}}
{{- define "wandb.app.migrated" -}}
{{- if and (include "wandb.mysql" .) (dig "enabled" true ((.Values.app).migrations | default dict)) -}}true{{- end -}}
{{- end -}}

{{- define "wandb.app.env" -}}
{{- $global := .Values.global | default dict -}}
{{- $env := include "wandb.commonEnv" . | fromYaml -}}
{{- $_ := set $env "LISTEN" ":8080" -}}
{{- $_ := set $env "METRICS_LISTEN" ":8181" -}}
{{- $_ := set $env "DATA_DIR" "/vol/data" -}}
{{- $_ := set $env "PROXY_HOPS" (dig "proxyHops" 1 (.Values.app | default dict)) -}}
{{- if include "wandb.app.rolling" . }}{{ $_ := set $env "SHUTDOWN_DELAY" "3s" }}{{ end -}}
{{- $_ := set $env "SESSION_LENGTH" (printf "%sh" (include "wandb.scalar" (($global.auth).sessionLengthHours | default 720))) -}}
{{- with include "wandb.license.source" . | fromYaml }}{{ $_ := set $env "LICENSE" . }}{{ end -}}
{{- range $name, $value := include "wandb.oidc.env" . | fromYaml }}{{ $_ := set $env $name $value }}{{ end -}}
{{- if include "wandb.app.migrated" . }}{{ $_ := set $env "SKIP_MIGRATIONS" "true" }}{{ end -}}
{{- $env = merge $env (include "wandb.bucket.env" . | fromYaml) -}}
{{- merge $env (include "wandb.mysql.env" (dict "root" . "secret" (include "wandb.mysql.secretName" .)) | fromYaml) | toYaml -}}
{{- end -}}

{{- define "wandb.app.checksums" -}}
{{- $sums := dict -}}
{{- with (.Values.global).license }}{{ $_ := set $sums "checksum/license" (sha256sum .) }}{{ end -}}
{{- with (.Values.global).customCACerts }}{{ $_ := set $sums "checksum/ca-certs" (toJson . | sha256sum) }}{{ end -}}
{{- with include "wandb.oidc.plain" . }}{{ $_ := set $sums "checksum/oidc" (include "wandb.fingerprint" (list (printf "%s/%s" $.Release.Namespace $.Release.Name) .)) }}{{ end -}}
{{- with include "wandb.mysql.secret" . | fromYaml }}{{ $_ := set $sums "checksum/mysql" (include "wandb.fingerprint" (list (printf "%s/%s" $.Release.Namespace $.Release.Name) .)) }}{{ end -}}
{{- with include "wandb.bucket.secret" . | fromYaml }}{{ $_ := set $sums "checksum/bucket" (include "wandb.fingerprint" (list (printf "%s/%s" $.Release.Namespace $.Release.Name) .)) }}{{ end -}}
{{- toYaml $sums -}}
{{- end -}}

{{- define "wandb.app.volumes" -}}
- name: data
  {{- if include "wandb.app.persistent" . }}
  persistentVolumeClaim:
    claimName: {{ include "wandb.app.claim" . }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- with include "wandb.mysql.volumes" (dict "root" . "secret" (include "wandb.mysql.secretName" .)) }}
{{ . }}
{{- end }}
{{- end -}}

{{- define "wandb.app.mounts" -}}
- name: data
  mountPath: /vol/data
{{- with include "wandb.mysql.mounts" (dict "root" . "secret" (include "wandb.mysql.secretName" .)) }}
{{ . }}
{{- end }}
{{- end -}}

{{/* What the objects around the pods need to know, as JSON. */}}
{{- define "wandb.app" -}}
{{- dict "component" "app" "port" 8080 "metricsPort" 8181 "token" false | toJson -}}
{{- end -}}

{{/* The argument of "wandb.pod", as JSON. */}}
{{- define "wandb.app.pod" -}}
{{- include "wandb.app" . | fromJson | merge (dict
  "repository" "ghcr.io/kubewandb/server"
  "args" (list "serve")
  "live" "/healthz"
  "ready" "/ready"
  "grace" 20
  "generated" (include "wandb.app.env" . | fromYaml)
  "checksums" (include "wandb.app.checksums" . | fromYaml)
  "volumes" (include "wandb.app.volumes" .)
  "mounts" (include "wandb.app.mounts" .)
  ) | toJson -}}
{{- end -}}
