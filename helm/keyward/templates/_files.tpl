{{/* Ports of the listeners in a pod. */}}
{{- define "keyward.ports" -}}
authorize: 50051
admin: 50052
http: 50053
{{- end }}

{{/* A volume with one key of a Secret as a file: (list VOLUME SECRET KEY FILE). */}}
{{- define "keyward.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0440
    items: [{key: {{ index . 2 | quote }}, path: {{ index . 3 }}}]
{{- end }}

{{/* The volumes that a connection to the database needs. */}}
{{- define "keyward.databaseVolumes" -}}
{{ include "keyward.secretVolume" (list "database" .Values.database.existingSecret .Values.database.urlKey "url") }}
{{- with .Values.database.tlsSecret }}
- name: database-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* All volumes of a pod that serves, but those of extraVolumes. */}}
{{- define "keyward.volumes" -}}
{{ include "keyward.databaseVolumes" . }}
{{ include "keyward.secretVolume" (list "pepper" .Values.pepper.existingSecret .Values.pepper.key "pepper") }}
{{- range $number, $other := .Values.pepper.others }}
{{ include "keyward.secretVolume" (list (printf "other-pepper-%d" $number) $other.existingSecret $other.key "pepper") }}
{{- end }}
{{- if .Values.redis.existingSecret }}
{{ include "keyward.secretVolume" (list "redis" .Values.redis.existingSecret .Values.redis.urlKey "url") }}
{{- if .Values.redis.caSecret }}
{{ include "keyward.secretVolume" (list "redis-ca" .Values.redis.caSecret .Values.redis.caKey "ca.crt") }}
{{- end }}
{{- end }}
{{- if .Values.notices.url }}
{{ include "keyward.secretVolume" (list "notices" .Values.notices.existingSecret .Values.notices.secretKey "secret") }}
{{- if .Values.notices.caSecret }}
{{ include "keyward.secretVolume" (list "notices-ca" .Values.notices.caSecret .Values.notices.caKey "ca.crt") }}
{{- end }}
{{- end }}
{{- range $listener := list "authorize" "admin" "http" }}
{{- $secret := include "keyward.tlsSecret" (list $ $listener) }}
{{- if $secret }}
- name: tls-{{ $listener }}
  secret:
    secretName: {{ $secret }}
    defaultMode: 0440
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- with get $.Values.tls $listener }}
{{- if .clientCaSecret }}
{{ include "keyward.secretVolume" (list (printf "client-ca-%s" $listener) .clientCaSecret .clientCaKey "ca.crt") }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.logLevelFile }}
{{- if .configMap }}
- name: log-level
  configMap: {name: {{ .configMap }}, optional: true, items: [{key: {{ .key | quote }}, path: level}]}
{{- end }}
{{- end }}
{{- end }}

{{/* Where volumes are mounted: each at the folder of its name, and none can be written to. The argument is the volumes' YAML. */}}
{{- define "keyward.mounts" -}}
{{- range fromYamlArray . }}
- {name: {{ .name }}, mountPath: {{ include "keyward.folder" nil }}/{{ .name }}, readOnly: true}
{{- end }}
{{- end }}
