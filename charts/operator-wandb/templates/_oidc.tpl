{{/* Not empty when people sign in at an identity provider. */}}
{{- define "wandb.oidc" -}}
{{- $oidc := ((.Values.global).auth).oidc | default dict -}}
{{- if and $oidc.issuer $oidc.clientId -}}true{{- end -}}
{{- end -}}

{{/* The client's secret where it was given in plain text and no existing Secret replaces it. */}}
{{- define "wandb.oidc.plain" -}}
{{- $oidc := ((.Values.global).auth).oidc | default dict -}}
{{- if and (include "wandb.oidc" .) (not ($oidc.oidcSecret).name) -}}{{ $oidc.secret }}{{- end -}}
{{- end -}}

{{/* A client without a secret is a public one: PKCE alone protects it. */}}
{{- define "wandb.oidc.env" -}}
{{- if include "wandb.oidc" . -}}
{{- $oidc := .Values.global.auth.oidc -}}
{{- $env := dict "OIDC_ISSUER" $oidc.issuer "OIDC_CLIENT_ID" $oidc.clientId -}}
{{- with $oidc.authMethod }}{{ $_ := set $env "OIDC_AUTH_METHOD" . }}{{ end -}}
{{- if ($oidc.oidcSecret).name -}}
{{- $_ := set $env "OIDC_CLIENT_SECRET" (dict "secretKeyRef" (dict "name" $oidc.oidcSecret.name "key" ($oidc.oidcSecret.secretKey | default "OIDC_SECRET"))) -}}
{{- else if $oidc.secret -}}
{{- $_ := set $env "OIDC_CLIENT_SECRET" (dict "secretKeyRef" (dict "name" (printf "%s-oidc" (include "wandb.fullname" .)) "key" "OIDC_SECRET")) -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}
{{- end -}}
