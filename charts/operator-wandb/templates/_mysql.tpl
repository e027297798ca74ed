{{/* Not empty when an external MySQL is configured; the application keeps its data in SQLite otherwise. */}}
{{- define "wandb.mysql" -}}
{{- if ((.Values.global).mysql).host -}}true{{- end -}}
{{- end -}}

{{- define "wandb.mysql.secretName" -}}
{{- include "wandb.fullname" . }}-mysql
{{- end -}}

{{/*
Where the password comes from: a valueFrom, an existing Secret, or a Secret of ours that holds the plain one. Call this and
the next two with dict "root" $ "secret" <name of the Secret of ours>.
*/}}
{{- define "wandb.mysql.password" -}}
{{- $mysql := (.root.Values.global).mysql | default dict -}}
{{- if kindIs "map" $mysql.password -}}
{{- toYaml $mysql.password -}}
{{- else if ($mysql.passwordSecret).name -}}
secretKeyRef:
  name: {{ $mysql.passwordSecret.name }}
  key: {{ $mysql.passwordSecret.passwordKey | default "MYSQL_PASSWORD" }}
{{- else if $mysql.password -}}
secretKeyRef:
  name: {{ .secret }}
  key: MYSQL_PASSWORD
{{- end -}}
{{- end -}}

{{/* Data of the Secret of ours, as a map; empty when nothing was given in plain text. Call with the root. */}}
{{- define "wandb.mysql.secret" -}}
{{- $mysql := (.Values.global).mysql | default dict -}}
{{- $data := dict -}}
{{- if include "wandb.mysql" . -}}
{{- if and $mysql.password (not (kindIs "map" $mysql.password)) (not ($mysql.passwordSecret).name) -}}
{{- $_ := set $data "MYSQL_PASSWORD" (include "wandb.scalar" $mysql.password) -}}
{{- end -}}
{{- if and $mysql.caCert (not (kindIs "map" $mysql.caCert)) -}}
{{- $_ := set $data "ca.crt" $mysql.caCert -}}
{{- end -}}
{{- end -}}
{{- toYaml $data -}}
{{- end -}}

{{/* Source of the projected volume with the certificate of the server's authority; empty without one. */}}
{{- define "wandb.mysql.caSource" -}}
{{- $ca := ((.root.Values.global).mysql).caCert -}}
{{- if and $ca (include "wandb.mysql" .root) -}}
{{- if not (kindIs "map" $ca) -}}
secret:
  name: {{ .secret }}
  items:
    - key: ca.crt
      path: ca.crt
{{- else -}}
{{- $from := $ca.valueFrom | default $ca -}}
{{- with $from.secretKeyRef -}}
secret:
  name: {{ .name }}
  items:
    - key: {{ .key }}
      path: ca.crt
{{- end -}}
{{- with $from.configMapKeyRef -}}
configMap:
  name: {{ .name }}
  items:
    - key: {{ .key }}
      path: ca.crt
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Environment of the connection, as a map of name to value. */}}
{{- define "wandb.mysql.env" -}}
{{- $mysql := (.root.Values.global).mysql | default dict -}}
{{- $env := dict -}}
{{- if include "wandb.mysql" .root -}}
{{- $_ := set $env "MYSQL_HOST" $mysql.host -}}
{{- $_ := set $env "MYSQL_PORT" ($mysql.port | default 3306) -}}
{{- $_ := set $env "MYSQL_DATABASE" ($mysql.database | default "wandb_local") -}}
{{- $_ := set $env "MYSQL_USER" ($mysql.user | default "wandb") -}}
{{- with include "wandb.mysql.password" . | fromYaml }}{{ $_ := set $env "MYSQL_PASSWORD" . }}{{ end -}}
{{- if include "wandb.mysql.caSource" . }}{{ $_ := set $env "MYSQL_CA_CERT_PATH" "/etc/kubewandb/mysql/ca.crt" }}{{ end -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{/* Volume and mount with the certificate, as lists; empty without one. */}}
{{- define "wandb.mysql.volumes" -}}
{{- with include "wandb.mysql.caSource" . -}}
- name: mysql-ca
  projected:
    sources:
      -{{ . | nindent 8 | trimPrefix "\n       " }}
{{- end -}}
{{- end -}}

{{- define "wandb.mysql.mounts" -}}
{{- if include "wandb.mysql.caSource" . -}}
- name: mysql-ca
  mountPath: /etc/kubewandb/mysql
  readOnly: true
{{- end -}}
{{- end -}}

{{/* Where the licence comes from. */}}
{{- define "wandb.license.source" -}}
{{- $global := .Values.global | default dict -}}
{{- if $global.license -}}
secretKeyRef:
  name: {{ include "wandb.fullname" . }}-license
  key: license
{{- else if ($global.licenseSecret).name -}}
secretKeyRef:
  name: {{ $global.licenseSecret.name }}
  key: {{ $global.licenseSecret.key | default "license" }}
{{- end -}}
{{- end -}}
