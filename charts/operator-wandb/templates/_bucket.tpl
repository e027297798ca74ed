{{/* The object store, as JSON: global.bucket, or global.defaultBucket where that has no name; {} where neither has one. */}}
{{- define "wandb.bucket" -}}
{{- $bucket := (.Values.global).bucket | default dict -}}
{{- if not $bucket.name }}{{ $bucket = (.Values.global).defaultBucket | default dict }}{{ end -}}
{{- if $bucket.name }}{{ $bucket | toJson }}{{ else }}{}{{ end -}}
{{- end -}}

{{- define "wandb.bucket.secretName" -}}
{{- include "wandb.fullname" . }}-bucket
{{- end -}}

{{/* The store as the server reads it. Keys never stand in it. */}}
{{- define "wandb.bucket.url" -}}
{{- $bucket := include "wandb.bucket" . | fromJson -}}
{{- $scheme := get (dict "gcs" "gs" "az" "az" "cw" "cw") ($bucket.provider | default "s3") | default "s3" -}}
{{- printf "%s://%s" $scheme $bucket.name -}}
{{- with $bucket.path }}/{{ . | trimPrefix "/" }}{{ end -}}
{{- end -}}

{{/* Data of the Secret of ours, as a map; empty when no key was given in plain text. */}}
{{- define "wandb.bucket.secret" -}}
{{- $bucket := include "wandb.bucket" . | fromJson -}}
{{- $data := dict -}}
{{- if not (((.Values.global).bucket).secret).secretName -}}
{{- range $key, $value := dict "ACCESS_KEY" $bucket.accessKey "SECRET_KEY" $bucket.secretKey -}}
{{- if and $value (not (kindIs "map" $value)) }}{{ $_ := set $data $key (include "wandb.scalar" $value) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toYaml $data -}}
{{- end -}}

{{/* Where one key comes from: an existing Secret, a valueFrom, or the Secret of ours. Call with dict "root" $ "name" <of the key>. */}}
{{- define "wandb.bucket.key" -}}
{{- $bucket := include "wandb.bucket" .root | fromJson -}}
{{- $secret := ((.root.Values.global).bucket).secret | default dict -}}
{{- $value := get $bucket (get (dict "ACCESS_KEY" "accessKey" "SECRET_KEY" "secretKey") .name) -}}
{{- if $secret.secretName -}}
secretKeyRef:
  name: {{ $secret.secretName }}
  key: {{ get $secret (get (dict "ACCESS_KEY" "accessKeyName" "SECRET_KEY" "secretKeyName") .name) | default .name }}
  {{- if eq ($bucket.provider | default "s3") "az" }}
  optional: true {{/* the key of an account is one, and has either name */}}
  {{- end }}
{{- else if kindIs "map" $value -}}
{{- toYaml $value -}}
{{- else if $value -}}
secretKeyRef:
  name: {{ include "wandb.bucket.secretName" .root }}
  key: {{ .name }}
{{- end -}}
{{- end -}}

{{/* Environment of the store, as a map of name to value. */}}
{{- define "wandb.bucket.env" -}}
{{- $bucket := include "wandb.bucket" . | fromJson -}}
{{- $env := dict -}}
{{- if $bucket.name -}}
{{- $_ := set $env "BUCKET" (include "wandb.bucket.url" .) -}}
{{- with $bucket.region }}{{ $_ := set $env "BUCKET_REGION" . }}{{ end -}}
{{- if and $bucket.kmsKey (has ($bucket.provider | default "s3") (list "s3" "cw")) }}{{ $_ := set $env "BUCKET_KMS_KEY" $bucket.kmsKey }}{{ end -}}
{{- range $name, $variable := dict "ACCESS_KEY" "BUCKET_ACCESS_KEY" "SECRET_KEY" "BUCKET_SECRET_KEY" -}}
{{- with include "wandb.bucket.key" (dict "root" $ "name" $name) | fromYaml }}{{ $_ := set $env $variable . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}
