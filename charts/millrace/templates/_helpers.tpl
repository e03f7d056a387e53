{{- /* Written by `npm run synth` from cdk8s/. Change that, not this. */ -}}
{{- define "millrace.name" -}}
{{ default "millrace" $.Values.nameOverride }}
{{- end }}

{{- define "millrace.longName" -}}
{{ default (ternary $.Release.Name (printf "%s-%s" $.Release.Name (include "millrace.name" $)) (contains "millrace" $.Release.Name)) $.Values.fullnameOverride }}
{{- end }}

{{- define "millrace.fullname" -}}
{{ ternary (printf "%s-%s" (trunc 34 (include "millrace.longName" $) | trimSuffix "-") (sha256sum (include "millrace.longName" $) | trunc 5)) (include "millrace.longName" $) (gt (len (include "millrace.longName" $)) 40) }}
{{- end }}

{{- define "millrace.serviceAccountName" -}}
{{ ternary (default (include "millrace.fullname" $) $.Values.serviceAccount.name) (default "default" $.Values.serviceAccount.name) $.Values.serviceAccount.create }}
{{- end }}

{{- define "millrace.image" -}}
{{ ternary (printf "%s@%s" (ternary (printf "%s/%s" (default $.Values.image.registry $.Values.global.imageRegistry) $.Values.image.repository) $.Values.image.repository (not (empty (default $.Values.image.registry $.Values.global.imageRegistry)))) $.Values.image.digest) (printf "%s:%s" (ternary (printf "%s/%s" (default $.Values.image.registry $.Values.global.imageRegistry) $.Values.image.repository) $.Values.image.repository (not (empty (default $.Values.image.registry $.Values.global.imageRegistry)))) (default $.Chart.AppVersion $.Values.image.tag)) (not (empty $.Values.image.digest)) }}
{{- end }}

{{- define "millrace.rabbitmqImage" -}}
{{ ternary (printf "%s@%s" (ternary (printf "%s/%s" (default $.Values.rabbitmq.image.registry $.Values.global.imageRegistry) $.Values.rabbitmq.image.repository) $.Values.rabbitmq.image.repository (not (empty (default $.Values.rabbitmq.image.registry $.Values.global.imageRegistry)))) $.Values.rabbitmq.image.digest) (printf "%s:%s" (ternary (printf "%s/%s" (default $.Values.rabbitmq.image.registry $.Values.global.imageRegistry) $.Values.rabbitmq.image.repository) $.Values.rabbitmq.image.repository (not (empty (default $.Values.rabbitmq.image.registry $.Values.global.imageRegistry)))) (default "latest" $.Values.rabbitmq.image.tag)) (not (empty $.Values.rabbitmq.image.digest)) }}
{{- end }}

{{- define "millrace.mongodbImage" -}}
{{ ternary (printf "%s@%s" (ternary (printf "%s/%s" (default $.Values.mongodb.image.registry $.Values.global.imageRegistry) $.Values.mongodb.image.repository) $.Values.mongodb.image.repository (not (empty (default $.Values.mongodb.image.registry $.Values.global.imageRegistry)))) $.Values.mongodb.image.digest) (printf "%s:%s" (ternary (printf "%s/%s" (default $.Values.mongodb.image.registry $.Values.global.imageRegistry) $.Values.mongodb.image.repository) $.Values.mongodb.image.repository (not (empty (default $.Values.mongodb.image.registry $.Values.global.imageRegistry)))) (default "latest" $.Values.mongodb.image.tag)) (not (empty $.Values.mongodb.image.digest)) }}
{{- end }}

{{- define "millrace.prometheusImage" -}}
{{ ternary (printf "%s@%s" (ternary (printf "%s/%s" (default $.Values.monitoring.bundled.prometheus.image.registry $.Values.global.imageRegistry) $.Values.monitoring.bundled.prometheus.image.repository) $.Values.monitoring.bundled.prometheus.image.repository (not (empty (default $.Values.monitoring.bundled.prometheus.image.registry $.Values.global.imageRegistry)))) $.Values.monitoring.bundled.prometheus.image.digest) (printf "%s:%s" (ternary (printf "%s/%s" (default $.Values.monitoring.bundled.prometheus.image.registry $.Values.global.imageRegistry) $.Values.monitoring.bundled.prometheus.image.repository) $.Values.monitoring.bundled.prometheus.image.repository (not (empty (default $.Values.monitoring.bundled.prometheus.image.registry $.Values.global.imageRegistry)))) (default "latest" $.Values.monitoring.bundled.prometheus.image.tag)) (not (empty $.Values.monitoring.bundled.prometheus.image.digest)) }}
{{- end }}

{{- define "millrace.grafanaImage" -}}
{{ ternary (printf "%s@%s" (ternary (printf "%s/%s" (default $.Values.monitoring.bundled.grafana.image.registry $.Values.global.imageRegistry) $.Values.monitoring.bundled.grafana.image.repository) $.Values.monitoring.bundled.grafana.image.repository (not (empty (default $.Values.monitoring.bundled.grafana.image.registry $.Values.global.imageRegistry)))) $.Values.monitoring.bundled.grafana.image.digest) (printf "%s:%s" (ternary (printf "%s/%s" (default $.Values.monitoring.bundled.grafana.image.registry $.Values.global.imageRegistry) $.Values.monitoring.bundled.grafana.image.repository) $.Values.monitoring.bundled.grafana.image.repository (not (empty (default $.Values.monitoring.bundled.grafana.image.registry $.Values.global.imageRegistry)))) (default "latest" $.Values.monitoring.bundled.grafana.image.tag)) (not (empty $.Values.monitoring.bundled.grafana.image.digest)) }}
{{- end }}

{{- define "millrace.settingsChecksum" -}}
{{ join "\n" (list (printf "%d" (int64 $.Values.settings.batchMaxBytes)) (printf "%d" (int64 $.Values.settings.batchMaxEvents)) $.Values.settings.brokerCaFile $.Values.settings.brokerCertFile $.Values.settings.brokerKeyFile (printf "%d" (int64 $.Values.settings.confirmTimeoutMs)) (join "," $.Values.settings.corsOrigins) (printf "%d" (int64 $.Values.settings.dedupWindowMs)) (printf "%d" (int64 $.Values.settings.drainTimeoutMs)) (printf "%d" (int64 $.Values.settings.eventMaxBytes)) "0.0.0.0" (printf "%d" (int64 $.Values.settings.keepDays)) (printf "%d" (int64 $.Values.settings.keepMonths)) (join "," $.Values.settings.keysRequiredFor) (printf "%d" (int64 $.Values.settings.knownNames)) "json" $.Values.settings.logLevel (printf "%d" (int64 $.Values.settings.maxAttempts)) (printf "%d" (int64 $.Values.settings.maxFutureMs)) (printf "%d" (int64 $.Values.settings.messageMaxEvents)) (printf "%d" (int64 $.Values.settings.prefetch)) (printf "%d" (int64 $.Values.settings.queryMaxRows)) (printf "%d" (int64 $.Values.settings.rateLimitPerSecond)) (printf "%d" (int64 $.Values.settings.requestTimeoutMs)) (printf "%d" (int64 $.Values.settings.retryDelayMs)) $.Values.settings.serverCertFile $.Values.settings.serverClientCaFile $.Values.settings.serverKeyFile $.Values.settings.storeCaFile $.Values.settings.storeCertFile $.Values.settings.storeKeyFile (printf "%d" (int64 $.Values.settings.storePoolSize)) (printf "%d" (int64 $.Values.settings.storeTimeoutMs)) (printf "%d" (int64 $.Values.settings.sweepIntervalMs)) (printf "%d" (int64 $.Values.settings.unconfirmedMaxBytes)) $.Values.settings.unknownFields) | sha256sum }}
{{- end }}

{{- define "millrace.admin.collector" -}}
{{ ternary (printf "%s-%s" (trunc 57 (printf "%s-collector-admin" (include "millrace.fullname" $)) | trimSuffix "-") (sha256sum (printf "%s-collector-admin" (include "millrace.fullname" $)) | trunc 5)) (printf "%s-collector-admin" (include "millrace.fullname" $)) (gt (len (printf "%s-collector-admin" (include "millrace.fullname" $))) 63) }}
{{- end }}

{{- define "millrace.admin.query" -}}
{{ ternary (printf "%s-%s" (trunc 57 (printf "%s-query-admin" (include "millrace.fullname" $)) | trimSuffix "-") (sha256sum (printf "%s-query-admin" (include "millrace.fullname" $)) | trunc 5)) (printf "%s-query-admin" (include "millrace.fullname" $)) (gt (len (printf "%s-query-admin" (include "millrace.fullname" $))) 63) }}
{{- end }}

{{- define "millrace.admin.sweeper" -}}
{{ ternary (printf "%s-%s" (trunc 57 (printf "%s-sweeper-admin" (include "millrace.fullname" $)) | trimSuffix "-") (sha256sum (printf "%s-sweeper-admin" (include "millrace.fullname" $)) | trunc 5)) (printf "%s-sweeper-admin" (include "millrace.fullname" $)) (gt (len (printf "%s-sweeper-admin" (include "millrace.fullname" $))) 63) }}
{{- end }}

{{- define "millrace.admin.worker-account-name" -}}
{{ ternary (printf "%s-%s" (trunc 57 (printf "%s-worker-account-name-admin" (include "millrace.fullname" $)) | trimSuffix "-") (sha256sum (printf "%s-worker-account-name-admin" (include "millrace.fullname" $)) | trunc 5)) (printf "%s-worker-account-name-admin" (include "millrace.fullname" $)) (gt (len (printf "%s-worker-account-name-admin" (include "millrace.fullname" $))) 63) }}
{{- end }}

{{- define "millrace.admin.worker-distinct-name" -}}
{{ ternary (printf "%s-%s" (trunc 57 (printf "%s-worker-distinct-name-admin" (include "millrace.fullname" $)) | trimSuffix "-") (sha256sum (printf "%s-worker-distinct-name-admin" (include "millrace.fullname" $)) | trunc 5)) (printf "%s-worker-distinct-name-admin" (include "millrace.fullname" $)) (gt (len (printf "%s-worker-distinct-name-admin" (include "millrace.fullname" $))) 63) }}
{{- end }}

{{- define "millrace.admin.worker-hourly-log" -}}
{{ ternary (printf "%s-%s" (trunc 57 (printf "%s-worker-hourly-log-admin" (include "millrace.fullname" $)) | trimSuffix "-") (sha256sum (printf "%s-worker-hourly-log-admin" (include "millrace.fullname" $)) | trunc 5)) (printf "%s-worker-hourly-log-admin" (include "millrace.fullname" $)) (gt (len (printf "%s-worker-hourly-log-admin" (include "millrace.fullname" $))) 63) }}
{{- end }}

{{- define "millrace.admin.operator" -}}
{{ ternary (printf "%s-%s" (trunc 57 (printf "%s-operator-admin" (include "millrace.fullname" $)) | trimSuffix "-") (sha256sum (printf "%s-operator-admin" (include "millrace.fullname" $)) | trunc 5)) (printf "%s-operator-admin" (include "millrace.fullname" $)) (gt (len (printf "%s-operator-admin" (include "millrace.fullname" $))) 63) }}
{{- end }}
