{{/*
Every key is read with a default, since values may come from an older chart. Nothing here is random, looks into the
cluster or reads the clock: two renders of the same values give the same bytes.
*/}}

{{/* Prefix of all objects: the name of the release, which is that of the custom resource. */}}
{{- define "wandb.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- end -}}

{{- define "wandb.installed" -}}
{{- if dig "install" true (index .root.Values .component | default dict) -}}true{{- end -}}
{{- end -}}

{{/* What selects the pods of a component; never changes, since a Deployment's selector cannot. */}}
{{- define "wandb.selector" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end -}}

{{/* Labels of a pod: without the chart's version, which would restart every pod with every chart. */}}
{{- define "wandb.podLabels" -}}
{{- $own := include "wandb.selector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/component" .component -}}
{{- $_ := set $own "app.kubernetes.io/part-of" (.root.Values.nameOverride | default "wandb") -}}
{{- $global := .root.Values.global | default dict -}}
{{- $values := index .root.Values .component | default dict -}}
{{- mergeOverwrite (dict) (($global.common).labels | default dict) (($global.pod).labels | default dict) (($values.pod).labels | default dict) $own | toYaml -}}
{{- end -}}

{{/*
Labels of every other object. "kind" names the block of global whose labels apply (deployment, service), "extra" is a
map of the component's own.
*/}}
{{- define "wandb.labels" -}}
{{- $root := .root -}}
{{- $own := dict
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/managed-by" $root.Release.Service
  "app.kubernetes.io/part-of" ($root.Values.nameOverride | default "wandb")
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- with .component -}}
{{- $_ := set $own "app.kubernetes.io/name" . -}}
{{- $_ := set $own "app.kubernetes.io/component" . -}}
{{- end -}}
{{- $global := $root.Values.global | default dict -}}
{{- $kind := get $global (.kind | default "-") | default dict -}}
{{- mergeOverwrite (dict) (($global.common).labels | default dict) ($kind.labels | default dict) (.extra | default dict) $own | toYaml -}}
{{- end -}}

{{/* Annotations from global.common, global.<kind> and the map "extra"; empty text when there are none. */}}
{{- define "wandb.annotations" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $kind := get $global (.kind | default "-") | default dict -}}
{{- $all := mergeOverwrite (dict) (($global.common).annotations | default dict) ($kind.annotations | default dict) (.extra | default dict) -}}
{{- if $all -}}
annotations:
  {{- range $key, $value := $all }}
  {{ $key }}: {{ include "wandb.scalar" $value | quote }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Text of a scalar. Numbers may arrive as floating point, whose large values would print with an exponent. */}}
{{- define "wandb.scalar" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . }}{{ printf "%.0f" . }}{{ else }}{{ . }}{{ end -}}
{{- else if kindIs "invalid" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{- define "wandb.serviceAccountName" -}}
{{- $account := (index .root.Values .component | default dict).serviceAccount | default dict -}}
{{- if dig "create" true $account -}}
{{- $account.name | default (printf "%s-%s" (include "wandb.fullname" .root) .component) -}}
{{- else -}}
{{- $account.name | default "default" -}}
{{- end -}}
{{- end -}}
