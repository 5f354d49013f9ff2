{{/* Image references: by digest, or by a tag that was permitted. */}}

{{/* The reference: (list "image" .Values.image). */}}
{{- define "mini-api.image" -}}
{{- $where := index . 0 -}}{{- $image := index . 1 -}}
{{- if not $image.repository -}}
{{- fail (printf "%s.repository is empty: name registry and image, such as registry.intra/mini/mini-api" $where) -}}
{{- end -}}
{{- if contains "@" $image.repository -}}
{{- fail (printf "%s.repository is the name alone: write what follows @ into %s.digest" $where $where) -}}
{{- end -}}
{{- if regexMatch ":[^/]*$" $image.repository -}}
{{- fail (printf "%s.repository has a tag: write the name alone, and %s.digest" $where $where) -}}
{{- end -}}
{{- if $image.digest -}}
{{- if $image.tag -}}
{{- fail (printf "%s.digest and %s.tag are both set: leave the tag out, the digest says which image runs" $where $where) -}}
{{- end -}}
{{- if not (regexMatch "^sha256:[0-9a-f]{64}$" $image.digest) -}}
{{- fail (printf "%s.digest is %q, and not sha256: with 64 hexadecimal digits in small letters: copy it from the release" $where $image.digest) -}}
{{- end -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else if $image.tag -}}
{{- if not $image.allowTag -}}
{{- fail (printf "%s.tag is %q, and a tag may be another image tomorrow: set %s.digest, or %s.allowTag=true for a trial" $where $image.tag $where $where) -}}
{{- end -}}
{{- if eq $image.tag "latest" -}}
{{- fail (printf "%s.tag is latest, which nobody can trace: name a version" $where) -}}
{{- end -}}
{{- printf "%s:%s" $image.repository $image.tag -}}
{{- else -}}
{{- fail (printf "%s.digest is empty: it says which image runs, such as sha256:0123… (the release prints it)" $where) -}}
{{- end -}}
{{- end -}}

{{- define "mini-api.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}
