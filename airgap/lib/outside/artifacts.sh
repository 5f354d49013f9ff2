# shellcheck shell=bash
# shellcheck disable=SC2154  # TEMPORARY and here stand in airgap/bundle
# What an export makes itself: charts and policies as OCI artifacts, the same bytes from the same files on every machine, and the
# files that are no part of an image: whom we believe, the register of releases, the tools. Needs oci.sh, trust.sh and register.sh.

artifact_policies=application/vnd.mini-api.policies.v1
artifact_chart=application/vnd.cncf.helm

# Packs a folder, under another name, into a tar that says nothing of this machine. Links become what they lead to, as Helm does it: they
# are refused inside.
artifact_pack() { # folder name file folder-inside-to-leave-out…
  local odd part prune=() exclude=()
  for part in "${@:4}"; do prune+=(-path "$1/$part" -prune -o) && exclude+=(--exclude="./$part"); done
  odd=$(find -L "$1" "${prune[@]}" ! -type f ! -type d -print -quit) || fail 74 "$1 cannot be read"
  [[ ! $odd ]] || fail 65 "$odd is neither a file nor a folder, nor a link to one: remove it"
  LC_ALL=C tar --create --directory "$1" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime=@0 --dereference --hard-dereference \
    --anchored "${exclude[@]}" --transform="s,^\.,$2," . >"$3.tar" || fail 73 "$3.tar cannot be written"
  gzip -n <"$3.tar" >"$3" || fail 73 "$3 cannot be written"
  rm "$3.tar"
}

# Writes a manifest over a configuration and one layer, and adds the image to a list.
artifact_image() { # layout list kind path tag config-descriptor layer-descriptor artifact-type-or-nothing
  local manifest
  jq -n --argjson config "$6" --argjson layer "$7" --arg type "$oci_types.manifest.v1+json" --arg artifact "$8" \
    '{schemaVersion: 2, mediaType: $type, config: $config, layers: [$layer]} + (if $artifact == "" then {} else {artifactType: $artifact} end)' | oci_json >"$1/manifest.new"
  manifest=$(oci_blob "$1" "$1/manifest.new" "$oci_types.manifest.v1+json")
  jq -cn --argjson manifest "$manifest" --argjson config "$6" --argjson layer "$7" --arg kind "$3" --arg path "$4" --arg tag "$5" '
    {reference: "\($path):\($tag)", $path, $tag, digest: $manifest.digest, mediaType: $manifest.mediaType, $kind, platforms: [], rule: {rule: "bundle"},
      manifests: [$manifest + {kind: "image"}], blobs: ([$config, $layer] | unique_by(.digest))}' >>"$2"
}

# A chart, as Helm itself would push it.
artifact_chart() { # layout list folder path-or-nothing
  local name version path config layer
  [[ -f $3/Chart.yaml ]] || fail 66 "$3 is no chart: it has no Chart.yaml"
  artifact_yaml "$3/Chart.yaml" >"$1/config.new" || fail 65 "$3/Chart.yaml cannot be read as YAML"
  IFS=$'\t' read -r name version < <(jq -r '[.name, .version] | map(strings // "") | @tsv' "$1/config.new")
  [[ $name =~ ^[a-z0-9]+(-[a-z0-9]+)*$ ]] || fail 65 "$3/Chart.yaml: the chart's name '$(trust_plain "$name")' is not lower-case words with '-' between them"
  # As Helm writes it, since tags have no '+'.
  version=${version//+/_}
  [[ $version =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] || fail 65 "$3/Chart.yaml: '$(trust_plain "$version")' is no version"
  path=${4:-charts/$name}
  [[ ${path##*/} == "$name" ]] || fail 65 "Helm finds the chart $name only below a path that ends in its name: write 'as $(dirname "$path")/$name'"
  oci_json <"$1/config.new" >"$1/config.json"
  config=$(oci_blob "$1" "$1/config.json" "$artifact_chart.config.v1+json")
  artifact_pack "$3" "$name" "$1/chart.tgz"
  layer=$(oci_blob "$1" "$1/chart.tgz" "$artifact_chart.chart.content.v1.tar+gzip")
  artifact_image "$1" "$2" chart "$path" "$version" "$config" "$layer" ""
}

# Prints YAML as JSON: numbers as they are written, since 1.10 is a version.
artifact_yaml() { # file
  local python
  for python in "$TOOLS/venv/bin/python3" python3; do
    if "$python" -c 'import yaml' 2>/dev/null; then
      "$python" "$here/lib/outside/yaml_to_json.py" "$1"
      return
    fi
  done
  fail 69 "no Python with PyYAML is here to read $1: scripts/setup forward, or --without chart"
}

# The rules of admission. Whom the exporter believes is no part of them.
artifact_policies() { # layout list folder path
  local config layer
  [[ -d $3 ]] || fail 66 "there is no folder of policies $3"
  printf '{}' >"$1/config.json"
  config=$(oci_blob "$1" "$1/config.json" application/vnd.oci.empty.v1+json)
  artifact_pack "$3" policy "$1/policies.tgz" trust roots
  layer=$(oci_blob "$1" "$1/policies.tgz" "$artifact_policies.tar+gzip")
  artifact_image "$1" "$2" policies "$4" "$(project_value version)" "$config" "$layer" "$artifact_policies"
}

# Lays out whom we believe, as it was verified. A draft concerns nobody yet.
artifact_trust() { # folder
  local part
  mkdir -p "$1/files/trust"
  for part in trust.json history signatures; do
    [[ ! -e $TRUST_COPY/$part ]] || cp -R "$TRUST_COPY/$part" "$1/files/trust/" || fail 73 "$1 cannot be written"
  done
  rm -f "$1/files/trust/signatures/$(($(jq .version "$TRUST_COPY/trust.json") + 1))".*
}

# Lays out the register of releases, if it is sound.
artifact_register() { # folder
  local copy=$TEMPORARY/register part
  register_reading register_copy "$copy"
  (register_verify "$copy" "$(jq -r '.repository? // "" | strings' "$copy/head.json" 2>/dev/null || true)") >/dev/null ||
    fail 65 "the register $REGISTER is not to be believed, so it is not carried: see above"
  mkdir -p "$1/files/register"
  for part in releases.jsonl head.json head.json.sig; do
    cp "$copy/$part" "$1/files/register/" || fail 73 "$1 cannot be written"
  done
}

# Lays out the tools as one archive: this kit, and those programs of .tools that run where nothing else is. SHA256SUMS lists them.
artifact_tools() { # folder
  local kit=$1/kit tool
  mkdir -p "$kit/.tools/bin" "$1/files/tools"
  (cd "$ROOT" && cp -R --parents airgap scripts policy Cargo.toml "$kit/") || fail 73 "$kit cannot be written"
  # Whom the exporter believes is theirs to say; what is built here is not needed there.
  rm -rf "$kit/policy/trust" "$kit/policy/roots" "$kit/scripts/lib/setup/go"
  for tool in crane oras regctl; do
    [[ ! -f $TOOLS/bin/$tool ]] || cp -L "$TOOLS/bin/$tool" "$kit/.tools/bin/" || fail 73 "$kit cannot be written"
  done
  if [[ -f $TOOLS/cosign/cosign ]]; then
    (cp -L "$TOOLS/cosign/cosign" "$kit/.tools/bin/" && mkdir "$kit/.tools/cosign" && cp "$TOOLS"/cosign/*.json "$kit/.tools/cosign/") || fail 73 "$kit cannot be written"
  fi
  if [[ -d $TOOLS/jq/libraries ]]; then
    cp -RL "$TOOLS/jq" "$kit/.tools/" || fail 73 "$kit cannot be written"
    # shellcheck disable=SC2016  # expanded where it is unpacked
    printf '#!/bin/sh\nhere=$(cd "$(dirname "$0")/../jq" && pwd -P)\nexec "$here/libraries/ld-linux-x86-64.so.2" --argv0 "$0" --library-path "$here/libraries" "$here/jq" "$@"\n' >"$kit/.tools/bin/jq"
    chmod 0755 "$kit/.tools/bin/jq"
  fi
  (cd "$kit" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum >"$1/kit.sums" && mv "$1/kit.sums" SHA256SUMS) || fail 73 "$kit cannot be written"
  artifact_pack "$kit" mini-api-kit "$1/files/tools/tools.tar.gz"
  rm -rf "$kit"
}

# Writes down the files that lie below files/: path, size, SHA-256.
artifact_files() { # folder list
  (cd "$1" && find files -type f -print | LC_ALL=C sort | xargs -r -d '\n' sha256sum) >"$2.sums" || fail 74 "$1 cannot be read"
  (cd "$1" && find files -type f -printf '%p\t%s\n') | LC_ALL=C sort |
    awk 'FILENAME == ARGV[1] { sum[substr($0, 67)] = $1; next } { split($0, part, "\t"); print $0 "\t" sum[part[1]] }' "$2.sums" /dev/stdin >"$2" || fail 74 "$1 cannot be read"
}
