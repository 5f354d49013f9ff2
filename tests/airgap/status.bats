# airgap/bundle status, needed, repair, deploy and doctor: what of a bundle is inside, how it comes back, and how it is run.

bats_require_minimum_version 1.5.0

setup_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_start
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_stop
}

setup() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_test
  STORAGE=$BATS_FILE_TMPDIR/closed/plain
}

# Exports images.txt as this test's stream, and imports it.
carry() { # registry folder words…
  local to=$1 folder=$2
  shift 2
  bundle lock --images images.txt >/dev/null 2>&1
  AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key "$KEYS/bundle.key" --stream "$NAME" --without policies --out "$folder" "$@"
  import_bundle "$to" "$folder"
}

# Exports and imports one image: signed, with a report on it whose digest is written to `report`; prints the image's.
carry_one() { # registry
  local image
  image=$(release_image "mini/$NAME" one 1)
  push_referrer "$image" application/vnd.example.report "a report" | sed 's/.*@//' >report
  printf '%s/mini/%s:1 signed release\n' "$PLAIN" "$NAME" >images.txt
  carry "$1" out --without chart >&2
  printf '%s\n' "${image#*@}"
}

status() { inside bundle status --to "$1" --stream "$NAME" "${@:2}"; }         # registry words…
repair() { inside bundle repair --to "$1" --key "$KEYS/import.key" "${@:2}"; } # registry words…

# The file in which the plain registry inside keeps a thing.
kept() { printf '%s/docker/registry/v2/blobs/sha256/%s/%s/data' "$STORAGE" "${1:7:2}" "${1#*:}"; } # digest

# Removes a manifest by digest, and nothing else: no list is kept up to date.
remove() { # registry/path digest
  curl --silent --fail --cacert "$REGISTRY_CA" --user publisher:only-for-tests --request DELETE "https://${1%%/*}/v2/${1#*/}/manifests/$2"
}

# Removes the file in which the plain registry keeps a thing.
lose() { rm "$(kept "$1")"; } # digest

# Alters one byte of it.
rot() { printf 'x' | dd of="$(kept "$1")" bs=1 seek=20 conv=notrunc status=none; } # digest

@test "what was carried is whole, as the host remembers it, by a medium and by a manifest, and nothing in it is strange" {
  local registry
  carry_one "$HERE"
  import_bundle "$NATIVE" out
  for registry in "$HERE" "$NATIVE"; do
    status "$registry" --deep --json >status.json
    jq -e '.whole and .deep and (.images | length == 1 and .[0].verdict == "whole") and .missing == [] and .extra == {names: [], referrers: []}' status.json
    status "$registry" | grep -q 'whole$'
    inside bundle status --to "$registry" out --json | jq -e .whole
    inside bundle status --to "$registry" --manifest outside/exports/"$NAME"/1.json --json | jq -e .whole
    status "$registry" --need | grep -qx "$NAME 1: nothing is needed"
  done
  inside bundle doctor --to "$HERE" --json | jq -e '[.[].state] | unique == ["ok"]'
  # Looking leaves nothing behind.
  refused 66 "nothing of stream nobody was imported" inside bundle status --to "$HERE" --stream nobody
  [[ ! -e $BATS_TEST_TMPDIR/inside/inside/${HERE//:/_}/nobody ]]
  # What this host kept is compared with what was signed.
  sed -i 's/"created"/"Created"/' "$BATS_TEST_TMPDIR/inside/inside/${HERE//:/_}/$NAME/manifests/1.json"
  refused 65 "it was altered" status "$HERE"
}

@test "what is gone is missed, and brought back from the medium, on both kinds of registries" {
  local registry image layer
  image=$(carry_one "$HERE")
  import_bundle "$NATIVE" out
  for registry in "$HERE" "$NATIVE"; do
    remove "$registry/mini/$NAME" "$(<report)"
    run --separate-stderr status "$registry" --json
    [[ $status == 66 ]]
    jq -e --arg digest "$(<report)" '(.whole | not) and (.missing | length == 1 and .[0].digest == $digest and .[0].medium == 1) and .images[0].verdict == "1 missing"' <<<"$output"
    # With the image its name is gone, where names are no copies.
    remove "$registry/mini/$NAME" "$image"
    run --separate-stderr status "$registry"
    [[ $status == 66 && $output == *"2 missing"* ]]
    [[ $registry == "$NATIVE" || $stderr == *"the name 1 is gone"* ]]
    repair "$registry" out
    status "$registry" --deep --json | jq -e '.whole and .extra == {names: [], referrers: []}'
    [[ $(points "$registry/mini/$NAME:1") == "$image" ]]
  done
  # A registry that keeps no lists loses the one that stands in for them, and our countersignature with it.
  remove "$HERE/mini/$NAME" "$(points "$HERE/mini/$NAME:sha256-${image#*:}")"
  run --separate-stderr status "$HERE" --json
  [[ $status == 66 ]]
  jq -e '(.unlisted | length == 2) and (.unsigned | length == 1) and .missing == []' <<<"$output"
  # A medium need have no more than what is needed, here nothing.
  mkdir -p few/medium-1/blobs/sha256
  cp out/medium-1/{manifest.json,manifest.json.sig,SHA256SUMS,SHA256SUMS.sig} few/medium-1/
  refused 77 "with --key KEY" inside bundle repair --to "$HERE" few
  run --separate-stderr status "$HERE" --json
  [[ $status == 66 ]]
  jq -e '.unlisted == [] and (.unsigned | length == 1)' <<<"$output"
  repair "$HERE" out
  # Bytes that are gone from its disk.
  layer=$(oras manifest fetch "$HERE/mini/$NAME:1" | jq -r '.layers[0].digest')
  lose "$layer"
  refused 66 "$layer is missing" status "$HERE"
  # What is on a medium is not believed.
  refused 66 "give medium 1" repair "$HERE" few
  head -c 105 /dev/zero >few/medium-1/blobs/sha256/"${layer#*:}"
  refused 65 "is damaged" repair "$HERE" few
  [[ ! -e $(kept "$layer") ]]
  cp out/medium-1/blobs/sha256/"${layer#*:}" few/medium-1/blobs/sha256/
  repair "$HERE" few
  status "$HERE" --deep
  inside "$ROOT/policy/admit" --purpose import "$HERE/mini/$NAME@$image"
}

@test "rot inside is found by reading all of it, and its files are replaced where the registry keeps them" {
  local image layer
  image=$(carry_one "$HERE")
  layer=$(oras manifest fetch "$HERE/mini/$NAME:1" | jq -r '.layers[0].digest')
  rot "$layer"
  chmod 0640 "$(kept "$layer")"
  status "$HERE"
  run --separate-stderr status "$HERE" --deep --json
  [[ $status == 65 ]]
  jq -e --arg layer "$layer" '.damaged | length == 1 and .[0].digest == $layer and .[0].kind == "blobs"' <<<"$output"
  # A registry takes nothing that it believes it has.
  refused 65 "docker/registry/v2/blobs/sha256/${layer:7:2}/${layer#*:}/data" repair "$HERE" out
  refused 66 "name the folder where the registry keeps its files" repair "$HERE" out --storage out
  repair "$HERE" out --storage "$STORAGE"
  cmp "$(kept "$layer")" out/medium-1/blobs/sha256/"${layer#*:}"
  [[ $(stat -c %a "$(kept "$layer")") == 640 && $(find "$(dirname "$(kept "$layer")")" -type f | wc -l) == 1 ]]
  status "$HERE" --deep
  # A manifest, too, and one that the registry then cannot even read.
  rot "$(<report)"
  run --separate-stderr status "$HERE" --deep
  [[ $status == 65 || $status == 69 ]]
  repair "$HERE" out --storage "$STORAGE"
  status "$HERE" --deep
  # The storage of another registry is left alone.
  rot "$layer"
  cp -R "$STORAGE" other
  cp out/medium-1/blobs/sha256/"${layer#*:}" "other/docker/registry/v2/blobs/sha256/${layer:7:2}/${layer#*:}/data"
  refused 69 "the storage of another registry" repair "$HERE" out --storage other
}

@test "names and referrers of others are told and left alone; what earlier bundles brought is ours" {
  local first second foreign report registry=$HERE
  first=$(carry_one "$registry")
  second=$(release_image "mini/$NAME" two 2)
  printf '%s/mini/%s:2 signed release\n' "$PLAIN" "$NAME" >images.txt
  carry "$registry" second --without chart
  status "$registry" --json | jq -e '.serial == 2 and .whole and .extra == {names: [], referrers: []}'
  foreign=$(push_image "$registry/mini/$NAME" "somebody else's")
  tagged "$foreign" theirs
  report=$(push_referrer "$registry/mini/$NAME@${second#*@}" application/vnd.example.report "their report")
  status "$registry" --json >status.json
  jq -e --arg report "${report#*@}" --arg second "${second#*@}" '.whole and (.extra.names | map(.tag) == ["theirs"]) and (.extra.referrers | map([.digest, .of]) == [[$report, $second]])' status.json
  # A name of ours that somebody moved.
  tagged "$foreign" 2
  refused 65 "2 is ${foreign#*@} and not ${second#*@}" status "$registry"
  refused 65 "are not moved" repair "$registry" second
  [[ $(points "$registry/mini/$NAME:2") == "${foreign#*@}" && $(points "$registry/mini/$NAME:1") == "$first" ]]
  # Nothing but what was imported last is brought back.
  refused 65 "is not what was imported last" repair "$registry" out
}

@test "what is needed is dictated by telephone, and whatever is misheard is refused" {
  local text image layer digest said wrong
  release_image "mini/$NAME-a" one 1 >/dev/null
  release_image "mini/$NAME-b" two 1 >/dev/null
  printf "$PLAIN/mini/$NAME-%s:1 signed release\n" a b >images.txt
  carry "$HERE" out --without chart
  layer=$(oras manifest fetch "$HERE/mini/$NAME-a:1" | jq -r '.layers[0].digest')
  lose "$layer"
  # Of the other image nothing is left.
  for digest in $(jq -r '.images[1] | .manifests[].digest, .blobs[]' out/medium-1/manifest.json | sort -u); do rm -f "$(kept "$digest")"; done
  text=$(status "$HERE" --need) || [[ $? == 66 ]]
  [[ $text == "$NAME 1"$'\n'"image 2 mini/$NAME-b"$'\n'"medium 1: "*"${layer:7:3} ${layer:10:3}"*$'\n'"check "[0-9][0-9] ]]
  # Outside, with what was exported at hand, in whatever way it was written down.
  said=$(tr '\n' '.' <<<"${text^^}")
  needed() { AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle needed "$@"; }
  needed --json "$said" >needed.json
  jq -r '.needed[] | .file' needed.json | sort >told
  jq -r '.images[1] | .manifests[].digest, .blobs[]' out/medium-1/manifest.json | sed 's|sha256:|blobs/sha256/|' | cat - <(echo "blobs/sha256/${layer#*:}") | sort -u >wanted
  cmp wanted told
  needed "$text" | grep -q "^1  *blobs/sha256/${layer#*:} "
  # One sign less, another image, serial or medium, no check, another check.
  refused 65 "begins with" needed "${text/${layer:7:3} ${layer:10:3}/${layer:7:3} ${layer:10:2}$([[ ${layer:12:1} == 0 ]] && echo 1 || echo 0)}"
  refused 65 "is mini/$NAME-a, not mini/$NAME-b" needed "${text/image 2/image 1}"
  refused 65 "no image 3" needed "${text/image 2/image 3}"
  refused 65 "on medium 1, and medium 2 was heard" needed "${text/medium 1/medium 2}"
  refused 66 "is not there" needed "${text/$NAME 1/$NAME 2}"
  refused 65 "the list is of $NAME 2" needed --manifest outside/exports/"$NAME"/1.json "${text/$NAME 1/$NAME 2}"
  refused 65 "'check' and two digits" needed "${text%check*}"
  refused 65 "is no word" needed "$text hullo"
  wrong=$(printf '%02d' $(((10#${text##* } + 1) % 97)))
  refused 65 "does not belong" needed "${text% *} $wrong"
  # A whole image that was not said: every word is right, and the check is not.
  refused 65 "does not belong" needed "${text/image 2 mini\/$NAME-b/}"
}

@test "the check tells any one sign that was misheard and any two neighbours that were swapped" {
  # Beside this shell, in which bats looks at every single command.
  run bash -c '
    set -euo pipefail
    source "$1/airgap/lib/outside/needed.sh"
    words="mini 7 image 4 b3fa20 91c044" tried=0
    right=$(need_check "$words")
    another() { tried=$((tried + 1)) && [[ $(need_check "$1") != "$right" ]] || { echo "as right as $words: $1" && exit 1; }; }
    for ((i = 0; i < ${#words}; i++)); do
      for sign in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do
        other=${words:0:i}$sign${words:i+1}
        [[ $other == "$words" ]] || another "$other"
      done
      other=${words:0:i}${words:i+1:1}${words:i:1}${words:i+2}
      [[ $other == "$words" || ${#other} != "${#words}" ]] || another "$other"
    done
    echo "$tried"' - "$ROOT"
  [[ $status == 0 && $output -gt 400 ]]
}

@test "what was imported is deployed by its digests: chart, Compose and Kustomize, and the one before for the way back" {
  local api database next chart
  api=$(release_image "mini/$NAME-api" one 1)
  database=$(release_image "mini/$NAME-postgres" two 18)
  printf "$PLAIN/mini/$NAME-%s signed release\n" api:1 postgres:18 >images.txt
  carry "$HERE" out --chart "$ROOT/chart/mini-api" as "$NAME/mini-api"
  deploy() { inside bundle deploy --to "$HERE" --stream "$NAME" --env-name "mini/$NAME-api=MINI_API_IMAGE" --env-name "mini/$NAME-postgres:18=POSTGRES_IMAGE" "$@"; }
  refused 66 "nothing to go back to" deploy --previous
  deploy --out first >told
  api=$HERE/mini/$NAME-api@${api#*@} database=$HERE/mini/$NAME-postgres@${database#*@}
  printf '%s\n' "MINI_API_IMAGE=$api" "POSTGRES_IMAGE=$database" | cmp - <(grep -v '^#' first/images.env)
  # The chart that came, rendered with the values that were written. Helm itself speaks no TLS to a registry on localhost.
  chart=$(sed -n "s|^chart oci://\($HERE/$NAME/mini-api\) --version [^ ]*  \(sha256:[0-9a-f]*\)\$|\1@\2|p" told)
  oras manifest fetch "$chart" >chart.json
  oras blob fetch --output mini-api.tgz "${chart%@*}@$(jq -r '.layers[0].digest' chart.json)"
  helm template mini mini-api.tgz --values first/values.yaml --set postgres.enabled=true >rendered.yaml
  [[ $(sed -nE 's/^ *image: "?([^"]*)"?$/\1/p' rendered.yaml | sort -u) == "$(printf '%s\n' "$api" "$database" | sort)" ]]
  # Kustomize pins images that are named by their place, or as outside.
  mkdir app
  printf 'resources: [pod.yaml]\ncomponents: [../first]\n' >app/kustomization.yaml
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: a, image: mini/%s-api}, {name: b, image: "%s/mini/%s-postgres:18"}]\n' "$NAME" "$PLAIN" "$NAME" >app/pod.yaml
  if command -v kubectl >/dev/null; then
    [[ $(kubectl kustomize app | sed -nE 's/^ *(- )?image: //p' | sort) == "$(printf '%s\n' "$api" "$database" | sort)" ]]
  fi
  if [[ -x $TOOLS/docker/cli-plugins/docker-compose ]]; then
    "$TOOLS/docker/cli-plugins/docker-compose" --file "$ROOT/compose.yaml" --env-file first/images.env config --images >images
    [[ $(sort -u images) == "$(printf '%s\n' "$api" "$database" | sort)" ]]
  fi
  refused 73 "is there already" deploy --out first
  # Another serial, and back.
  next=$(release_image "mini/$NAME-api" three 2)
  printf "$PLAIN/mini/$NAME-%s signed release\n" api:2 postgres:18 >images.txt
  carry "$HERE" second --without chart
  deploy --out second-files
  grep -qx "MINI_API_IMAGE=$HERE/mini/$NAME-api@${next#*@}" second-files/images.env
  deploy --previous --out back
  cmp <(grep -v '^#' first/images.env) <(grep -v '^#' back/images.env)
  # What has lost its countersignature is not deployed.
  remove "$HERE/mini/$NAME-api" "$(points "$HERE/mini/$NAME-api:sha256-${next#*@sha256:}")"
  refused 65 "may not run" deploy --out never
  [[ ! -e never ]]
  refused 65 "names no such image" inside bundle deploy --to "$HERE" --stream "$NAME" --env-name mini/nobody=NOBODY_IMAGE --previous
}

@test "the doctor says what an import stands on, and what is to be done" {
  local home=$BATS_TEST_TMPDIR/inside/inside/${HERE//:/_}/$NAME
  doctor() { inside bundle doctor --to "$HERE" --stream "$NAME" --json; }
  # Prints the state of a check and how the whole ended.
  state() { # check
    local code=0
    doctor >doctor.json || code=$?
    printf '%s %s' "$(jq -r --arg check "$1" '[.[] | select(.check == $check).state] | unique | join("+")' doctor.json)" "$code"
  }
  [[ $(state marks) == "ok 0" && $(jq -r '[.[].state] | unique | join(" ")' doctor.json) == ok ]]
  jq -e '.[] | select(.check == "referrers").found | test("a tag stands in")' doctor.json
  # No upload stays open.
  [[ ! $(find "$STORAGE/docker/registry/v2/repositories/airgap/$NAME/_uploads" -name startedat) ]]
  push_image "$NATIVE/airgap/$NAME" "something" >/dev/null
  inside bundle doctor --to "$NATIVE" --stream "$NAME" >doctor.txt
  grep -q "^referrers .*lists what hangs" doctor.txt
  [[ $(DOCKER_CONFIG=/nonexistent state registry) == "bad 69" ]]
  [[ $(REGISTRY_CA=$BATS_FILE_TMPDIR/tls/ca.pem state registry) == "bad 69" ]]
  [[ $(INSIDE_REGISTRIES=$OUTSIDE_REGISTRIES state registry) == "bad 78" ]]
  [[ $(TRUST_PIN=$BATS_TEST_TMPDIR/none state trust) == "bad 78" ]]
  # An import that was begun, in two hours from now.
  TEMPORARY=$BATS_TEST_TMPDIR AIRGAP_STATE=$BATS_TEST_TMPDIR/inside
  source "$ROOT/airgap/lib/inside/mark.sh"
  source "$ROOT/scripts/lib/registry_write.sh"
  trust_open "$BATS_TEST_TMPDIR/keys"
  mark_home "$HERE" "$NAME"
  mark_write mark "$(jq -n --arg stream "$NAME" --arg time "$(date -u -d '+2 hours' +%Y-%m-%dT%H:%M:%SZ)" --arg manifest "sha256:$(printf '%064d' 1)" '{type: "mark/v1", purpose: "receipt",
    audience: "mini", signer: "receipt", $stream, site: "here", serial: 3, $manifest, $time, previous: null}')" "$KEYS/receipt.key"
  # The registry does not know of it yet.
  [[ $(state marks) == "bad 65" ]]
  registry_open "$HERE" "$BATS_TEST_TMPDIR/jobs"
  mark_push "$HERE" "$NAME" mark
  [[ $(state half-imports) == "warning 78" ]]
  jq -e '(.[] | select(.check == "half-imports").found | test("serial 3")) and (.[] | select(.check == "clock").state == "bad") and (.[] | select(.check == "marks").state == "ok")' doctor.json
  # A mark is no receipt: nothing is deployed by it.
  refused 66 "was ever whole" inside bundle deploy --to "$HERE" --stream "$NAME"
  exec {lock}>"$home/lock"
  flock "$lock"
  [[ $(state locks) == "warning 78" ]]
}

@test "words that make no sense are told with the remedy" {
  refused 64 "which stream" inside bundle status --to "$HERE"
  refused 64 "--to HOST" bundle status --stream x
  refused 64 "not both" inside bundle status --to "$HERE" out --manifest x
  refused 64 "read aloud" inside bundle status --to "$HERE" --stream x --need --json
  refused 66 "cannot be read" inside bundle status --to "$HERE" --manifest nowhere
  refused 64 "what was dictated" bundle needed
  refused 65 "comes its serial" bundle needed mini seven
  refused 64 "from which media" inside bundle repair --to "$HERE"
  refused 64 "--env-name wants" inside bundle deploy --to "$HERE" --stream x --env-name x=y
  refused 66 "there is no receipt" inside bundle deploy --to "$HERE" --stream nobody
  refused 64 "one of a registry" bundle doctor --stream x
  refused 64 "does not know" bundle doctor all
}
