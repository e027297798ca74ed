{{/*
One environment variable from a value of these forms: a scalar, {value: …}, {valueFrom: …}, or the content of valueFrom
({secretKeyRef: …}). Returns JSON; {} for null. Call with dict "name" "X" "value" <any>.
*/}}
{{- define "wandb.variable" -}}
{{- if kindIs "invalid" .value -}}
{}
{{- else if not (kindIs "map" .value) -}}
{{- dict "name" .name "value" (include "wandb.scalar" .value) | toJson -}}
{{- else if hasKey .value "valueFrom" -}}
{{- dict "name" .name "valueFrom" .value.valueFrom | toJson -}}
{{- else if hasKey .value "value" -}}
{{- dict "name" .name "value" (include "wandb.scalar" .value.value) | toJson -}}
{{- else -}}
{{- dict "name" .name "valueFrom" .value | toJson -}}
{{- end -}}
{{- end -}}

{{- define "wandb.host" -}}
{{- (.Values.global).host | default "http://localhost:8080" -}}
{{- end -}}

{{- define "wandb.customCA" -}}
{{- if or (.Values.global).customCACerts (.Values.global).caCertsConfigMap -}}true{{- end -}}
{{- end -}}

{{/*
Environment of a component, weakest first: "generated" (map of name to value), sizing, global.extraEnvFrom, global.extraEnv,
global.env, then the component's extraEnv, env and containers.<component>.env. Each name stands once. What we generate comes
first, so that a value may refer to it as $(NAME).
*/}}
{{- define "wandb.env" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $values := index .root.Values .component | default dict -}}
{{- $sizing := include "wandb.sizing" . | fromYaml -}}
{{- $container := get ($values.containers | default dict) .component | default dict -}}
{{- $own := dict -}}
{{- range $layer := list $sizing.env $global.extraEnvFrom $global.extraEnv $global.env $values.extraEnv $values.env $container.env -}}
{{- range $name, $value := $layer }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $own $name $value }}{{ end }}{{ end -}}
{{- end -}}
{{- $list := list -}}
{{- range $name, $value := .generated -}}
{{- if not (hasKey $own $name) }}{{ $list = append $list (include "wandb.variable" (dict "name" $name "value" $value) | fromJson) }}{{ end -}}
{{- end -}}
{{- range $name, $value := $own -}}
{{- $list = append $list (include "wandb.variable" (dict "name" $name "value" $value) | fromJson) -}}
{{- end -}}
{{- toYaml $list -}}
{{- end -}}

{{/* envFrom as a list, from a list or from a map of name to configMapRef or secretRef; empty text without any. */}}
{{- define "wandb.envFrom" -}}
{{- $from := (index .root.Values .component | default dict).envFrom -}}
{{- if and $from (kindIs "map" $from) -}}
{{- range $name, $kind := $from }}
- {{ $kind }}:
    name: {{ $name }}
{{- end }}
{{- else if $from -}}
{{- toYaml $from -}}
{{- end -}}
{{- end -}}

{{/* The block of sizing that global.size chooses. */}}
{{- define "wandb.sizing" -}}
{{- $values := index .root.Values .component | default dict -}}
{{- get ($values.sizing | default dict) ((.root.Values.global).size | default "small") | default dict | toYaml -}}
{{- end -}}

{{/*
A change of a Secret that we render restarts the pods that use it, through this text in an annotation. Whoever may read
pods must not be able to guess a weak password from it: scrypt makes each guess expensive. Call with a list: salt, then values.
*/}}
{{- define "wandb.fingerprint" -}}
{{- derivePassword 1 "maximum" (rest . | toJson) "rollout" (first .) | sha256sum | trunc 32 -}}
{{- end -}}
