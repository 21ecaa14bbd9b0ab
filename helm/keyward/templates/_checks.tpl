{{/* What the schema cannot say: values that do not go together. */}}
{{- define "keyward.checks" -}}
{{- range $listener, $tls := .Values.tls }}
{{- if and $tls.existingSecret $tls.certManager }}
{{- fail (printf "tls.%s: existingSecret and certManager cannot both be given" $listener) }}
{{- end }}
{{- if and (or $tls.clientCaSecret $tls.clients) (not (or $tls.existingSecret $tls.certManager)) }}
{{- fail (printf "tls.%s: clientCaSecret and clients need existingSecret or certManager" $listener) }}
{{- end }}
{{- if and $tls.clients (not $tls.clientCaSecret) }}
{{- fail (printf "tls.%s: clients needs clientCaSecret" $listener) }}
{{- end }}
{{- if and $tls.certManager (not $.Values.certManager.issuerRef.name) }}
{{- fail (printf "tls.%s: certManager needs certManager.issuerRef.name" $listener) }}
{{- end }}
{{- end }}
{{- if and (eq .Values.probes.readiness "http") .Values.tls.http.clientCaSecret }}
{{- fail "probes.readiness: http is impossible with tls.http.clientCaSecret, since kubelet has no certificate; use grpc, or tcp if the authorize listener has TLS, or leave clients of the http listener without" }}
{{- end }}
{{- if and (eq .Values.probes.readiness "grpc") (include "keyward.tlsSecret" (list . "authorize")) }}
{{- fail "probes.readiness: grpc is impossible with TLS on the authorize listener, since kubelet cannot speak it; use http, or tcp if clients of the http listener need certificates" }}
{{- end }}
{{- if ne (empty .Values.notices.url) (empty .Values.notices.existingSecret) }}
{{- fail "notices.url and notices.existingSecret need each other" }}
{{- end }}
{{- if and .Values.notices.caSecret (not .Values.notices.url) }}
{{- fail "notices.caSecret needs notices.url" }}
{{- end }}
{{- if and .Values.redis.caSecret (not .Values.redis.existingSecret) }}
{{- fail "redis.caSecret needs redis.existingSecret" }}
{{- end }}
{{- if and (has .Values.settings.limitSharing (list "fast" "exact")) (not .Values.redis.existingSecret) }}
{{- fail "settings.limitSharing: fast and exact need redis.existingSecret" }}
{{- end }}
{{- if and (eq (toString .Values.settings.limitSharing) "local") .Values.redis.existingSecret }}
{{- fail "settings.limitSharing: local uses no Redis: leave out redis.existingSecret" }}
{{- end }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail "autoscaling: minReplicas is more than maxReplicas" }}
{{- end }}
{{- end }}

{{/* Seconds until Kubernetes kills a pod. After the drain the program has 11 seconds at most to store what is only in memory. */}}
{{- define "keyward.gracePeriod" -}}
{{- $drain := add .Values.drain.delaySeconds .Values.drain.timeoutSeconds }}
{{- $given := .Values.drain.terminationGracePeriodSeconds }}
{{- if kindIs "invalid" $given -}}
{{- add $drain 20 -}}
{{- else if lt (int $given) (int (add $drain 12)) -}}
{{- fail (printf "drain.terminationGracePeriodSeconds: must be %d at least, 12 more than delaySeconds and timeoutSeconds" (add $drain 12)) -}}
{{- else -}}
{{- int $given -}}
{{- end -}}
{{- end }}
