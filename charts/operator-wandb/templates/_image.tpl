{{/*
Image of a component. global.imageRegistry takes the place of the registry's host, or is put in front where the
repository has none; global.repositoryPrefix stands between host and path. Tag and digest fall back to the chart's appVersion.
*/}}
{{- define "wandb.image" -}}
{{- $global := .root.Values.global | default dict -}}
{{- $image := (index .root.Values .component | default dict).image | default dict -}}
{{- $repository := $image.repository | default .repository -}}
{{- $host := "" -}}
{{- $path := $repository -}}
{{- $first := splitList "/" $repository | first -}}
{{- if and (contains "/" $repository) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) -}}
{{- $host = $first -}}
{{- $path = trimPrefix (printf "%s/" $first) $repository -}}
{{- end -}}
{{- $host = $global.imageRegistry | default $host -}}
{{- $parts := list -}}
{{- range list $host ($global.repositoryPrefix | default "") $path -}}
{{- with trimAll "/" . }}{{ $parts = append $parts . }}{{ end -}}
{{- end -}}
{{- $name := join "/" $parts -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "wandb.pullSecrets" -}}
{{- $values := index .root.Values .component | default dict -}}
{{- $secrets := concat ((.root.Values.global).imagePullSecrets | default list) ($values.imagePullSecrets | default list) (($values.image).pullSecrets | default list) -}}
{{- if $secrets -}}
imagePullSecrets:
{{- range $secrets | uniq }}
  - name: {{ kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . }}
{{- end }}
{{- end -}}
{{- end -}}
