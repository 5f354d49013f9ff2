{{/* What cannot be, refused with a sentence, before anything is made. */}}
{{- define "mini-api.refusals" -}}
{{- $values := .Values -}}
{{- if $values.postgres.enabled -}}
{{- if or $values.database.host $values.database.existingSecret $values.database.urlKey -}}
{{- fail "postgres.enabled is true, and database.* names another one: choose one of both" -}}
{{- end -}}
{{- else -}}
{{- if not $values.database.existingSecret -}}
{{- fail "there is no database: set postgres.enabled=true, or database.host and database.existingSecret (a Secret with the role's password)" -}}
{{- end -}}
{{- if and (not $values.database.host) (not $values.database.urlKey) -}}
{{- fail "database.host is empty: name the host, or database.urlKey if the Secret holds a whole URL" -}}
{{- end -}}
{{- if and $values.database.host $values.database.urlKey -}}
{{- fail "database.host and database.urlKey are both set: the URL names its own host" -}}
{{- end -}}
{{- if and $values.database.ca.configMap $values.database.ca.secret -}}
{{- fail "database.ca.configMap and database.ca.secret are both set: choose one" -}}
{{- end -}}
{{- if and (has $values.database.sslmode (list "verify-ca" "verify-full")) (not (or $values.database.ca.configMap $values.database.ca.secret)) -}}
{{- fail (printf "database.sslmode is %s, and no authority is named: set database.ca.configMap or database.ca.secret" $values.database.sslmode) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $values.settings -}}
{{- if regexMatch "(_FILE|SECRETS?|PASSWORD|PRIVATE_KEY|DATABASE_URL)$" $name -}}
{{- fail (printf "settings.%s is a secret or names a file: secrets come from secret.existingSecret and database.existingSecret" $name) -}}
{{- end -}}
{{- if has $name (list "DB_HOST" "DB_PORT" "DB_NAME" "DB_USER" "DB_SSLMODE" "LISTEN_ADDR" "ADMIN_ADDR" "TRUSTED_PROXIES" "DRAIN_DELAY" "MIGRATE_ON_START") -}}
{{- fail (printf "settings.%s is set by the chart itself: use the value that stands for it" $name) -}}
{{- end -}}
{{- end -}}
{{- if hasPrefix "E" (toString (index $values.settings "JWT_ALG")) -}}
{{- fail (printf "settings.JWT_ALG is %s, which wants a private key, and this chart hands none in: HS256, HS384 or HS512" (index $values.settings "JWT_ALG")) -}}
{{- end -}}
{{- range $name, $value := $values.postgres.settings -}}
{{- if regexMatch "\\s" (toString $value) -}}
{{- fail (printf "postgres.settings.%s has a white space in it, which PostgreSQL's command line would not survive: write it without" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $values.secret.previous (not $values.secret.existingSecret) -}}
{{- fail "secret.previous is for a Secret of your own: name it in secret.existingSecret, or leave this out" -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) -}}
{{- fail (printf "autoscaling.minReplicas (%d) is more than maxReplicas (%d)" (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (not (dig "requests" "cpu" "" $values.resources)) -}}
{{- fail "autoscaling.enabled is true, and resources.requests.cpu is empty, of which autoscaling.targetCPU is a share: set it" -}}
{{- end -}}
{{- if and $values.podDisruptionBudget.enabled (has (toString $values.podDisruptionBudget.maxUnavailable) (list "0" "0%")) -}}
{{- fail "podDisruptionBudget.maxUnavailable is 0, and no node could ever be drained: allow at least 1" -}}
{{- end -}}
{{- $drain := add (int $values.drainDelay) (int (default 20 (index $values.settings "DRAIN_TIMEOUT"))) -}}
{{- if le (int $values.terminationGracePeriodSeconds) (int $drain) -}}
{{- fail (printf "terminationGracePeriodSeconds (%d) must be more than drainDelay and DRAIN_TIMEOUT together (%d), or requests are cut off" (int $values.terminationGracePeriodSeconds) (int $drain)) -}}
{{- end -}}
{{- range $part, $name := $values.names -}}
{{- if gt (len (toString $name)) 63 -}}
{{- fail (printf "names.%s is longer than 63 characters: choose a shorter one" $part) -}}
{{- end -}}
{{- end -}}
{{- if eq (include "mini-api.api" .) (include "mini-api.postgres" .) -}}
{{- fail "names.postgres is the service's own name: choose another" -}}
{{- end -}}
{{- if and $values.names.postgres (gt (len $values.names.postgres) 52) -}}
{{- fail "names.postgres is longer than 52 characters, which a StatefulSet's pods cannot bear: choose a shorter one" -}}
{{- end -}}
{{- if and $values.ingress.enabled (not $values.trustedProxies) -}}
{{- fail "ingress.enabled is true, and trustedProxies is empty, so that all clients would be one to the throttle: name the addresses or networks of the controller's pods" -}}
{{- end -}}
{{- if and $values.ingress.enabled (not $values.ingress.hosts) -}}
{{- fail "ingress.hosts is empty: name at least one host" -}}
{{- end -}}
{{- if and (or $values.metrics.serviceMonitor.enabled $values.metrics.prometheusRule.enabled) (not $values.metrics.enabled) -}}
{{- fail "metrics.enabled is false, so there is nothing for a ServiceMonitor or a PrometheusRule" -}}
{{- end -}}
{{- end -}}
