# shellcheck shell=bash
# shellcheck disable=SC2154  # TARGET is target.sh's, registry_jobs registry_write.sh's
# Writes into the registry: blobs, then the manifests that hold them, children before their index. No name is moved here. Needs target.sh
# and lists.sh.

# The digest of {}: the configuration of what has none.
push_empty=sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a

# Sends everything, batch by batch. After each the images that are whole get their manifests: these are what keeps their blobs from the
# registry's garbage collection. What is not whole yet is held by a root.
push_all() { # stream serial
  local batch batches sent=0 all
  batches=$(awk -F '\t' 'END { print NR ? $1 : 0 }' "$TARGET/send")
  all=$(awk -F '\t' '{ sum += $5 } END { printf "%.0f", sum }' "$TARGET/send")
  : >"$TARGET/sent"
  for ((batch = 0; batch <= batches; batch++)); do
    awk -F '\t' -v OFS='\t' -v batch="$batch" '$1 == batch { print $2, $3, $4, $6 }' "$TARGET/send" >"$TARGET/batch"
    if [[ -s $TARGET/batch ]]; then
      push_batch
      sent=$((sent + $(awk -F '\t' -v batch="$batch" '$1 == batch { sum += $5 } END { printf "%.0f", sum }' "$TARGET/send")))
      say "   $(numfmt --to=si "$sent")B of $(numfmt --to=si "$all")B"
    fi
    awk -F '\t' -v batch="$batch" '$2 == batch { print $1 }' "$TARGET/ready" >"$TARGET/whole"
    push_manifests
    push_roots "$1" "$2" "$batch"
  done
}

# Uploads a batch: first what no repository has, then what can be taken over from one that got it just now.
push_batch() {
  local paths
  mapfile -t paths < <(cut -f 1 "$TARGET/batch" | sort -u)
  registry_may "${paths[@]}"
  awk -F '\t' '!($2 in first) { first[$2] = $1 } $4 == "-" || $4 != first[$2] { print }' "$TARGET/batch" | registry_upload "$TARGET/sent.now"
  cat "$TARGET/sent.now" >>"$TARGET/sent"
  awk -F '\t' '!($2 in first) { first[$2] = $1 } !($4 == "-" || $4 != first[$2]) { print }' "$TARGET/batch" | registry_upload "$TARGET/sent.now"
  cat "$TARGET/sent.now" >>"$TARGET/sent"
}

# Puts the manifests of the images in `whole` that are missing, level by level, and then the lists of what hangs on them.
push_manifests() {
  local level
  [[ -s $TARGET/whole ]] || return 0
  # level, path, digest, media type, file
  awk -F '\t' -v OFS='\t' -v whole="$TARGET/whole" -v places="$TARGET/places" -v files="$TARGET/files" '
    FILENAME == whole { whole_image[$1] = 1; next }
    FILENAME == places { if ($1 in whole_image && $3 == "manifests") wanted[$2, $4] = 1; next }
    FILENAME == files { if ($2 == "manifests") file[$1, $3] = $4; next }
    ($2, $3) in wanted && ($2, $3) in file { print $0, file[$2, $3] }' "$TARGET/whole" "$TARGET/places" "$TARGET/files" "$TARGET/levels" >"$TARGET/puts"
  while IFS= read -r level; do
    awk -F '\t' -v OFS='\t' -v level="$level" '$1 == level { print $2, $3, $4, $5 }' "$TARGET/puts" | registry_put
  done < <(cut -f 1 "$TARGET/puts" | sort -rnu)
  awk -F '\t' -v OFS='\t' -v whole="$TARGET/whole" -v places="$TARGET/places" '
    FILENAME == whole { whole_image[$1] = 1; next }
    FILENAME == places { if ($1 in whole_image && $3 == "manifests") wanted[$2, $4] = 1; next }
    ($1, $3) in wanted' "$TARGET/whole" "$TARGET/places" "$TARGET/hanging" >"$TARGET/hang"
  [[ ! -s $TARGET/hang ]] || lists_write
}

# Holds what is inside of images that are not whole yet: a manifest in each of their repositories that names their blobs, under the tag
# _STREAM-SERIAL, which no image has. Without it the registry's garbage collection would take them away. One takes the place of another.
push_roots() { # stream serial batch
  awk -F '\t' -v OFS='\t' -v tag="_$1-$2" -v root="$TARGET/root" -v empty="$push_empty" -v type=application/vnd.oci.image.manifest.v1+json -v batch="$3" -v ready="$TARGET/ready" -v there="$TARGET/there" -v left="$TARGET/left" -v send="$TARGET/send" '
    FILENAME == ready { if ($2 <= batch) whole[$1] = 1; next }
    FILENAME == there || FILENAME == left { if ($2 == "blobs") inside[$1, $3] = 1; next }
    FILENAME == send { if ($1 <= batch) inside[$2, $3] = 1; if ($1 == batch) fresh[$2] = 1; next }
    !($1 in whole) && ($2, $4) in inside && !seen[$2, $4]++ {
      layer[$2] = layer[$2] (layer[$2] == "" ? "" : ",") "{\"digest\":\"" $4 "\",\"mediaType\":\"application/octet-stream\",\"size\":" $5 "}"
    }
    END {
      # What a run that was stopped had sent is held by the next, before it sends more.
      for (path in layer) if (path in fresh || batch == 0) {
        file = root "." ++n
        printf "{\"artifactType\":\"application/vnd.mini-api.root.v1\",\"config\":{\"digest\":\"%s\",\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"size\":2},\"layers\":[%s],\"mediaType\":\"%s\",\"schemaVersion\":2}", empty, layer[path], type > file
        close(file)
        print path, tag, type, file
      }
    }' "$TARGET/ready" "$TARGET/there" "$TARGET/left" "$TARGET/send" "$TARGET/places" >"$TARGET/roots"
  [[ -s $TARGET/roots ]] || return 0
  printf '{}' >"$TARGET/empty"
  awk -F '\t' -v OFS='\t' -v empty="$push_empty" -v file="$TARGET/empty" '{ print $1, empty, file, "-" }' "$TARGET/roots" | registry_upload "$TARGET/sent.now"
  cut -f 1 "$TARGET/roots" | push_before "$1" "$2"
  # Where they lie, should this serial never become whole.
  { cat "$STREAM_HOME/rooted" 2>/dev/null || true; } | { cat && awk -F '\t' -v OFS='\t' -v serial="$2" '{ print serial, $1 }' "$TARGET/roots"; } | sort -u | mark_keep rooted
  registry_put <"$TARGET/roots"
  awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { new[$1] = $2; next } new[$1] != $2' <(push_sums) "$TARGET/roots-before" | push_delete "$1" "$2"
}

# Prints the path and digest of every root that is put now.
push_sums() {
  cut -f 4 "$TARGET/roots" | tr '\n' '\0' | xargs -0r sha256sum -- | awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { path[$4] = $1; next } { print path[substr($0, 67)], "sha256:" substr($0, 1, 64) }' "$TARGET/roots" -
}

# Finds the roots there are in the repositories on standard input; roots-before: path, digest. Fails when something else has their name.
push_before() { # stream serial
  local files=() file is
  sort -u >"$TARGET/root-paths"
  rm -rf "$TARGET/root-was" && mkdir "$TARGET/root-was"
  awk -F '\t' -v OFS='\t' -v tag="_$1-$2" -v accept="$registry_accepts" -v folder="$TARGET/root-was/" '{ print NR, "GET", $1 "/manifests/" tag, accept, folder NR }' "$TARGET/root-paths" |
    registry_run "$registry_jobs/answers"
  mapfile -t files < <(awk -v folder="$TARGET/root-was/" '$2 == "200" && $3 == 0 { print folder $1 }' "$registry_jobs/answers")
  : >"$TARGET/roots-before"
  ((${#files[@]})) || return 0
  sign_read '.artifactType == "application/vnd.mini-api.root.v1"' "${files[@]}" >"$TARGET/root-types" || sign_broken
  while IFS=$'\t' read -r file is; do
    [[ $is == true ]] || fail 65 "$(sed -n "${file##*/}p" "$TARGET/root-paths"):_$1-$2 is somebody else's inside: have its owner remove that tag"
  done <"$TARGET/root-types"
  sha256sum -- "${files[@]}" | awk -v OFS='\t' 'FILENAME == ARGV[1] { path[FNR] = $1; next } { n = $0; sub(/.*\//, "", n); print path[n], "sha256:" $1 }' "$TARGET/root-paths" - >"$TARGET/roots-before"
}

# Takes away the roots on standard input: path, digest.
push_delete() { # stream serial
  local kept
  awk -F '\t' -v OFS='\t' '{ print NR, "DELETE", $1 "/manifests/" $2, "-", "-" }' | registry_run "$registry_jobs/answers"
  kept=$(awk '$2 !~ /^2|404/ { n++ } END { print n + 0 }' "$registry_jobs/answers")
  ((kept == 0)) || say "   $kept repositories keep what held the parts of $1 $2, which may go: this account may not delete"
}

# Takes the roots away again, when everything is whole, and those of serials before that never were. A registry that lets nobody delete keeps
# them: they hold nothing that is not held.
push_unroot() { # stream serial
  local serial
  cut -f 2 "$TARGET/places" | push_before "$1" "$2"
  push_delete "$1" "$2" <"$TARGET/roots-before"
  [[ -s $STREAM_HOME/rooted ]] || return 0
  while IFS= read -r serial; do
    awk -F '\t' -v serial="$serial" '$1 == serial { print $2 }' "$STREAM_HOME/rooted" | push_before "$1" "$serial"
    push_delete "$1" "$serial" <"$TARGET/roots-before"
  done < <(awk -F '\t' -v serial="$2" '$1 < serial { print $1 }' "$STREAM_HOME/rooted" | sort -u)
  rm -f "$STREAM_HOME/rooted"
}
