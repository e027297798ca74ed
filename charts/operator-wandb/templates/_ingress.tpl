{{/* Host for an Ingress rule from a URL or a name: no scheme, user, port or path. Empty for an address, which no rule may name. */}}
{{- define "wandb.ingress.host" -}}
{{- $host := regexReplaceAll "[:/?#].*$" (regexReplaceAll "^[A-Za-z][A-Za-z0-9+.-]*://" (trim .) "" | regexFind "[^@]*$") "" | lower -}}
{{- if not (regexMatch "^[0-9.]+$" $host) }}{{ $host }}{{ end -}}
{{- end -}}

{{/* All hosts, as a JSON list without duplicates; one empty entry stands for any host. */}}
{{- define "wandb.ingress.hosts" -}}
{{- $hosts := list (include "wandb.ingress.host" (include "wandb.host" .root)) -}}
{{- range .ingress.additionalHosts -}}
{{- with include "wandb.ingress.host" . }}{{ $hosts = append $hosts . }}{{ end -}}
{{- end -}}
{{- $hosts | uniq | toJson -}}
{{- end -}}

{{/* Call with dict "root" $ "ingress" <the values> "name" <default name>. */}}
{{- define "wandb.ingress" -}}
{{- $root := .root -}}
{{- $ingress := .ingress -}}
{{- $app := include "wandb.installed" (dict "root" $root "component" "app") -}}
{{- $console := include "wandb.installed" (dict "root" $root "component" "console") -}}
{{- $first := "app" -}}
{{- if and $console (or (not $app) (eq ($ingress.defaultBackend | default "app") "console")) }}{{ $first = "console" }}{{ end -}}
{{- $hosts := include "wandb.ingress.hosts" . | fromJsonArray -}}
{{- $issuer := $ingress.issuer | default dict -}}
{{- $extra := dict -}}
{{- if $issuer.create -}}
{{- if eq ($issuer.provider | default "") "google" -}}
{{- $_ := set $extra "networking.gke.io/managed-certificates" (printf "%s-cert" (include "wandb.fullname" $root)) -}}
{{- else -}}
{{- $_ := set $extra "cert-manager.io/issuer" (printf "%s-issuer" (include "wandb.fullname" $root)) -}}
{{- end -}}
{{- end -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ $ingress.nameOverride | default .name | quote }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "wandb.labels" (dict "root" $root "extra" $ingress.labels) | nindent 4 }}
  {{- with include "wandb.annotations" (dict "root" $root "extra" (mergeOverwrite (dict) $extra ($ingress.annotations | default dict))) }}
  {{- . | nindent 2 }}
  {{- end }}
spec:
  {{- with $ingress.class }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- if $ingress.tls }}
  tls:
    {{- toYaml $ingress.tls | nindent 4 }}
  {{- else if and $issuer.create (ne ($issuer.provider | default "") "google") }}
  tls:
    - hosts:
        {{- toYaml (without $hosts "") | nindent 8 }}
      secretName: {{ include "wandb.fullname" $root }}-tls
  {{- end }}
  rules:
    {{- range $hosts }}
    - {{ with . }}host: {{ . | quote }}
      {{ end }}http:
        paths:
          {{- if and $app $console }}
          - path: /console
            pathType: Prefix
            backend:
              service:
                name: {{ include "wandb.fullname" $root }}-console
                port:
                  name: http
          {{- end }}
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "wandb.fullname" $root }}-{{ $first }}
                port:
                  name: http
    {{- end }}
{{- end -}}
