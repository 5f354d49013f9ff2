{{/* What all pods of the service have in common: who they are, what they may do, and how they reach the database. */}}

{{- define "mini-api.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "mini-api.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The settings of the database, as environment variables. */}}
{{- define "mini-api.databaseSettings" -}}
{{- if .Values.postgres.enabled }}
DB_HOST: {{ include "mini-api.postgres" . }}
DB_PORT: "5432"
DB_NAME: {{ .Values.postgres.database | quote }}
DB_USER: {{ .Values.postgres.user | quote }}
# Pod to pod; NetworkPolicies keep others away, and the bundled database has no certificates.
DB_SSLMODE: disable
DB_PASSWORD_FILE: /run/secrets/mini-api/DB_PASSWORD
{{- else }}
{{- if .Values.database.urlKey }}
DATABASE_URL_FILE: /run/secrets/database/{{ .Values.database.urlKey }}
{{- else }}
DB_HOST: {{ .Values.database.host | quote }}
DB_PORT: {{ .Values.database.port | quote }}
DB_NAME: {{ .Values.database.name | quote }}
DB_USER: {{ .Values.database.user | quote }}
DB_PASSWORD_FILE: /run/secrets/database/{{ .Values.database.passwordKey }}
{{- end }}
DB_SSLMODE: {{ .Values.database.sslmode }}
{{- if or .Values.database.ca.configMap .Values.database.ca.secret }}
DB_CA_FILE: /run/database-ca/{{ .Values.database.ca.key }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where the files of the database come from; nothing with the bundled one, whose password is with the keys. */}}
{{- define "mini-api.databaseMounts" -}}
{{- if not .Values.postgres.enabled }}
- {name: database, mountPath: /run/secrets/database, readOnly: true}
{{- if or .Values.database.ca.configMap .Values.database.ca.secret }}
- {name: database-ca, mountPath: /run/database-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "mini-api.databaseVolumes" -}}
{{- if not .Values.postgres.enabled }}
- name: database
  secret:
    secretName: {{ .Values.database.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ default .Values.database.passwordKey .Values.database.urlKey | quote }}, path: {{ default .Values.database.passwordKey .Values.database.urlKey | quote }}}]
{{- with .Values.database.ca.configMap }}
- name: database-ca
  configMap: {name: {{ . }}}
{{- end }}
{{- with .Values.database.ca.secret }}
- name: database-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ $.Values.database.ca.key | quote }}, path: {{ $.Values.database.ca.key | quote }}}]
{{- end }}
{{- end }}
{{- end -}}

{{/* Secrets and configurations that pods read once, as one number: another one starts them anew. A Secret that is not ours is asked for. */}}
{{- define "mini-api.secretSum" -}}
{{- $found := dict -}}
{{- range (uniq (list (include "mini-api.secret" .) .Values.database.existingSecret .Values.database.ca.secret)) -}}
{{- if . -}}
{{- $_ := set $found . (get (default dict (lookup "v1" "Secret" $.Release.Namespace .)) "data") -}}
{{- end -}}
{{- end -}}
{{- with .Values.database.ca.configMap -}}
{{- $_ := set $found (printf "configmap/%s" .) (get (default dict (lookup "v1" "ConfigMap" $.Release.Namespace .)) "data") -}}
{{- end -}}
{{- if not .Values.secret.existingSecret -}}
{{- $_ := set $found (include "mini-api.secret" .) (include "mini-api.secretData" . | fromYaml) -}}
{{- end -}}
{{- $found | toJson | sha256sum -}}
{{- end -}}

{{/* The keys that the chart makes: what the cluster has of them stays. Made once for all templates, as chance is asked only once. */}}
{{- define "mini-api.secretData" -}}
{{- if not (hasKey .Values "drawn") -}}
{{- $found := default dict (get (default dict (lookup "v1" "Secret" .Release.Namespace (include "mini-api.secret" .))) "data") -}}
{{- /* Keys that are not wanted now stay: the password of a bundled database may be wanted again, with its volume. */ -}}
{{- $data := deepCopy $found -}}
{{- $wanted := dict "JWT_SECRET" 64 "JWT_PREVIOUS_SECRETS" 64 -}}
{{- if .Values.postgres.enabled -}}{{- $_ := set $wanted "DB_PASSWORD" 40 -}}{{- end -}}
{{- range $key, $length := $wanted -}}
{{- /* Until the first rotation the keys of before are one that signed nothing. */ -}}
{{- if not (get $data $key) -}}{{- $_ := set $data $key (randAlphaNum (int $length) | b64enc) -}}{{- end -}}
{{- end -}}
{{- $_ := set .Values "drawn" $data -}}
{{- end -}}
{{- .Values.drawn | toYaml -}}
{{- end -}}
