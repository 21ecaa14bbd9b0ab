{{/* How kubelet asks the http listener: (list . PATH). */}}
{{- define "keyward.httpGet" -}}
{{- $secret := include "keyward.tlsSecret" (list (index . 0) "http") -}}
httpGet: {path: {{ index . 1 }}, port: http, scheme: {{ empty $secret | ternary "HTTP" "HTTPS" }}}
{{- end }}

{{/* Readiness says whether the pod may decide, but for tcp, which cannot see it; liveness only whether it answers at all. */}}
{{- define "keyward.probes" -}}
{{- with .Values.probes -}}
readinessProbe:
  {{- if eq .readiness "http" }}
  {{ include "keyward.httpGet" (list $ "/readyz") }}
  {{- else if eq .readiness "tcp" }}
  tcpSocket: {port: http}
  {{- else }}
  grpc: {port: {{ (include "keyward.ports" $ | fromYaml).authorize }}, service: keyward.v1.Authorize}
  {{- end }}
  periodSeconds: {{ .readinessPeriodSeconds }}
  timeoutSeconds: {{ .readinessTimeoutSeconds }}
  failureThreshold: {{ .readinessFailureThreshold }}
livenessProbe:
  {{- if eq .readiness "http" }}
  {{ include "keyward.httpGet" (list $ "/livez") }}
  {{- else }}
  tcpSocket: {port: http}
  {{- end }}
  periodSeconds: {{ .livenessPeriodSeconds }}
  timeoutSeconds: {{ .livenessTimeoutSeconds }}
  failureThreshold: {{ .livenessFailureThreshold }}
{{- end }}
{{- end }}
