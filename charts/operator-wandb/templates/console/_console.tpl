{{- define "wandb.console.env" -}}
{{- $env := include "wandb.commonEnv" . | fromYaml -}}
{{- $_ := set $env "LISTEN" ":8082" -}}
{{- $_ := set $env "METRICS_LISTEN" ":8182" -}}
{{- $_ := set $env "RELEASE_NAME" .Release.Name -}}
{{- $_ := set $env "RELEASE_NAMESPACE" .Release.Namespace -}}
{{- $_ := set $env "OPERATOR_NAMESPACE" (((.Values.global).operator).namespace | default "default") -}}
{{- if include "wandb.installed" (dict "root" . "component" "app") -}}
{{- $_ := set $env "AUTH_SERVICE" (printf "%s-app:8080" (include "wandb.fullname" .)) -}}
{{- end -}}
{{- $_ := set $env "PROXY_HOPS" (dig "proxyHops" 1 (.Values.console | default dict)) -}}
{{- toYaml $env -}}
{{- end -}}

{{/* What the objects around the pods need to know, as JSON. */}}
{{- define "wandb.console" -}}
{{- dict "component" "console" "port" 8082 "metricsPort" 8182 "token" true | toJson -}}
{{- end -}}

{{/* The argument of "wandb.pod", as JSON. */}}
{{- define "wandb.console.pod" -}}
{{- $sums := dict -}}
{{- with (.Values.global).customCACerts }}{{ $_ := set $sums "checksum/ca-certs" (toJson . | sha256sum) }}{{ end -}}
{{- include "wandb.console" . | fromJson | merge (dict
  "repository" "ghcr.io/kubewandb/console"
  "args" (list "serve")
  "live" "/console/api/healthz"
  "ready" "/console/api/ready"
  "grace" 10
  "generated" (include "wandb.console.env" . | fromYaml)
  "checksums" $sums
  ) | toJson -}}
{{- end -}}
