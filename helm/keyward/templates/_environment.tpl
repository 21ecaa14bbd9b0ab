{{/* Where files are in containers. Each is mounted in a folder of its own, so that Kubernetes replaces it as a whole. */}}
{{- define "keyward.folder" -}}/etc/keyward{{- end }}

{{/* A setting as text: lists are joined, and large numbers have no exponent. */}}
{{- define "keyward.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if kindIs "float64" . -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end }}

{{/* The environment that `keyward migrate` needs. */}}
{{- define "keyward.databaseEnvironment" -}}
- {name: DATABASE_URL_FILE, value: {{ include "keyward.folder" . }}/database/url}
{{- range $name := list "logFormat" "logLevel" }}
{{- with get $.Values.settings $name }}
- {name: {{ get ($.Files.Get "files/settings.yaml" | fromYaml) $name }}, value: {{ . | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* How pods find their files, where they listen, and when they end. */}}
{{- define "keyward.fixedEnvironment" -}}
{{- $folder := include "keyward.folder" . -}}
- {name: DATABASE_URL_FILE, value: {{ $folder }}/database/url}
- {name: KEYWARD_REQUIRE_DATABASE_URL, value: "true"}
- {name: KEYWARD_NO_MIGRATE, value: {{ ne .Values.migrations.by "startup" | quote }}}
- {name: KEYWARD_PEPPER_FILE, value: {{ $folder }}/pepper/pepper}
{{- with .Values.pepper.others }}
{{- $files := list }}
{{- range $number, $other := . }}{{- $files = append $files (printf "%s/other-pepper-%d/pepper" $folder $number) }}{{- end }}
- {name: KEYWARD_OTHER_PEPPER_FILES, value: {{ join "," $files | quote }}}
{{- end }}
{{- if .Values.redis.existingSecret }}
- {name: REDIS_URL_FILE, value: {{ $folder }}/redis/url}
{{- if .Values.redis.caSecret }}
- {name: KEYWARD_REDIS_CA_FILE, value: {{ $folder }}/redis-ca/ca.crt}
{{- end }}
- {name: KEYWARD_REPLICAS, value: {{ .Values.autoscaling.enabled | ternary .Values.autoscaling.minReplicas .Values.replicas | int | max 1 | quote }}}
{{- end }}
{{- if .Values.notices.url }}
- {name: KEYWARD_NOTICE_URL, value: {{ .Values.notices.url | quote }}}
- {name: KEYWARD_NOTICE_SECRET_FILE, value: {{ $folder }}/notices/secret}
{{- if .Values.notices.caSecret }}
- {name: KEYWARD_NOTICE_CA, value: {{ $folder }}/notices-ca/ca.crt}
{{- end }}
{{- end }}
{{- range $listener, $port := include "keyward.ports" . | fromYaml }}
{{- $prefix := printf "KEYWARD_%s" (upper $listener) }}
- {name: {{ $prefix }}_LISTEN, value: {{ printf "%s:%v" $.Values.listenAddress $port | quote }}}
{{- if include "keyward.tlsSecret" (list $ $listener) }}
- {name: {{ $prefix }}_TLS_CERT, value: {{ $folder }}/tls-{{ $listener }}/tls.crt}
- {name: {{ $prefix }}_TLS_KEY, value: {{ $folder }}/tls-{{ $listener }}/tls.key}
{{- with get $.Values.tls $listener }}
{{- if .clientCaSecret }}
- {name: {{ $prefix }}_TLS_CLIENT_CA, value: {{ $folder }}/client-ca-{{ $listener }}/ca.crt}
{{- end }}
{{- if .clients }}
- {name: {{ $prefix }}_TLS_CLIENTS, value: {{ join "," .clients | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
- {name: KEYWARD_DRAIN_DELAY, value: {{ int .Values.drain.delaySeconds }}s}
- {name: KEYWARD_DRAIN_TIMEOUT, value: {{ int .Values.drain.timeoutSeconds }}s}
{{- if .Values.logLevelFile.configMap }}
- {name: KEYWARD_LOG_LEVEL_FILE, value: {{ $folder }}/log-level/level}
{{- end }}
{{- end }}

{{/* The values below `settings`. What a collector is told of a pod begins with who it is. */}}
{{- define "keyward.settingsEnvironment" -}}
{{- $names := .Files.Get "files/settings.yaml" | fromYaml }}
{{- if .Values.settings.otlpEndpoint }}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
- {name: {{ $names.otlpResourceAttributes }}, value: {{ list "service.instance.id=$(POD_NAME),k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE)" .Values.settings.otlpResourceAttributes | compact | join "," | quote }}}
{{- end }}
{{- range $name, $variable := $names }}
{{- /* What is null in a file of values is not there at all. */}}
{{- $value := index $.Values.settings $name }}
{{- $isEmptyList := and (kindIs "slice" $value) (empty $value) }}
{{- if not (or (kindIs "invalid" $value) $isEmptyList (eq $name "otlpResourceAttributes")) }}
- {name: {{ $variable }}, value: {{ include "keyward.text" $value | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The whole environment of a pod that serves. */}}
{{- define "keyward.environment" -}}
{{- $own := printf "%s\n%s" (include "keyward.fixedEnvironment" .) (include "keyward.settingsEnvironment" . | trim) | trim }}
{{- $taken := dict }}
{{- range fromYamlArray $own }}{{- $_ := set $taken .name true }}{{- end }}
{{- range .Values.extraEnv }}
{{- if hasKey $taken .name }}
{{- fail (printf "extraEnv: %s is set by the chart: use its own value, see values.yaml" .name) }}
{{- end }}
{{- end }}
{{- $own }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
