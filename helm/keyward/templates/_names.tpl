{{/* The name of all objects, or what their names begin with; short enough for what is appended. */}}
{{- define "keyward.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What finds the objects of this release; never changed, since a Deployment's selector cannot change. */}}
{{- define "keyward.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What finds the pods that serve, and not those of jobs and tests. */}}
{{- define "keyward.serverSelector" -}}
{{ include "keyward.selector" . }}
app.kubernetes.io/component: server
{{- end }}

{{/* The labels of an object: (list . COMPONENT). */}}
{{- define "keyward.labels" -}}
{{- $top := index . 0 -}}
{{ include "keyward.selector" $top }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $top.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "keyward.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "keyward.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* The reference of an image: (list IMAGE DEFAULT-TAG). */}}
{{- define "keyward.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest | quote -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) | quote -}}
{{- end -}}
{{- end }}

{{/* The Secret with a listener's certificate, or nothing: (list . LISTENER). */}}
{{- define "keyward.tlsSecret" -}}
{{- $top := index . 0 -}}
{{- $listener := index . 1 -}}
{{- $tls := get $top.Values.tls $listener -}}
{{- if $tls.certManager -}}
{{- printf "%s-%s-tls" (include "keyward.fullname" $top) $listener -}}
{{- else -}}
{{- $tls.existingSecret -}}
{{- end -}}
{{- end }}
