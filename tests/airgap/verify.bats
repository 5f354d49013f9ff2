# airgap/bundle verify, inspect and follow: what was carried is hostile until it is proved. The bundles are made by hand (carried.bash).

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  house
  carried_start "$BATS_FILE_TMPDIR"
  carried "$BATS_FILE_TMPDIR/whole"
}

setup() {
  house
  carried_house "$BATS_FILE_TMPDIR"
  cd "$BATS_TEST_TMPDIR"
}

house() {
  source "$BATS_TEST_DIRNAME/carried.bash"
  source "$ROOT/tests/refused.bash"
  PATH=$ROOT/.tools/venv/bin:$ROOT/.tools/bin:$PATH
}

bundle() { "$ROOT/airgap/bundle" "$@"; }

# Makes a copy of the whole bundle in the folder out.
fresh() { rm -rf out && cp -R "$HOUSE/whole" out; }

# Finds a file of the bundle in out by its path and prints its medium and where it is.
place() { find out -path "*/$1" | sed -E 's|^out/medium-([0-9]+)/.*|\1 &|'; } # path

# Prints the digest of something in the first image's list.
listed() { jq -r ".images[0].manifests | map(select($1))[0].digest" "$HOUSE/manifest.json"; } # condition

# Lays out a bundle after an alteration of its manifest, signed by the right key.
altered() { # jq-words…
  carried_edited "$@" >altered.json
  rm -rf out
  carried out altered.json
}

# Lays out a bundle of the images in the file `images`.
of_images() {
  carried_whole images >altered.json
  rm -rf out
  carried out altered.json
}

# Prints the images of the house, the signature of the first replaced or left out.
with_signature() { # digest-of-referrer|-
  local old new=null held='[]'
  old=$(jq -r '.images[0] | .digest as $own | .manifests[] | select(.kind == "referrer" and .of == $own) | .digest' "$HOUSE/manifest.json" |
    while read -r digest; do if grep -q sigstore "$STORE/${digest#sha256:}"; then echo "$digest"; fi; done)
  if [[ $1 != - ]]; then
    new=$(carried_entry "$1" referrer "$(jq -r '.images[0].digest' "$HOUSE/manifest.json")")
    held=$(jq -c '[.config.digest, .layers[].digest]' "$STORE/${1#sha256:}")
  fi
  jq -c --arg old "$old" --argjson new "$new" --argjson held "$held" --argjson gone "$(jq -c '[.layers[].digest]' "$STORE/${old#sha256:}")" '
    if .path == "mini/app" then .manifests |= (map(select(.digest != $old)) + if $new == null then [] else [$new] end) | .blobs |= (. - $gone + $held | unique) else . end' "$HOUSE/images"
}

@test "a whole bundle is told as such, image by image; nothing that was carried is run or altered" {
  fresh
  find out -printf '%p %s %T@ %m\n' | sort >before
  bundle verify out >table
  grep -E "^outside.test/mini/app:1.0.0 .*signed by key release$" table
  grep -E "^outside.test/upstream/db:18 .*vouched by ada@example.org until 2099-01-01$" table
  grep -E "^bundle main 1 is whole: 3 images, 7 files, .* on 2 media, signed by key bundle" table
  # In any order, and by a link; as JSON it is the same.
  ln -s out/medium-2 second
  bundle verify --json second out/medium-1 >told
  jq -e --arg manifest "sha256:$(sha256sum "$HOUSE/manifest.json" | cut -d ' ' -f 1)" '.whole and .missing == [] and .manifest == $manifest and (.images | length) == 3
    and .images[0].believed == {how: "signed", who: "release"}' told
  find out -printf '%p %s %T@ %m\n' | sort >after
  cmp before after
  # By hand, with coreutils and openssl alone.
  for n in 1 2; do
    (cd out/medium-$n && sha256sum --check --strict --quiet SHA256SUMS && openssl dgst -sha256 -verify "$HOUSE/bundle.pub" -signature <(base64 -d SHA256SUMS.sig) SHA256SUMS)
  done
}

@test "a flipped bit in any kind of file is found, and told with its medium" {
  local path n file index layer
  index=$(jq -r '.images[0].digest[7:]' "$HOUSE/manifest.json")
  layer=$(jq -r '.images[1].blobs[0][7:]' "$HOUSE/manifest.json")
  for path in medium-2/manifest.json medium-1/manifest.json.sig medium-2/SHA256SUMS medium-1/SHA256SUMS.sig "blobs/sha256/$index" "blobs/sha256/$layer" \
    files/trust/trust.json files/register/releases.jsonl files/tools/tools.tar.gz; do
    fresh
    read -r n file <<<"$(place "$path")"
    carried_flip "$file"
    refused 65 "medium $n: ${file#out/medium-"$n"/} is damaged: copy it again from the original of medium $n" bundle verify out
    [[ $stderr == *"are not whole: 1 fault"* ]]
  done
  # No other medium has it whole: the signed list knows it.
  fresh
  carried_flip out/medium-1/manifest.json
  refused 65 "medium 1: manifest.json is damaged" bundle verify --partial out/medium-1
  fresh
  carried_flip out/medium-1/manifest.json.sig
  refused 65 "medium 1: manifest.json.sig is damaged" bundle verify --partial out/medium-1
  # Another spelling of the same signature.
  fresh
  printf '\n' >>out/medium-2/SHA256SUMS.sig
  refused 65 "medium 2: SHA256SUMS.sig is damaged" bundle verify out
}

@test "all faults are told together, each with its medium; what was altered decides the exit code" {
  local index report
  fresh
  index=$(jq -r '.images[0].digest[7:]' "$HOUSE/manifest.json")
  read -r _ report <<<"$(place files/register/head.json)"
  rm "$report"
  refused 66 "files/register/head.json is missing: copy it again from the original of medium 2" bundle verify out
  truncate -s 10 "$(place "blobs/sha256/$index" | cut -d ' ' -f 2)"
  echo more >out/medium-1/files/more
  # On which medium the index lies is chance; it stays.
  find out/medium-1/blobs -type f ! -name "$index" -delete
  run --separate-stderr bundle verify out
  [[ $status == 65 && $stderr == *"files/more is nothing the bundle has"* && $stderr == *"blobs/sha256/$index has 10 bytes of "* && $stderr == *"files/register/head.json is missing"* ]]
  [[ $(grep -c '^medium 1: blobs/sha256/.* is missing' <<<"$stderr") == $(jq --arg index "sha256:$index" '[.blobs | to_entries[] | select(.value.medium == 1 and .key != $index)] | length' "$HOUSE/manifest.json") ]]
  [[ ! $output ]]
}

@test "what cannot be read is told apart from what is damaged: 74" {
  local layer n file
  fresh
  layer=$(jq -r '.images[1].blobs[0][7:]' "$HOUSE/manifest.json")
  read -r n file <<<"$(place "blobs/sha256/$layer")"
  # A disk that cannot read one file, as its programs see it.
  mkdir bin
  printf '#!/usr/bin/env bash\nfor file; do if [[ $file == *%s ]]; then echo "$file: Input/output error" >&2; else %s "$file"; fi; done\n' "$layer" "$(type -P sha256sum)" >bin/sha256sum
  chmod +x bin/sha256sum
  PATH=$PWD/bin:$PATH refused 74 "medium $n: blobs/sha256/$layer cannot be read: copy it again from the original of medium $n, to another medium" bundle verify out
  [[ $stderr == *": 1 fault"* ]]
}

@test "a missing medium is named, and is none with --partial, unless what is there is not whole" {
  fresh
  refused 66 "medium 2 of 2 is missing" bundle verify out/medium-1
  bundle verify --partial out/medium-1 >table
  grep -F "bundle main 1 is whole as far as it was given (medium 2 of 2 is missing)" table
  bundle verify --partial --json out/medium-2 | jq -e '.whole == false and .given == [2] and .missing == [1]'
  carried_flip out/medium-2/files/register/releases.jsonl
  refused 65 "medium 2: files/register/releases.jsonl is damaged" bundle verify --partial out/medium-2
  refused 66 "nowhere" bundle verify nowhere
  mkdir empty
  refused 66 "is no medium and holds none" bundle verify empty
  refused 64 "which media" bundle verify
}

@test "media of two bundles, one medium twice, and a medium in the place of another are refused" {
  fresh
  carried_edited '.serial = 2 | .previous = "sha256:" + ("0" * 64)' >second.json
  carried second second.json
  refused 65 "media of different bundles: medium 1 in $PWD/out/medium-1 is of main 1, medium 2 in $PWD/second/medium-2 of main 2" bundle verify out/medium-1 second/medium-2
  # A fork: the same serial, other content, both signed.
  carried_edited '.expires = "2097-01-01T00:00:00Z"' >fork.json
  carried fork fork.json
  refused 65 "have different manifests, each signed" bundle verify out/medium-1 fork/medium-2
  refused 65 "medium 1 is given twice" bundle verify out/medium-1 out/medium-1
  rm -r out/medium-2 && cp -R out/medium-1 out/medium-2
  refused 65 "medium 1 is given twice: $PWD/out/medium-1 and $PWD/out/medium-2" bundle verify out
}

@test "two blobs that were exchanged are both named, and a file on the wrong medium is" {
  local one two
  fresh
  # Two layers of one size, so that only their bytes tell.
  one=$(grep -lrFx "the image for amd64" out/*/blobs) two=$(grep -lrFx "the image for arm64" out/*/blobs)
  mv "$one" swap && mv "$two" "$one" && mv swap "$two"
  run --separate-stderr bundle verify out
  [[ $status == 65 && $stderr == *"${one#out/medium-?/} is damaged"* && $stderr == *"${two#out/medium-?/} is damaged"* && $stderr == *": 2 faults"* ]]
  fresh
  one=$(find out/medium-1/blobs/sha256 -type f | head -n 1)
  cp "$one" out/medium-2/blobs/sha256/
  refused 65 "medium 2: ${one#out/medium-1/} belongs on medium 1, not here" bundle verify out
}

@test "links and what is no file are refused wherever they lie, extra files below blobs too" {
  local name
  for name in manifest.json SHA256SUMS files/trust blobs; do
    fresh
    mv "out/medium-1/$name" aside && ln -s "$PWD/aside" "out/medium-1/$name"
    refused 65 "medium 1: $name is a link" bundle verify out
    rm -r aside
  done
  fresh
  ln -s /etc/passwd out/medium-2/blobs/sha256/passwd
  mkfifo out/medium-1/files/pipe
  printf x >$'out/medium-1/blobs/sha256/\e[31mred\nline'
  run --separate-stderr bundle verify out
  [[ $status == 65 && $stderr == *"medium 2: blobs/sha256/passwd is a link"* && $stderr == *"medium 1: files/pipe is neither a file nor a folder"* && $stderr == *"red?line is nothing the bundle has"* ]]
  [[ $stderr != *$'\e'* ]]
}

@test "only a key of the trust file that is for bundles and valid now is believed, whoever signed the rest" {
  local key
  carried_edited '.signer = "stranger"' >stranger.json
  carried stranger stranger.json stranger
  refused 65 "manifest.json is signed by no key that the trust file has (version 2)" bundle verify stranger
  # Edited, and signed again by the stranger under the name of the right key.
  carried_edited '.images[1].rule.until = "2098-06-01T00:00:00Z"' >edited.json
  carried edited edited.json stranger
  refused 65 "signed by no key" bundle verify edited
  for key in revoked:"key revoked is revoked since" receipt:"key receipt is for receipt, not for bundle" later:"key later is not valid before 2098-01-01" ended:"key ended is not valid since 2021-01-01" release:"key release is for release, not for bundle"; do
    carried_edited --arg key "${key%%:*}" '.signer = $key' >other.json
    rm -rf other && carried other other.json "${key%%:*}"
    refused 65 "the manifest of this bundle is not to be believed: ${key#*:}" bundle verify other
  done
  # The right key, and another's name.
  altered '.signer = "release"'
  refused 65 "it says that key release signed it, and it was bundle" bundle verify out
  # The manifest's key, and another's list.
  fresh
  carried_sign out/medium-2/SHA256SUMS stranger
  refused 65 "medium 2: SHA256SUMS.sig is damaged" bundle verify out
  fresh
  sed -i '2s/^./f/' out/medium-2/SHA256SUMS && carried_sign out/medium-2/SHA256SUMS bundle
  refused 65 "medium 2: SHA256SUMS says something else than manifest.json" bundle verify out
}

@test "a bundle that is expired, for somebody else, of another format or purpose is refused, though signed" {
  altered '.expires = "2026-01-02T00:00:00Z"'
  refused 65 "was good until 2026-01-02T00:00:00Z" bundle verify out
  # No word of the environment makes it good.
  BUNDLE_ALLOW_EXPIRED=1 refused 65 "was good until 2026-01-02T00:00:00Z" bundle verify out
  altered '.audience = "maxi"'
  refused 65 'it is for "maxi", not for "mini"' bundle verify out
  altered '.type = "bundle/v2" | .more = 1'
  refused 65 'it is of type "bundle/v2", and only bundle/v1 is understood here' bundle verify out
  altered '.purpose = "receipt"'
  refused 65 'it serves "receipt"' bundle verify out
}

@test "every field of the manifest has its form, and terminals see nothing else" {
  local filter words zeros
  zeros=$(printf '0%.0s' {1..64})
  while IFS='|' read -r words filter; do
    filter=${filter//ZEROS/$zeros} words=${words//ZEROS/$zeros}
    run jq -r -L "$ROOT/airgap/lib/carried" 'include "manifest"; faults("mini"; 8388608)[]' <(carried_edited "$filter")
    [[ $status == 0 && $output == *"$words"* && $output != *$'\e'* ]] || {
      echo "$filter: $output" >&2
      return 1
    }
  done <<'CASES'
"more" is missing or unknown|.more = 1
"base" is missing or unknown|del(.base)
lower-case words|.stream = "main\n"
lower-case words|.stream = "../main"
serial is not|.serial = 0
serial is not|.serial = 1.5
which manifest it follows|.previous = "sha256:ZEROS"
which manifest it follows|.serial = 2 | .previous = "sha256:ZEROS\n"
not good from one time|.expires = "2025-01-01T00:00:00Z"
number of media is none|.media = 0
base is neither|.base = {"receipts": []}
no sound digest, size or medium|.blobs["sha256:ZERO"] = {"size": 1, "medium": 1}
no sound digest, size or medium|.blobs["sha256:ZEROS\n"] = {"size": 1, "medium": 1}
no sound digest, size or medium|(.blobs[] | select(.medium == 2)).medium = 3
no sound digest, size or medium|.blobs[.images[0].digest].medium = 0
no sound digest, size or medium|.blobs[.images[0].digest].size = -1
no image has the blob sha256:ZEROS|.blobs["sha256:ZEROS"] = {"size": 1, "medium": 1}
the file "files/../../etc/passwd" has no sound path|.files[0].path = "files/../../etc/passwd"
the file "/etc/passwd" has no sound path|.files[0].path = "/etc/passwd"
the file "files//a" has no sound path|.files[0].path = "files//a"
the file "files/.hidden" has no sound path|.files[0].path = "files/.hidden"
has no sound path|.files[0].path = "files/a\n"
has no sound path|.files[0].medium = 0
has no sound path|.files[0].sha256 = "sha256:ZEROS"
not sorted by path, each once|.files |= reverse
not sorted by path, each once|.files += [.files[-1]]
is not ORG/[PROJECT/]SERVICE|.images[1].path = "import/../db"
is not ORG/[PROJECT/]SERVICE|.images[1].path = "db"
is not ORG/[PROJECT/]SERVICE, or that of marks|.images[1].path = "airgap/main"
is none that an image may have|.images[1].tag = "latest"
is none that an image may have|.images[1].tag = "sha256-ZEROS"
is none that an image may have|.images[1].tag = "\u001b[31m"
no name of an image|.images[0].reference = "outside.test/mini/app:1\u001b[31m"
no name of an image|.images[0].reference = "$(id)"
neither image nor chart|.images[1].kind = "tool"
its rule "bundle" is none for a thing of kind "image"|.images[1].rule = {"rule": "bundle"}
its rule "vouched" is none for a thing of kind "chart"|.images[2].rule = .images[1].rule
neither signed for a purpose nor vouched|.images[0].rule.purpose = "bundle"
neither signed for a purpose nor vouched|.images[1].rule.why = "\u001b]0;title\u0007"
neither signed for a purpose nor vouched|.images[1].rule.until = "soon"
two images would lie in import/db:18|.images += [.images[1]]
two images would lie in mini/app:1.0.0|.images[1].path = "mini/app" | .images[1].tag = "1.0.0"
a manifest stands twice|.images[0].manifests += [.images[0].manifests[1]]
has another size there|.images[0].manifests[1].size += 1
is not among the blobs|.images[0].digest as $own | .images[1].manifests[0].digest = "sha256:ZEROS"
belongs to nothing in the list|(.images[0].manifests[] | select(.kind == "referrer")).of = "sha256:ZEROS"
belongs to nothing in the list|.images[0].manifests[1].kind = "other"
a tag it should not have, or none|.images[0].manifests[1].tag = "1"
a tag that does not belong|(.images[0].manifests[] | select(.kind == "tagged")).tag = "1.0.0"
not one manifest that is the image|.images[0].manifests |= map(select(.kind != "image") | .of = .digest)
missing or unknown fields|.images[0].manifests[1].annotations = {}
a blob stands twice|.images[1].blobs += [.images[1].blobs[0]]
a blob of it is not among|.images[1].blobs += ["../x"]
its platforms are no words|.images[0].platforms = ["linux/\u001b"]
CASES
  # The whole command refuses by it, and says it so.
  altered '.files[0].path = "files/../../etc/passwd"' 2>/dev/null || true
  carried_sign out/medium-1/manifest.json bundle && carried_sums out/medium-1 bundle
  refused 65 'the file "files/../../etc/passwd" has no sound path' bundle verify out/medium-1
}

@test "what manifests say is what the list says: children, blobs, subjects, sizes, both ways" {
  local amd report db digest
  amd=$(listed '.kind == "child"') report=$(jq -r '.images[0].manifests | map(select(.kind == "referrer")) | .[2].digest' "$HOUSE/manifest.json") db=$(jq -r '.images[1].digest' "$HOUSE/manifest.json")
  # A child is missing, with all that hangs on it.
  altered --arg digest "$amd" '.images[0].manifests |= map(select(.digest != $digest and .of != $digest)) | .images[0].platforms as $p
    | ([.images[] | .manifests[].digest, .blobs[]]) as $held | .blobs |= with_entries(select(.key | IN($held[])))'
  refused 65 "has \"$amd\", which is not in its list" bundle verify out
  # What hangs on one thing is said to hang on another.
  altered --arg digest "$report" --arg amd "$amd" '(.images[0].manifests[] | select(.digest == $digest)).of = $amd'
  refused 65 "$report does not hang on $amd, as the list says" bundle verify out
  # A blob is left out of a list, or added to it.
  altered '.images[0].blobs as $spare | .images[1].blobs = $spare | ([.images[] | .manifests[].digest, .blobs[]]) as $held | .blobs |= with_entries(select(.key | IN($held[])))'
  refused 65 "image outside.test/upstream/db:18: $db needs " bundle verify out
  [[ $stderr == *"no manifest has the blob "* ]]
  # Other types and processors than there are.
  altered '.images[0].platforms = ["linux/riscv64"] | .images[1].mediaType = "application/vnd.example" | .images[1].manifests[0].mediaType = "application/vnd.example"'
  refused 65 "its processors are not those in the list" bundle verify out
  [[ $stderr == *'not application/vnd.example'* ]]
  # No manifest at all.
  digest=$(printf 'no manifest' | carried_blob)
  jq -c --arg digest "$digest" 'if .path == "import/db" then .digest = $digest | .manifests[0] += {digest: $digest, size: 11} | .blobs = [] else . end' "$HOUSE/images" >images
  of_images
  refused 65 "image outside.test/upstream/db:18: $digest is no manifest" bundle verify out
  # Another image of the same repository knows of something that hangs on this one.
  { cat "$HOUSE/images" && jq -c --arg digest "$report" 'select(.path == "mini/app") | .tag = "2" | .manifests |= map(select(.digest != $digest and .of != $digest))' "$HOUSE/images"; } >images
  of_images
  refused 65 "$report hangs on it and is not in its list" bundle verify out
}

@test "an index that says another size of its child is refused" {
  local amd index image
  amd=$(carried_simple "a child")
  index=$(carried_index "$amd" | { read -r digest && jq -cj '.manifests[0].size += 1' "$STORE/${digest#sha256:}"; } | carried_blob)
  image=$(carried_image outside.test/upstream/odd:1 import/odd 1 image '{"rule": "vouched", "who": "ada", "until": "2099-01-01T00:00:00Z", "why": "a test"}' "$(carried_entry "$index" image)" "$(carried_entry "$amd" child "$index")")
  { cat "$HOUSE/images" && echo "$image"; } >images
  of_images
  refused 65 "the index $index says another size or type of $amd" bundle verify out
}

@test "an image without a good signature, or whose word has run out, is refused" {
  with_signature - >images && of_images
  refused 65 "it is not signed" bundle verify out
  with_signature "$(<"$HOUSE/only-attested")" >images && of_images
  refused 65 "it is not signed; what is attested of it is no signature" bundle verify out
  with_signature "$(<"$HOUSE/by-stranger")" >images && of_images
  refused 65 "it is signed by a key that the trust file does not have" bundle verify out
  with_signature "$(<"$HOUSE/elsewhere")" >images && of_images
  refused 65 "key release signed it for another repository or purpose: release in outside.test/mini/other" bundle verify out
  altered '.images[1].rule.until = "2026-02-01T00:00:00Z"'
  refused 65 "the word of ada@example.org for it ended on 2026-02-01" bundle verify out
  # Signed is what it must be, not vouched for: who leaves the rule alone cannot leave the signature out.
  altered '.images[1].rule = {"rule": "signed", "purpose": "release"}'
  refused 65 "image outside.test/upstream/db@sha256:" bundle verify out
}

@test "what is not here is not judged: a signature on another medium, an image that is inside already" {
  local n
  # The medium with the image and without its signature.
  carried_edited '.images[0] as $image | (.blobs[]).medium = 2 | (.blobs[$image.digest]).medium = 1' >apart.json
  carried apart apart.json
  bundle verify --partial --json apart/medium-1 | jq -e '.images[0].believed.how == "unknown"'
  # A delta that does not carry the image.
  carried_edited '.images[0].digest as $own | .base = {"manifest": ("sha256:" + ("1" * 64))} | .blobs[$own].medium = 0' >delta.json
  carried delta delta.json
  bundle verify --json delta | jq -e '.whole and .images[0].believed.how == "inside"'
  # And one that carries it without its signature, which is inside.
  carried_edited '.images[0] as $image | .base = {"manifest": ("sha256:" + ("1" * 64))} | reduce ($image.manifests[] | select(.kind == "referrer").digest) as $one (.; .blobs[$one].medium = 0)' >delta.json
  rm -rf delta && carried delta delta.json
  bundle verify --json delta | jq -e '.images[0].believed.how == "inside"'
}

@test "no archive leads outside: paths with .., from the root, links, in a chart and among the tools" {
  local case archive
  mkdir -p work/files/tools tree/mini-api && echo x >tree/mini-api/file && ln -s /etc/passwd tree/mini-api/link && ln tree/mini-api/file tree/mini-api/hard && mkfifo tree/mini-api/pipe
  cp -R "$HOUSE/files/." work/files/
  tar -C tree -czf dots.tgz -P --transform 's|^|mini-api/../../|' mini-api/file
  tar -C tree -czf root.tgz -P --transform 's|^|/etc/|' mini-api/file
  tar -C tree -czf link.tgz mini-api/link
  tar -C tree -czf hard.tgz mini-api/file mini-api/hard
  tar -C tree -czf pipe.tgz mini-api/pipe
  head -c 60 dots.tgz >cut.tgz
  for case in dots:"it has a path with .." root:"it has an absolute path" link:"it has a link" hard:"it has a link" pipe:"it has something that is neither a file nor a folder" cut:"it is no archive"; do
    archive=${case%%:*}.tgz
    { jq -c 'select(.kind != "chart")' "$HOUSE/images" && carried_chart "$archive"; } >images
    of_images
    refused 65 "blobs/sha256/$(sha256sum "$archive" | cut -d ' ' -f 1): ${case#*:}" bundle verify out
  done
  sed -i '$ s/"chart"/"policies"/' images
  of_images
  refused 65 "it is no archive" bundle verify out
  cp dots.tgz work/files/tools/tools.tar.gz
  export CARRIED_FILES=$PWD/work
  carried_whole >altered.json
  rm -rf out && carried out altered.json
  refused 65 "medium 2: files/tools/tools.tar.gz: it has a path with .." bundle verify out
}

@test "the number of programs does not grow with the number of images and blobs" {
  local n tool
  mkdir bin
  for tool in sha256sum jq awk openssl cp; do
    printf '#!/usr/bin/env bash\necho %s >>"%s/started"\nexec %s "$@"\n' "$tool" "$PWD" "$(type -P "$tool")" >"bin/$tool"
    chmod +x "bin/$tool"
  done
  for n in 5 60; do
    python3 "$BATS_TEST_DIRNAME/many.py" "many-$n/medium-1" "$n"
    carried_sign "many-$n/medium-1/manifest.json" bundle && carried_sums "many-$n/medium-1" bundle
    rm -f started
    # jq is one of the project's own; the others are found first.
    PATH=$PWD/bin:$PATH bundle verify "many-$n" | grep -F "is whole: $n images"
    sort started | uniq -c >"started-$n"
  done
  # Six hundred blobs go to a few programs, two hundred to each.
  awk '{ count[$2] = count[$2] == "" ? $1 : $1 - count[$2] } END { for (tool in count) if (count[tool] > 4) { print tool, count[tool]; bad = 1 } exit bad }' started-5 started-60
}

@test "inspect shows what is in it as a tree, and believes the same keys" {
  fresh
  bundle inspect out >tree
  grep -F "bundle main 1" tree
  grep -F "for mini, signed by key bundle" tree
  grep -E "├─ outside.test/mini/app:1.0.0  mini/app:1.0.0  image  [0-9.]+ kB" tree
  grep -F "for linux/amd64, linux/arm64" tree
  grep -F "vouched by ada@example.org until 2099-01-01: reviewed by hand" tree
  [[ $(grep -cE '(├─|└─) (child|referrer|tagged sha256-)' tree) == 7 ]]
  grep -F "files/trust/trust.json" tree
  bundle inspect --json out/medium-2 | cmp - "$HOUSE/manifest.json"
  carried_edited '.stream = "other"' >stranger.json
  carried stranger stranger.json stranger
  refused 65 "signed by no key" bundle inspect stranger
}

@test "follow takes over the trust file that is carried, if the roots before it signed it, and needs nothing else of the medium" {
  cp -R "$HOUSE/trust" here && cp "$HOUSE/pin" pin
  export TRUST=$PWD/newer TRUST_PIN=$PWD/newer.pin
  cp -R "$HOUSE/trust" newer && cp "$HOUSE/pin" newer.pin
  "$ROOT/scripts/trust" revoke release --reason "it was stolen"
  "$ROOT/scripts/trust" sign "$HOUSE/root.key"
  mkdir -p medium/files && cp -R newer medium/files/trust
  export TRUST=$PWD/here TRUST_PIN=$PWD/pin
  run --separate-stderr bundle follow medium --check
  [[ $status == 0 && $output == *"+ release "*revoked* && $output == *"- release "*valid* && $stderr == *"version 3 would be taken over"* ]]
  cmp here/trust.json "$HOUSE/trust/trust.json"
  cmp pin "$HOUSE/pin"
  bundle follow medium
  cmp here/trust.json newer/trust.json
  cmp here/history/2.json "$HOUSE/trust/trust.json"
  [[ $(cut -d ' ' -f 1 pin) == 3 ]]
  "$ROOT/scripts/trust" verify
  # From then on what was revoked is.
  refused 65 "key release is revoked" bundle verify "$HOUSE/whole"
  run --separate-stderr bundle follow medium
  [[ $status == 0 && $stderr == *"believed here already"* ]]
  # Never back.
  refused 65 "older than version 3" bundle follow "$HOUSE/whole"
  # The whole bundle may be another's: only the roots count.
  cp -R "$HOUSE/trust/." here/ && rm here/history/2.json && cp "$HOUSE/pin" pin
  jq -c '.keys[0].until = "2097-01-01T00:00:00Z"' newer/trust.json >medium/files/trust/trust.json
  refused 65 "has 0 of 1 signatures" bundle follow medium
  cmp here/trust.json "$HOUSE/trust/trust.json"
  rm medium/files/trust/trust.json && ln -s "$PWD/newer/trust.json" medium/files/trust/trust.json
  refused 65 "is no file: a medium has no links" bundle follow medium
  rm -r medium/files/trust && ln -s "$PWD/newer" medium/files/trust
  refused 65 "has a link" bundle follow medium
  refused 66 "no trust file is carried" bundle follow here
}

@test "follow leaves a draft alone that waits for signatures here" {
  cp -R "$HOUSE/trust" here && cp "$HOUSE/pin" pin
  cp -R "$HOUSE/trust" newer && cp "$HOUSE/pin" newer.pin
  TRUST=$PWD/newer TRUST_PIN=$PWD/newer.pin "$ROOT/scripts/trust" revoke release --reason "it was stolen"
  TRUST=$PWD/newer TRUST_PIN=$PWD/newer.pin "$ROOT/scripts/trust" sign "$HOUSE/root.key"
  export TRUST=$PWD/here TRUST_PIN=$PWD/pin
  "$ROOT/scripts/trust" revoke bundle --reason "it was lost"
  mkdir -p medium/files && cp -R newer medium/files/trust
  refused 65 "a draft waits for signatures in $PWD/here" bundle follow medium
  "$ROOT/scripts/trust" drop
  bundle follow medium
}

@test "what export wrote is whole, and a bit of it that is flipped is found" {
  source "$BATS_TEST_DIRNAME/outside.bash"
  outside_house
  mkdir outside
  outside_start "$BATS_TEST_TMPDIR/outside"
  export AIRGAP_STATE=$BATS_TEST_TMPDIR/state
  local image file
  "$ROOT/scripts/trust" key bundle
  "$ROOT/scripts/trust" add bundle.pub --id bundle --purpose bundle
  "$ROOT/scripts/trust" sign root.key
  image=$(push_index "$PLAIN/mini/everything" "an index")
  tagged "$image" 1.0.0
  image_sign "$image" "$PWD/release.key" release
  push_referrer "$(push_referrer "$image" application/vnd.example.report "a report")" application/vnd.example.comment "a comment"
  push_old "$image" sig
  tagged "$(push_image "$LISTING/mini/vouched" "a vouched one")" 1
  printf '%s\n' "$PLAIN/mini/everything:1.0.0 signed release" "$LISTING/mini/vouched:1 vouched ada@example.org until 2099-01-01 reviewed" >images.txt
  bundle lock --images images.txt
  bundle export --lock images.lock --key bundle.key --stream weekly --out out
  bundle verify out >table
  grep -E "^$PLAIN/mini/everything:1.0.0 .*signed by key release$" table
  grep -E "^bundle weekly 1 is whole: " table
  file=$(find out/medium-1/files -type f | sort | head -n 1)
  carried_flip "$file"
  refused 65 "medium 1: ${file#out/medium-1/} is damaged" bundle verify out
}

teardown() {
  if [[ -e $BATS_TEST_TMPDIR/outside/plain.pid ]]; then
    source "$BATS_TEST_DIRNAME/outside.bash"
    outside_house
    stop_registries "$BATS_TEST_TMPDIR/outside"
  fi
}
