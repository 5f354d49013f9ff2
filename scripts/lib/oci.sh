# shellcheck shell=bash
# An OCI image layout, written without an engine: the same input gives the same digest on every machine.

oci_types=application/vnd.oci.image

# Moves a file into the layout's blobs and prints its descriptor.
oci_blob() { # layout file media-type
  local digest size
  digest=$(sha256sum "$2" | cut -d ' ' -f 1)
  size=$(stat -c %s "$2")
  mkdir -p "$1/blobs/sha256"
  mv "$2" "$1/blobs/sha256/$digest"
  chmod 0644 "$1/blobs/sha256/$digest"
  jq -n --arg type "$3" --arg digest "sha256:$digest" --argjson size "$size" '{mediaType: $type, digest: $digest, size: $size}'
}

# Writes JSON in one spelling: sorted keys, no spaces, no line end.
oci_json() { jq -cjS .; }

# Writes a layer with one file in it and prints its descriptor, with the digest of the unpacked layer beside it.
oci_layer() { # layout file name-in-image epoch
  local work=$1/layer.new unpacked
  mkdir "$work"
  install -m 0555 "$2" "$work/$3"
  LC_ALL=C tar --create --file "$work.tar" --directory "$work" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner \
    --mtime="@$4" "$3"
  unpacked=sha256:$(sha256sum "$work.tar" | cut -d ' ' -f 1)
  gzip -n -9 <"$work.tar" >"$work.gz"
  rm -rf "$work" "$work.tar"
  oci_blob "$1" "$work.gz" "$oci_types.layer.v1.tar+gzip" | jq --arg unpacked "$unpacked" '{layer: ., unpacked: $unpacked}'
}

# Writes the image of one architecture and prints its descriptor.
oci_image() { # layout binary architecture config-json epoch
  local layout=$1 architecture=$3 layer created image
  created=$(date -u -d "@$5" +%Y-%m-%dT%H:%M:%SZ)
  layer=$(oci_layer "$layout" "$2" mini-api "$5")
  jq -n --argjson config "$4" --argjson layer "$layer" --arg architecture "$architecture" --arg created "$created" '{
    architecture: $architecture, os: "linux", created: $created, config: $config,
    rootfs: {type: "layers", diff_ids: [$layer.unpacked]},
    history: [{created: $created, created_by: "COPY mini-api /mini-api"}]
  }' | oci_json >"$layout/config.new"
  image=$(oci_blob "$layout" "$layout/config.new" "$oci_types.config.v1+json")
  jq -n --argjson config "$image" --argjson layer "$layer" --arg type "$oci_types.manifest.v1+json" '{
    schemaVersion: 2, mediaType: $type, config: $config, layers: [$layer.layer]
  }' | oci_json >"$layout/manifest.new"
  oci_blob "$layout" "$layout/manifest.new" "$oci_types.manifest.v1+json" |
    jq --arg architecture "$architecture" '. + {platform: {architecture: $architecture, os: "linux"}}'
}

# Writes an index over several images and prints its descriptor.
oci_index() { # layout descriptor…
  local layout=$1
  shift
  printf '%s\n' "$@" | jq -s --arg type "$oci_types.index.v1+json" '{schemaVersion: 2, mediaType: $type, manifests: .}' |
    oci_json >"$layout/index.new"
  oci_blob "$layout" "$layout/index.new" "$oci_types.index.v1+json"
}

# Finishes a layout: its index.json names one descriptor, under a reference.
oci_finish() { # layout descriptor reference
  printf '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
  jq -n --argjson descriptor "$2" --arg name "$3" --arg type "$oci_types.index.v1+json" '{
    schemaVersion: 2, mediaType: $type,
    manifests: [$descriptor + {annotations: {"org.opencontainers.image.ref.name": $name}}]
  }' | oci_json >"$1/index.json"
}

# Packs a layout of one image for `docker load`, which on engines before 25 wants a list of its own beside the layout.
oci_archive() { # layout file name:tag
  local manifest work
  work=$(mktemp -d "$2.XXXXXX")
  cp -a "$1/." "$work/"
  manifest=$work/blobs/sha256/$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$1/index.json")
  jq --arg name "$3" 'def path: .digest | "blobs/" + sub(":"; "/");
    [{Config: (.config | path), RepoTags: [$name], Layers: [.layers[] | path]}]' "$manifest" | oci_json >"$work/manifest.json"
  jq --arg name "$3" '.manifests[0].annotations["io.containerd.image.name"] = $name' "$1/index.json" | oci_json >"$work/index.new"
  mv "$work/index.new" "$work/index.json"
  LC_ALL=C tar --create --file "$work.tar" --directory "$work" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner \
    --mode=go=rX,u+rw --mtime=@0 .
  rm -rf "$work"
  mv "$work.tar" "$2"
}
