{{/* What objects are called, and the labels by which they are found. */}}

{{/* The name that every object's begins with: short enough for what Kubernetes appends to a StatefulSet's in a label of 63. */}}
{{- define "mini-api.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 43 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 43 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 43 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of one object: (list . "api" ""), or with the suffix that it has by default. */}}
{{- define "mini-api.name" -}}
{{- $root := index . 0 -}}{{- $what := index . 1 -}}{{- $suffix := index . 2 -}}
{{- default (printf "%s%s" (include "mini-api.fullname" $root) $suffix) (index $root.Values.names $what) -}}
{{- end -}}

{{- define "mini-api.api" -}}{{ include "mini-api.name" (list . "api" "") }}{{- end -}}
{{- define "mini-api.config" -}}{{ include "mini-api.name" (list . "config" "") }}{{- end -}}
{{- define "mini-api.postgres" -}}{{ include "mini-api.name" (list . "postgres" "-postgres") }}{{- end -}}
{{- define "mini-api.secret" -}}{{ default (include "mini-api.name" (list . "secret" "")) .Values.secret.existingSecret }}{{- end -}}
{{- define "mini-api.account" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "mini-api.fullname" .) .Values.serviceAccount.name }}
{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{/* By what a component's pods are found; never changes during an installation's life. */}}
{{- define "mini-api.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The labels of pods: nothing that changes with a release, which would start the bundled database anew. */}}
{{- define "mini-api.podLabels" -}}
{{ include "mini-api.selector" . }}
app.kubernetes.io/part-of: mini-api
{{- end -}}

{{/* The labels that Kubernetes recommends, on all objects. */}}
{{- define "mini-api.labels" -}}
{{ include "mini-api.podLabels" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}
