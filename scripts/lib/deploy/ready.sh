# shellcheck shell=bash
# What must be true before anything is started: each refusal is a sentence with its remedy, and nothing was touched.

# What Compose makes of its files, and the images that will run, once ready_merged has read them.
READY_MERGED='' READY_IMAGES=()

# Fails unless an engine answers whose Compose is young enough.
ready_engine() {
  local version
  command -v docker >/dev/null || fail 69 "there is no docker command: install Docker Engine 24 or newer with its compose plugin"
  timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
    fail 69 "no Docker Engine answers at ${DOCKER_HOST:-/run/docker.sock}: start it (systemctl start docker), or look whether $(id -un) may use it"
  version=$(docker compose version --short 2>/dev/null) || fail 69 "docker has no compose plugin: install docker-compose-plugin 2.24 or newer"
  version=${version#v}
  [[ $(printf '%s\n' 2.24 "$version" | sort -V | head -n 1) == 2.24 ]] || fail 69 "docker compose is $version, and 2.24 or newer is wanted"
}

# Fails without .env.
ready_files() {
  [[ -r .env ]] || fail 66 "there is no .env in $ROOT: scripts/compose init makes one"
}

# Fails unless every secret is there and is one.
ready_secrets() {
  local folder name
  folder=$(compose_secrets)
  for name in db_password jwt_secret jwt_previous_secrets; do
    [[ -s $folder/$name ]] || fail 66 "there is no secret $folder/$name: scripts/secrets init makes it"
    (($(tr -d '\n' <"$folder/$name" | wc -c) >= 16)) || fail 78 "the secret $folder/$name is shorter than 16 characters: remove it, and scripts/secrets init makes one"
  done
  (($(tr -d '\n' <"$folder/jwt_secret" | wc -c) >= 32)) || fail 78 "the key of tokens in $folder/jwt_secret is shorter than 32 characters: remove it, and scripts/secrets init makes one"
}

# Fails when the files of Compose do not fit together, with Compose's own words, or would run what images.env does not name. Sets
# READY_MERGED and READY_IMAGES.
ready_merged() {
  local images image known
  [[ -s images.env ]] || fail 66 "no image is chosen, there is no images.env: policy/admit --write-env images.env MINI_API_IMAGE=REFERENCE POSTGRES_IMAGE=REFERENCE"
  mkdir -p "$LOCAL" || fail 73 "$LOCAL cannot be made"
  READY_MERGED=$(compose config --format json 2>"$LOCAL/merged.log") || fail 78 "compose does not take its files: $(tail -n 1 "$LOCAL/merged.log")"
  images=$(jq -er '[.services[].image] | unique[]' <<<"$READY_MERGED") || fail 78 "compose does not say what it would run: look at compose.yaml and its overlays"
  known=$(compose_images | cut -d ' ' -f 2-)
  while IFS= read -r image; do
    reference_parse "$image" pinned || fail 65 "the image $image is refused: $REF_WHY"
    grep -qxF -- "$image" <<<"$known" ||
      fail 65 "the files of Compose would run $image, which images.env does not name: write \${NAME_IMAGE} there, and add it by policy/admit --write-env images.env"
  done <<<"$images"
  mapfile -t READY_IMAGES <<<"$images"
}

# Fails unless everything that will run may run here, as Compose put it together. A registry that does not answer keeps nothing from
# starting that was admitted before and is here by its digest: a power cut must not need it.
ready_images() {
  local reference code=0
  "$ROOT/policy/admit" --file - <<<"$READY_MERGED" >&2 || code=$?
  case $code in
    0) printf '%s\n' "${READY_IMAGES[@]}" >>"$LOCAL/admitted" ;;
    69)
      for reference in "${READY_IMAGES[@]}"; do
        if ! grep -qsxF -- "$reference" "$LOCAL/admitted" || ! docker image inspect "$reference" >/dev/null 2>&1; then
          fail 69 "it cannot be known whether $reference may run: see above"
        fi
      done
      ready_offline
      say "the registry does not answer; all images were admitted before, and are here by their digests"
      ;;
    78) fail 78 "nobody is believed here yet: docs/trust.md tells how to begin" ;;
    *) fail 65 "this may not run here, see above: policy/admit --write-env images.env takes other images, and policy/POLICY.md says what files may not have" ;;
  esac
}

# Fails unless the files of Compose may run, as far as that can be known without a registry: what they leave to the images these say here.
ready_offline() {
  local reference
  for reference in "${READY_IMAGES[@]}"; do
    docker image inspect --format '{{json .Config}}' "$reference" | jq -c --arg reference "$reference" '{($reference): {config: .}}' ||
      fail 69 "the engine does not say what $reference is"
  done | jq -s add >"$LOCAL/known.json" || fail 69 "what the images say here cannot be written down"
  "$ROOT/policy/admit" --no-signatures --images "$LOCAL/known.json" --file - <<<"$READY_MERGED" >&2 ||
    fail 65 "this may not run here, see above: policy/POLICY.md says what files may not have"
}

# Fails when a port that will be published is held by somebody else.
ready_ports() {
  local address port
  while IFS=$'\t' read -r port address; do
    [[ $address && $address != 0.0.0.0 ]] || address=127.0.0.1
    (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null || continue
    [[ $(compose_containers --filter "publish=$port") ]] ||
      fail 75 "port $port is taken by another program: stop it, or choose another port in .env"
  done < <(jq -r '.services[].ports[]? | [.published, .host_ip // ""] | @tsv' <<<"$READY_MERGED")
}

# Fails when the engine's disk is nearly full: PostgreSQL would stop in the midst of something.
ready_disk() {
  local data free least=${LEAST_FREE_MIB:-512}
  data=$(docker info --format '{{.DockerRootDir}}')
  # An engine on another machine, or in a virtual one, has a disk that is not seen from here.
  [[ -d $data ]] || return 0
  free=$(($(df --output=avail -k "$data" | tail -n 1) / 1024))
  ((free >= least)) || fail 73 "the disk of the engine ($data) has $free MiB left, and $least are wanted: docker image prune, or docs/runbooks/disk.md"
}
