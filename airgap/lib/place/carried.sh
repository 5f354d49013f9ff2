# shellcheck shell=bash
# The first images of a closed network: nothing inside can pull them, so they are carried in a folder,
#   images.env             HAPROXY_IMAGE=REFERENCE and REGISTRY_IMAGE=REFERENCE, by digest
#   haproxy/ registry/     OCI layouts of one image each, or archives of them: haproxy.tar registry.tar
# and the SHA-256 of images.env by another way, on paper: everything else follows from it.

# Loads what is carried, if it was not yet, and notes what will run in OUT/images.env.
carried_load() { # folder sha256
  local folder=$1 hash=$2 name reference
  if [[ -s $OUT/images.env ]]; then
    say "the images are chosen already"
    return
  fi
  [[ $folder ]] || misuse "which images? --images FOLDER, and --sha256 HASH of its images.env"
  [[ $hash =~ ^[0-9a-f]{64}$ ]] || misuse "--sha256 wants the SHA-256 of $folder/images.env as the sheet has it: 64 digits"
  [[ -s $folder/images.env ]] || fail 66 "there is no $folder/images.env"
  cp "$folder/images.env" "$TEMPORARY/images.env" || fail 74 "$folder/images.env cannot be read"
  [[ $(sha256sum <"$TEMPORARY/images.env") == "$hash  -" ]] ||
    fail 65 "$folder/images.env is not what the sheet says: its SHA-256 is $(sha256sum <"$TEMPORARY/images.env" | cut -d ' ' -f 1)"
  : >"$TEMPORARY/chosen"
  for name in haproxy registry; do
    reference=$(sed -n "s/^${name^^}_IMAGE=//p" "$TEMPORARY/images.env")
    [[ $reference =~ ^[a-z0-9.:/-]+@sha256:[0-9a-f]{64}$ ]] || fail 65 "$folder/images.env names no ${name^^}_IMAGE by digest"
    carried_open "$folder/$name" "$TEMPORARY/$name"
    carried_verify "$TEMPORARY/$name" "${reference#*@}" "$folder/$name"
    carried_give "$TEMPORARY/$name" "$reference"
    rm -rf "${TEMPORARY:?}/$name"
    printf '%s_IMAGE=%s\n' "${name^^}" "$CARRIED" >>"$TEMPORARY/chosen"
  done
  files_put "$OUT/images.env" <"$TEMPORARY/chosen"
  say "the images were loaded"
}

# Takes a copy: what is verified is what is used.
carried_open() { # source folder
  mkdir "$2"
  if [[ -d $1 ]]; then
    cp -RL "$1/." "$2/" || fail 74 "$1 cannot be read"
  elif [[ -f $1.tar ]]; then
    tar --extract --no-same-owner --file "$1.tar" --directory "$2" || fail 74 "$1.tar cannot be read"
  else
    fail 66 "there is neither $1/ nor $1.tar"
  fi
}

# Fails unless a layout has the image of this digest, whole; takes away what else is there.
carried_verify() { # folder digest what
  local folder=$1 digest=$2 what=$3 blob manifest hex
  [[ ! $(find "$folder" -type l -print -quit) ]] || fail 65 "$what has a link in it"
  manifest=$folder/blobs/sha256/${digest#sha256:}
  [[ -f $manifest ]] || fail 65 "$what does not have the image $digest"
  [[ $(sha256sum <"$manifest") == "${digest#sha256:}  -" ]] || fail 65 "$what is damaged: blobs/sha256/${digest#sha256:}"
  jq -e '.config.digest and (.layers | type == "array")' "$manifest" >/dev/null 2>&1 ||
    fail 65 "$what holds no image of one platform under $digest: carry the one for this machine (oras cp --platform)"
  jq -r '.config.digest, .layers[].digest' "$manifest" >"$TEMPORARY/wanted"
  while IFS= read -r blob; do
    hex=${blob#sha256:}
    [[ $hex =~ ^[0-9a-f]{64}$ && -f $folder/blobs/sha256/$hex ]] || fail 66 "$what lacks blobs/sha256/$hex"
    [[ $(sha256sum <"$folder/blobs/sha256/$hex") == "$hex  -" ]] || fail 65 "$what is damaged: blobs/sha256/$hex"
  done <"$TEMPORARY/wanted"
  jq --arg digest "$digest" --arg type "$(jq -r .mediaType "$manifest")" --argjson size "$(stat -c %s "$manifest")" -n \
    '{schemaVersion: 2, manifests: [{mediaType: $type, digest: $digest, size: $size}]}' >"$folder/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$folder/oci-layout"
}

# Gives a verified layout to the engine, and sets CARRIED to the name by which nothing but these bytes is meant: the reference, or on an
# engine that keeps no digests of what it loads the image's own id.
carried_give() { # folder reference
  local digest=${2#*@} config id
  config=$(jq -r .config.digest "$1/blobs/sha256/${digest#sha256:}")
  oci_archive "$1" "$TEMPORARY/archive.tar" "${2%@*}:carried"
  docker load --quiet --input "$TEMPORARY/archive.tar" >/dev/null || fail 69 "the engine does not take $2: see above"
  rm "$TEMPORARY/archive.tar"
  CARRIED=$2
  id=$(docker image inspect --format '{{.Id}}' "${2%@*}:carried") || fail 69 "the engine does not have what it loaded"
  case $id in
    "$digest") ;;
    "$config") CARRIED=$config ;;
    *) fail 65 "the engine made another image of $2: $id" ;;
  esac
}
