# shellcheck shell=bash
# shellcheck disable=SC2154  # import_… are import.sh's, SIGN_… sign.sh's; here and scripts stand in airgap/bundle
# What was imported, as the ways to deploy want to be told: images.env, values.yaml for the chart, a component for Kustomize. All is pinned to
# the digests of a receipt, which says that they are whole, and nothing is written unless admission lets all of it in. Needs status.sh.

# By PATH, PATH:TAG or PATH@DIGEST: the name in images.env that was asked for.
declare -gA deploy_asked=()

# Writes the files, and tells where charts and policies are.
verb_deploy() {
  local out='' name=receipt words=()
  while (($#)); do
    case $1 in
      --out)
        [[ ${2:-} ]] || misuse "--out wants a folder that is not there yet"
        out=$2
        shift
        ;;
      --env-name)
        [[ ${2:-} =~ ^([^=]+)=([A-Z][A-Z0-9_]*_IMAGE)$ ]] || misuse "--env-name wants words like import/postgres:18=POSTGRES_IMAGE, and not '${2:-}'"
        deploy_asked[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
        shift
        ;;
      --previous) name=previous ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  import_parse "${words[@]}"
  ((${#import_dirs[@]} == 0)) || misuse "deploy takes what is inside, and no media"
  trust_open "$TEMPORARY/keys"
  status_stream "$import_stream"
  registry_open "$import_to" "$TEMPORARY/registry"
  deploy_receipt "$name"
  deploy_admitted
  deploy_names
  deploy_write "${out:-deploy-$import_stream-$(jq .serial "$TEMPORARY/$name.json")}" "$TEMPORARY/$name.json"
  deploy_others
}

# Reads the receipt, or the one before, into `rows`: path, digest, tag or -.
deploy_receipt() { # receipt|previous
  if ! status_document "$1" "$TEMPORARY"; then
    [[ $1 == receipt ]] || fail 66 "there is nothing to go back to: this host knows of one receipt of stream $import_stream alone"
    fail 66 "nothing of stream $import_stream was ever whole in $import_to: there is no receipt"
  fi
  jq -r '.images[] | [.path, .digest, .tag // "-"] | @tsv' "$TEMPORARY/$1.json" >"$TEMPORARY/rows"
  [[ -s $TEMPORARY/rows ]] || fail 66 "the receipt names no image"
}

# Asks admission about all of them, and what each of them is: leaves `deployed` (kind, path, digest, tag).
deploy_admitted() {
  local path digest tag n=0 references=() code worst=0
  while IFS=$'\t' read -r path digest tag; do references+=("$import_to/$path@$digest"); done <"$TEMPORARY/rows"
  mkdir -p "$TEMPORARY/admit"
  sign_gather "$TEMPORARY/admit" "${references[@]}"
  while IFS=$'\t' read -r path digest tag; do
    n=$((n + 1)) code=0
    sign_verdict "$TEMPORARY/admit/$n" "$import_to/$path@$digest" import || code=$?
    ((code != 0)) || continue
    say "$path@$digest may not run: $SIGN_WHY"
    if ((worst != 65)); then worst=$code; fi
  done <"$TEMPORARY/rows"
  ((worst == 0)) || fail "$worst" "not all of it may run here, and nothing is written: bundle status says what is missing, bundle repair brings it back"
  # shellcheck disable=SC2016  # jq's
  sign_read 'if .config.mediaType == "application/vnd.cncf.helm.config.v1+json" then "chart" elif .artifactType == "application/vnd.mini-api.policies.v1" then "policies" else "image" end' \
    "$TEMPORARY"/admit/*/manifest >"$TEMPORARY/kinds" || sign_broken
  awk -F '\t' -v OFS='\t' 'FILENAME ~ /kinds$/ { n = $1; sub(/\/manifest$/, "", n); sub(/.*\//, "", n); kind[n] = $2; next } { print kind[FNR], $0 }' \
    "$TEMPORARY/kinds" "$TEMPORARY/rows" >"$TEMPORARY/deployed"
}

# Gives each image its name in images.env: leaves `named` (name, path, digest). Where several images lie in one repository somebody must say
# which of them is meant.
deploy_names() {
  local kind path digest tag key said name asked wrong=0
  local -A count=() chosen=() names=() used=()
  while IFS=$'\t' read -r kind path digest tag; do
    [[ $kind == image ]] || continue
    count[$path]=$((${count[$path]:-0} + 1))
    for key in "$path:$tag" "$path@$digest"; do [[ ! ${deploy_asked[$key]:-} ]] || chosen[$path]=1; done
  done <"$TEMPORARY/deployed"
  : >"$TEMPORARY/named"
  while IFS=$'\t' read -r kind path digest tag; do
    [[ $kind == image ]] || continue
    said=
    for key in "$path" "$path:$tag" "$path@$digest"; do
      if [[ ${deploy_asked[$key]:-} ]]; then said=${deploy_asked[$key]} used[$key]=1; fi
    done
    # Of those beside one that was chosen nobody wants to know.
    if [[ ! ${deploy_asked["$path:$tag"]:-}${deploy_asked["$path@$digest"]:-} && ${chosen[$path]:-} ]]; then continue; fi
    if [[ ! ${chosen[$path]:-} ]] && ((count[$path] > 1)); then
      say "$path has ${count[$path]} images; one is ${tag#-} $digest: --env-name $path$([[ $tag == - ]] && echo "@$digest" || echo ":$tag")=NAME_IMAGE"
      wrong=$((wrong + 1))
      continue
    fi
    name=${path##*/} && name=${name//-/_} && name=${said:-${name^^}_IMAGE}
    if [[ ! $name =~ ^[A-Z] ]]; then
      say "$path gives no name of a setting: --env-name $path=NAME_IMAGE"
      wrong=$((wrong + 1))
    elif [[ ${names[$name]:-} ]]; then
      say "$path and ${names[$name]} would both be $name: --env-name $path=ANOTHER_IMAGE"
      wrong=$((wrong + 1))
    fi
    names[$name]=$path
    printf '%s\t%s\t%s\n' "$name" "$path" "$digest" >>"$TEMPORARY/named"
  done <"$TEMPORARY/deployed"
  for asked in "${!deploy_asked[@]}"; do
    [[ ${used[$asked]:-} ]] || { say "--env-name $asked: the receipt names no such image" && wrong=$((wrong + 1)); }
  done
  ((wrong == 0)) || fail 65 "which image goes by which name is not clear: nothing is written"
}

# Writes the folder, whole or not at all.
deploy_write() { # out receipt
  local new serial
  serial=$(jq .serial "$2")
  [[ ! -e $1 ]] || fail 73 "$1 is there already: name another folder by --out, or remove it"
  mkdir -p "$(dirname "$1")" || fail 73 "$(dirname "$1") cannot be made"
  new=$(mktemp -d "$1.XXXXXX") || fail 73 "$1 cannot be made"
  deploy_files "$new" "$serial" || {
    rm -rf "$new"
    fail 73 "$1 cannot be written"
  }
  chmod 0755 "$new"
  mv -T "$new" "$1" || fail 73 "$1 cannot be made"
  say "serial $serial of stream $import_stream, whole since $(jq -r .time "$2"):"
  find "$1" -type f -print | LC_ALL=C sort
}

# Lays the files out.
deploy_files() { # folder serial
  local said
  said="# Serial $2 of stream $import_stream, as its receipt says that it is whole in $import_to."
  if [[ -s $TEMPORARY/named ]]; then
    awk -F '\t' -v to="$import_to" '{ print $1 "=" to "/" $2 "@" $3 }' "$TEMPORARY/named" |
      "$ROOT/policy/admit" --purpose import --write-env "$1/images.env" - >"$TEMPORARY/admit.log" 2>&1 || {
      cat "$TEMPORARY/admit.log" >&2
      return 1
    }
    deploy_component "$said" "$2" >"$1/kustomization.yaml" || return 1
  fi
  # The values of the project's own chart, as far as there are images for them.
  if grep -q '^MINI_API_IMAGE' "$TEMPORARY/named"; then
    {
      printf '%s\n' "$said"
      awk -F '\t' -v to="$import_to" '
        $1 == "MINI_API_IMAGE" { print "image:\n  repository: " to "/" $2 "\n  digest: " $3 }
        $1 == "POSTGRES_IMAGE" { print "postgres:\n  image:\n    repository: " to "/" $2 "\n    digest: " $3 }' "$TEMPORARY/named"
    } >"$1/values.yaml" || return 1
  fi
}

# Prints a component that pins images wherever they are named by their place inside, or by what they are called outside.
deploy_component() { # remark serial
  local kept=$STREAM_HOME/manifests/$2.json
  printf '%s\n# In a kustomization.yaml: components: [this folder]\napiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages:\n' "$1"
  : >"$TEMPORARY/outside"
  [[ ! -e $kept ]] || jq -r '.images[] | select(.kind == "image") | [.digest, .path, (.reference | sub("@.*"; "") | sub(":[^/]*\\z"; ""))] | @tsv' "$kept" >"$TEMPORARY/outside" || return
  awk -F '\t' -v to="$import_to" '
    function pin(called, path, digest) { if (!told[called]++) print "  - name: " called "\n    newName: " to "/" path "\n    digest: " digest }
    FILENAME ~ /outside$/ { outside[$2, $1] = $3; next }
    { pin($2, $2, $3); pin(to "/" $2, $2, $3); if (($2, $3) in outside) pin(outside[$2, $3], $2, $3) }' "$TEMPORARY/outside" "$TEMPORARY/named"
}

# Tells where charts and policies are.
deploy_others() {
  awk -F '\t' -v to="$import_to" '
    $1 == "chart" { version = $4; gsub(/_/, "+", version); print "chart oci://" to "/" $2 " --version " version "  " $3 }
    $1 == "policies" { print "policies " to "/" $2 "@" $3 }' "$TEMPORARY/deployed"
}
