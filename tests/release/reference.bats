# The grammar of image references: the table that every engine is held against, and references that are nearly right.

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$ROOT/scripts/lib/log.sh"
  export REFERENCE_REGISTRIES=$BATS_TEST_TMPDIR/registries.txt
  printf '%s\n' '# ours' registry.intra registry.intra:5000 ghcr.io >"$REFERENCE_REGISTRIES"
  source "$ROOT/scripts/lib/reference.sh"
}

# Prints the table's examples, fields apart by a sign that read does not merge.
examples() { grep -v '^#' "$ROOT/policy/image-reference.tsv" | tr '\t' '\037'; }

@test "every example of the table is accepted or refused as it says, with a reason" {
  local verdict kind reference why got count=0
  while IFS=$'\037' read -r verdict kind reference why; do
    printf -v reference %b "$reference"
    got=accept
    reference_parse "$reference" "$kind" || got=refuse
    [[ $got == "$verdict" ]] || { printf 'wanted %s: %q (%s) %s\n' "$verdict" "$reference" "$why" "$REF_WHY" && false; }
    [[ $got == accept || ($REF_WHY && ! $REF_REPOSITORY$REF_DIGEST$REF_TAG) ]]
    count=$((count + 1))
  done < <(examples)
  ((count >= 100))
}

@test "each example has a verdict, a kind and a reason of its own reference" {
  local verdict kind reference why
  while IFS=$'\037' read -r verdict kind reference why; do
    [[ $verdict =~ ^(accept|refuse)$ && $kind =~ ^(pinned|named|repository)$ && $why ]]
  done < <(examples)
  [[ ! $(examples | cut -d $'\037' -f 2,3 | sort | uniq -d) ]]
}

@test "a reference is taken apart" {
  local digest
  digest=sha256:$(printf x | sha256sum | cut -d ' ' -f 1)
  reference_parse "registry.intra:5000/clairfact/pdp/api-rc:v1.4.2-rc.1@$digest"
  [[ $REF_REGISTRY == registry.intra:5000 ]]
  [[ $REF_REPOSITORY == registry.intra:5000/clairfact/pdp/api-rc ]]
  [[ $REF_CHANNEL == rc && $REF_TAG == v1.4.2-rc.1 && $REF_DIGEST == "$digest" ]]
  reference_parse registry.intra/mini/mini-api named
  [[ $REF_CHANNEL == release && ! $REF_TAG && ! $REF_DIGEST ]]
  local channel
  for channel in dev beta rc; do
    reference_parse "registry.intra/mini/mini-api-$channel" repository
    [[ $REF_CHANNEL == "$channel" ]]
  done
  reference_parse registry.intra/mini/mini-api-arc repository
  [[ $REF_CHANNEL == release ]]
}

@test "a kind of reference that nobody knows accepts nothing" {
  run reference_parse registry.intra/mini/mini-api:v1 pined
  ((status == 1))
  [[ $output == *"no kind of reference is called 'pined'"* ]]
}

@test "a list of registries that is missing is not an empty one" {
  REFERENCE_REGISTRIES=$BATS_TEST_TMPDIR/nowhere
  run reference_parse registry.intra/mini/mini-api named
  ((status == 78))
  [[ $output == *"the list of registries is missing"* ]]
}

@test "a line of the list without a line end counts, a comment does not" {
  printf '# docker.io\nghcr.io' >"$REFERENCE_REGISTRIES"
  reference_parse ghcr.io/acme/web named
  run reference_parse docker.io/acme/web named
  ((status == 65))
  run reference_parse '#/acme/web' named
  ((status == 65))
}

@test "ten thousand references that are right or nearly so are judged as by rules written a second time" {
  # In a shell of its own: bats looks at every single command.
  run bash "$BATS_TEST_DIRNAME/judge.bash" < <(python3 "$BATS_TEST_DIRNAME/near_misses.py" 10000 "${SEED:-1}")
  echo "$output"
  ((status == 0))
  local accepted refused
  read -r accepted refused <<<"$output"
  ((accepted + refused == 10000 && accepted > 1000 && refused > 1000))
}
