# The gateway and the roles: what each may do to which repository, and what nobody may.

bats_require_minimum_version 1.5.0

setup_file() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/inside.bash"
  inside_start "$BATS_FILE_TMPDIR"
  export ROOT PLACE HOME_REGISTRY HOME_MIRROR BEHIND_REGISTRY BEHIND_MIRROR
  cd "$BATS_FILE_TMPDIR"
  for user in near-reader:reader near-publisher:publisher; do "$ROOT/airgap/bootstrap" user "${user%:*}" "${user#*:}" near import/far --out "$PLACE"; done
  reload
  export SSL_CERT_FILE=$PLACE/ca/ca.pem
  DOCKER_CONFIG=$(inside_login promoter)
  export DOCKER_CONFIG
  for repository in mini/app mini/app-rc near/app near/app-rc secret/app; do
    BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR push_image "$HOME_REGISTRY/$repository" "of $repository" >image
    echo "${repository} $(sed 's/.*@//' image)" >>digests
    oras tag "$(<image)" 1.0.0
  done
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/inside.bash"
  inside_stop "$BATS_FILE_TMPDIR"
}

setup() {
  source "$BATS_TEST_DIRNAME/inside.bash"
  SSL_CERT_FILE=$PLACE/ca/ca.pem
  cd "$BATS_TEST_TMPDIR"
}

# Lets the gateway read its files anew.
reload() {
  kill -USR2 "$(<"$BATS_FILE_TMPDIR/gateway.pid")"
  wait_until 20 loaded
}

# True when the worker that answers knows the user who was added last.
loaded() { [[ $(inside_ask near-publisher GET /v2/) == 200 ]]; }

digest() { awk -v repository="$1" '$1 == repository { print $2 }' "$BATS_FILE_TMPDIR/digests"; } # repository

# Prints the digest of a blob of a repository's image.
blob() { inside_ask promoter GET "/v2/$1/manifests/$(digest "$1")" --header 'Accept: application/vnd.oci.image.manifest.v1+json' >/dev/null && jq -r '.layers[0].digest' answer; } # repository

uuid=00000000-0000-4000-8000-000000000000
nothing=sha256:$(printf '0%.0s' {1..64})

@test "each role may do what the table says, and nothing else" {
  local method path role may all
  while read -r method path may; do
    path=${path//DIGEST/$nothing} path=${path//UUID/$uuid}
    read -ra all <<<"$may"
    for role in reader publisher promoter janitor; do
      echo "$role $method $path" >&3
      echo "${all[0]}" >&4
      all=("${all[@]:1}")
    done
  done 3>questions.txt 4>expected <<'TABLE'
GET    /v2/                                          yes yes yes yes
GET    /v2/mini/app/tags/list                        yes yes yes yes
GET    /v2/mini/app/manifests/1.0.0                  yes yes yes yes
HEAD   /v2/mini/app/manifests/1.0.0                  yes yes yes yes
GET    /v2/mini/app/manifests/DIGEST                 yes yes yes yes
GET    /v2/mini/app/blobs/DIGEST                     yes yes yes yes
GET    /v2/mini/app/referrers/DIGEST?artifactType=a  yes yes yes yes
GET    /v2/mini/project/app-rc/tags/list?n=1&last=0  yes yes yes yes
GET    /v2/_catalog?n=10                             no  no  yes yes
POST   /v2/mini/app-rc/blobs/uploads/                no  yes yes no
POST   /v2/mini/app-beta/blobs/uploads/              no  yes yes no
POST   /v2/mini/project/app-dev/blobs/uploads/       no  yes yes no
POST   /v2/mini/app/blobs/uploads/                   no  no  yes no
POST   /v2/mini/project/app/blobs/uploads/           no  no  yes no
POST   /v2/import/app/blobs/uploads/                 no  no  yes no
POST   /v2/charts/app/blobs/uploads/                 no  no  yes no
POST   /v2/airgap/stream/blobs/uploads/              no  no  yes no
POST   /v2/mini/apprc/blobs/uploads/                 no  no  yes no
PATCH  /v2/mini/app-rc/blobs/uploads/UUID            no  yes yes no
PUT    /v2/mini/app-rc/blobs/uploads/UUID?digest=DIGEST no yes yes no
GET    /v2/mini/app-rc/blobs/uploads/UUID            no  yes yes no
DELETE /v2/mini/app-rc/blobs/uploads/UUID            no  yes yes no
PATCH  /v2/mini/app/blobs/uploads/UUID               no  no  yes no
PUT    /v2/mini/app/blobs/uploads/UUID?digest=DIGEST no  no  yes no
GET    /v2/mini/app/blobs/uploads/UUID               no  no  yes no
DELETE /v2/mini/app/blobs/uploads/UUID               no  no  yes no
PUT    /v2/mini/app-rc/manifests/1.0.0               no  yes yes no
PUT    /v2/mini/app-rc/manifests/DIGEST              no  yes yes no
PUT    /v2/mini/app/manifests/1.0.0                  no  no  yes no
PUT    /v2/mini/app/manifests/DIGEST                 no  no  yes no
DELETE /v2/mini/app/manifests/DIGEST                 no  no  no  yes
DELETE /v2/mini/app-rc/manifests/DIGEST              no  no  no  yes
DELETE /v2/mini/app/blobs/DIGEST                     no  no  no  yes
DELETE /v2/mini/app/manifests/1.0.0                  no  no  no  no
TABLE
  inside_ask_all <questions.txt >answers
  # A refusal is 403; whatever else came is what the registry said of a thing that is not there, or of a body that is none.
  paste -d ' ' expected answers | awk '($1 == "no") != ($2 == 403) || $2 !~ /^(200|202|204|400|403|404|416)$/ { print; faults++ } END { exit faults > 0 || NR < 100 }'
}

@test "without a name, with a wrong password or an unknown name nothing is answered, and the client is told to log in" {
  local path
  for path in /v2/ /v2/_catalog /v2/mini/app/tags/list /v2/mini/app/manifests/1.0.0 /elsewhere; do
    inside_is 401 - GET "$path"
    grep -qi '^www-authenticate: basic' headers
    jq -e '.errors[0].code == "UNAUTHORIZED"' answer
  done
  inside_is 401 - DELETE "/v2/mini/app/manifests/$(digest mini/app)"
  inside_is 401 - GET /v2/ --config <(echo 'user = "reader:wrong"')
  inside_is 401 - GET /v2/ --config <(echo 'user = "nobody:wrong"')
  inside_is 401 - GET /v2/ --config <(echo 'user = "machine:"')
  inside_is 401 - GET /v2/ --config <(echo 'user = "machine:-"')
  inside_is 401 - GET /v2/ --header 'Authorization: Bearer aaaa'
  inside_is 200 reader GET /v2/
}

# Prints the processor time that the worker took so far, in hundredths of a second.
worker_time() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$(pgrep --newest --parent "$(<"$BATS_FILE_TMPDIR/gateway.pid")")/stat"; }

# Asks a thousand times over one connection what the gateway answers by itself, and prints the time that took the worker.
thousand() { # user
  local before
  printf 'user = "%s:%s"\n' "$1" "$(<"$PLACE/passwords/$1")" >asking
  before=$(worker_time)
  curl --silent --max-time 60 --cacert "$PLACE/ca/ca.pem" --config asking --output answer --write-out '%{http_code}\n' "https://$HOME_REGISTRY/elsewhere?[1-1000]" >statuses
  echo $(($(worker_time) - before))
  [[ $(sort statuses | uniq -c) == *" 1000 403" ]]
}

@test "a password of ours costs the gateway next to nothing, one that somebody chose is hashed slowly, and neither opens what the other does" {
  local ours theirs hash
  printf 'chosen by ada' >"$PLACE/passwords/ada"
  hash=$(openssl passwd -6 -stdin <"$PLACE/passwords/ada")
  cp "$PLACE/users" users
  printf 'ada reader %s\n' "$hash" >>"$PLACE/users"
  "$ROOT/airgap/bootstrap" user grace reader --out "$PLACE"
  grep -qE '^grace reader sha256:[0-9a-f]{64}$' "$PLACE/users"
  reload
  wait_until 20 inside_is 200 grace GET /v2/
  inside_is 200 ada GET /v2/
  inside_is 503 ada GET mirror:/v2/
  inside_is 503 grace GET mirror:/v2/
  # A hash is no password, whosever it is; and a password is its owner's.
  inside_is 401 - GET /v2/ --config <(printf 'user = "ada:%s"' "$hash")
  inside_is 401 - GET /v2/ --config <(awk '$1 == "grace" { sub("sha256:", "", $3); printf "user = \"grace:%s\"", $3 }' "$PLACE/users")
  inside_is 401 - GET /v2/ --config <(awk '$1 == "grace" { printf "user = \"grace:%s\"", $3 }' "$PLACE/users")
  inside_is 401 - GET /v2/ --config <(printf 'user = "reader:%s"' "$(<"$PLACE/passwords/grace")")
  inside_is 401 - GET /v2/ --config <(printf 'user = "grace:%s"' "$(<"$PLACE/passwords/ada")")
  inside_is 401 - GET /v2/ --config <(printf 'user = "%s:"' grace)
  inside_is 401 - GET mirror:/v2/ --config <(printf 'user = "reader:%s"' "$(<"$PLACE/passwords/grace")")
  ours=$(thousand grace)
  theirs=$(thousand ada)
  echo "a thousand requests: ${ours}0 ms with a password of ours, ${theirs}0 ms with a chosen one"
  ((ours * 4 < theirs))
  # Cheaper than crypt makes it by itself is refused.
  hash=$(perl -e 'print crypt("chosen by ada", "\$5\$rounds=1000\$salt\$")')
  sed -i '/^ada /d' "$PLACE/users"
  printf 'ada reader %s\n' "$hash" >>"$PLACE/users"
  refused 65 "too cheap for a password that somebody chose" "$ROOT/airgap/bootstrap" user grace gone --out "$PLACE"
  cp users "$PLACE/users"
  rm -f "$PLACE/passwords"/{ada,grace}
  "$ROOT/airgap/bootstrap" user ada reader --out "$PLACE"
  "$ROOT/airgap/bootstrap" user ada gone --out "$PLACE"
  reload
}

@test "a method, a path or a spelling that is not known is refused, whoever asks" {
  local method path role
  for role in reader publisher promoter janitor; do
    for method in OPTIONS TRACE POST PUT PATCH DELETE PURGE get MOVE; do echo "$role $method /v2/"; done
    for method in OPTIONS PUT PATCH LOCK; do echo "$role $method /v2/mini/app/tags/list"; done
    for path in / /v1/ /v2 //v2/ /v2// /v3/ /debug/health /metrics /v2/_catalog/ /v2/mini /v2/app/tags/list /v2/a/b/c/d/tags/list \
      /v2/mini/app/manifests/ /v2/mini/app/tags/ /v2/mini/app/blobs/1.0.0 /v2/mini/app/blobs/sha256:abc /v2/mini/app/manifests/sha512:ab \
      /v2/mini//app/manifests/1.0.0 /v2/mini/./app/manifests/1.0.0 /v2/mini/x/../app/manifests/1.0.0 /v2/mini%2fapp/manifests/1.0.0 \
      /v2/mini/app/manifests/%31.0.0 /v2/mini/%2e%2e/app/manifests/1.0.0 '/v2/mini/app/manifests/1.0.0;x' /v2/MINI/app/tags/list \
      /v2/mini/ap_p/tags/list /v2/mini/-app/tags/list /v2/mini/app-/tags/list /v2/mini-rc/app/tags/list /v2/mini/app-dev-rc/tags/list \
      /v2/mini/manifests/tags/list /v2/mini/app/blobs/tags/list /v2/tags/app/tags/list '/v2/mini/app/tags/list?n=1;last=a' '/v2/_catalog?n=%0a"'; do
      echo "$role GET $path"
    done
  done >questions.txt
  # And where writing is a right, no spelling makes a release of a channel.
  for path in /v2/mini/app/../app-rc/blobs/uploads/ /v2/mini/app%2fx-rc/blobs/uploads/ /v2/mini/app//x-rc/blobs/uploads/ /v2/mini/app/blobs/uploads/x-rc \
    /v2/mini/app/blobs/uploads/x-rc/manifests/1 /v2/mini/app/manifests/x-rc/blobs/uploads/ /v2/mini/app-rc/../app/manifests/1 /v2/mini/app-RC/blobs/uploads/; do
    for method in POST PUT; do echo "publisher $method $path"; done
  done >>questions.txt
  inside_ask_all <questions.txt >answers
  [[ $(wc -l <answers) == $(wc -l <questions.txt) ]]
  run grep -v '^403 ' answers
  [[ ! $output ]]
}

@test "a publisher pushes a candidate with an ordinary tool, and neither it nor a janitor pushes a release" {
  local image role
  DOCKER_CONFIG=$(inside_login publisher)
  image=$(push_image "$HOME_REGISTRY/mini/tool-rc" "a candidate")
  [[ $image == "$HOME_REGISTRY/mini/tool-rc@sha256:"* ]]
  for role in publisher janitor reader; do
    DOCKER_CONFIG=$(inside_login "$role")
    printf 'no release' >file
    run oras push "$HOME_REGISTRY/mini/tool:1.0.0" file:text/plain
    [[ $status != 0 && $output == *denied* ]]
  done
  # The promoter puts the same digest where releases are, and the tool mounts its blobs.
  DOCKER_CONFIG=$(inside_login promoter)
  oras cp "$image" "${image/-rc@/@}"
  DOCKER_CONFIG=$(inside_login reader)
  command oras cp --from-plain-http=false --to-oci-layout "${image/-rc@/@}" copied:1
}

@test "a janitor deletes by digest and an image is gone; nobody else deletes" {
  local image
  DOCKER_CONFIG=$(inside_login publisher)
  image=$(push_image "$HOME_REGISTRY/mini/old-dev" "an old one")
  inside_is 403 promoter DELETE "/v2/mini/old-dev/manifests/${image#*@}"
  inside_is 200 reader GET "/v2/mini/old-dev/manifests/${image#*@}" --header 'Accept: application/vnd.oci.image.manifest.v1+json'
  inside_is 202 janitor DELETE "/v2/mini/old-dev/manifests/${image#*@}"
  inside_is 404 reader GET "/v2/mini/old-dev/manifests/${image#*@}" --header 'Accept: application/vnd.oci.image.manifest.v1+json'
}

@test "a user with prefixes sees what is below them and nothing else, not even by a word that begins alike" {
  inside_is 200 near-reader GET /v2/near/app/tags/list
  inside_is 404 near-reader GET /v2/import/far/tags/list
  inside_is 403 near-reader GET /v2/import/far-away/tags/list
  inside_is 403 near-reader GET /v2/nearby/app/tags/list
  inside_is 403 near-reader GET /v2/secret/app/tags/list
  inside_is 403 near-reader GET "/v2/secret/app/manifests/$(digest secret/app)"
  inside_is 202 near-publisher POST /v2/near/app-rc/blobs/uploads/
  inside_is 403 near-publisher POST /v2/near/app/blobs/uploads/
  inside_is 403 near-publisher POST /v2/mini/app-rc/blobs/uploads/
}

@test "a blob is mounted from a repository that the user sees, and from no other, however the source is spelled" {
  local open closed question
  open=$(blob near/app) closed=$(blob secret/app)
  # What may be: 201 is a mount, 202 an upload that begins, since there was nothing to mount.
  inside_is 201 near-publisher POST "/v2/near/new-rc/blobs/uploads/?mount=$open&from=near/app"
  inside_is 201 near-publisher POST "/v2/near/new2-rc/blobs/uploads/?from=near%2Fapp&mount=${open/:/%3A}"
  inside_is 201 publisher POST "/v2/mini/new-rc/blobs/uploads/?mount=$closed&from=secret/app"
  for question in "mount=$closed&from=secret/app" "mount=$closed&from=secret%2Fapp" "from=secret/app&mount=$closed" "mount=$closed&%66rom=secret/app" \
    "mount=$closed&from=near/app&from=secret/app" "from=secret/app&from=near/app&mount=$closed" "mount=$open&mount=$closed&from=near/app" \
    "mount=$closed&from=near/app/../../secret/app" "mount=$closed&from=near%252f..%252fsecret" "mount=$closed&from=" "mount=$closed;from=secret/app" \
    "mount=$closed&FROM=secret/app" "mount=$closed&from=near/app%00secret/app" "x=1&mount=$closed&from=secret/app"; do
    inside_is 403 near-publisher POST "/v2/near/new3-rc/blobs/uploads/?$question"
  done
  # As a form in the body, which the registry would read as well.
  inside_is 202 near-publisher POST /v2/near/new3-rc/blobs/uploads/ --data "mount=$closed&from=secret/app"
  inside_is 202 near-publisher POST /v2/near/new3-rc/blobs/uploads/ --form "mount=$closed" --form from=secret/app
  inside_is 404 near-publisher GET "/v2/near/new3-rc/blobs/$closed"
}

@test "nobody gets past the gateway: the registry behind wants a password that the gateway alone has" {
  [[ $(curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$BEHIND_REGISTRY/v2/") == 401 ]]
  [[ $(curl --silent --output /dev/null --write-out '%{http_code}' --config <(echo "user = \"promoter:$(<"$PLACE/passwords/promoter")\"") "http://127.0.0.1:$BEHIND_REGISTRY/v2/") == 401 ]]
}

@test "no file of users, an empty one or a damaged one opens nothing" {
  local folder=$BATS_TEST_TMPDIR/other code
  cp -R "$PLACE" "$folder"
  # The gateway itself does not start without what is made of it.
  rm "$folder/gateway/users.cfg"
  run env LD_LIBRARY_PATH="$TOOLS/stage/libraries" GATEWAY="$folder/gateway" GATEWAY_SOCKET="$folder/s" GATEWAY_REGISTRY=127.0.0.1:1 GATEWAY_MIRROR=127.0.0.1:2 \
    REGISTRY_ADDRESS=127.0.0.1:3 MIRROR_ADDRESS=127.0.0.1:4 "$TOOLS/stage/haproxy" -c -f "$folder/gateway/haproxy.cfg" -f "$folder/gateway/users.cfg"
  [[ $status != 0 ]]
  cp "$folder/users" users
  refused 64 "a role is one of" "$ROOT/airgap/bootstrap" user ada root --out "$folder"
  echo 'ada promoter' >>"$folder/users"
  refused 65 "its hash is neither ours nor crypt's" "$ROOT/airgap/bootstrap" user bob reader --out "$folder"
  { cat users && echo 'ada promoter plain-text'; } >"$folder/users"
  refused 65 "is damaged at 'ada'" "$ROOT/airgap/bootstrap" user bob reader --out "$folder"
  { cat users users; } >"$folder/users"
  refused 65 "twice" "$ROOT/airgap/bootstrap" renew --out "$folder"/ || refused 65 "twice" "$ROOT/airgap/bootstrap" user zed reader --out "$folder"
  rm "$folder/users"
  refused 66 "there is no user" "$ROOT/airgap/bootstrap" user ada gone --out "$folder"
  # Nothing that the gateway reads was changed by those.
  cmp "$folder/gateway/roles.map" "$PLACE/gateway/roles.map"
}

@test "users that are made at the same time are all there" {
  local name jobs=()
  cp -R "$PLACE" other
  # Each takes its time between reading the file and writing it.
  mkdir slow
  printf '#!/bin/sh\nsleep 1\nexec %s "$@"\n' "$(type -P sort)" >slow/sort
  chmod +x slow/sort
  for name in one two three; do
    PATH=$PWD/slow:$PATH "$ROOT/airgap/bootstrap" user "$name" reader --out "$PWD/other" 3>&- &
    jobs+=("$!")
  done
  for name in "${jobs[@]}"; do wait "$name"; done
  for name in one two three reader near-reader; do
    grep "^$name reader sha256:" other/users
    grep "^$name reader$" other/gateway/roles.map
    grep "^$name:[0-9A-F]" other/gateway/passwords.map
  done
}

@test "the sheet is written whole or not at all, and why not is said" {
  local place=$PWD/other
  cp -R "$PLACE" other
  rm "$place/sheet.txt"
  "$ROOT/airgap/bootstrap" sheet --out "$place"
  [[ $(tail -n 1 "$place/sheet.txt") == "To a drawer"* ]]
  cp "$place/sheet.txt" whole
  # Of a folder without a trust file, before one was ever believed and after; of a damaged one.
  TRUST=$PWD/nothing refused 78 "sheet.txt is not written: there is no $PWD/nothing/trust.json" "$ROOT/airgap/bootstrap" sheet --out "$place"
  TRUST=$PWD/nothing TRUST_PIN=$PWD/no-pin refused 66 "sheet.txt is not written" "$ROOT/airgap/bootstrap" sheet --out "$place"
  mkdir damaged
  echo '{' >damaged/trust.json
  TRUST=$PWD/damaged refused 65 "sheet.txt is not written" "$ROOT/airgap/bootstrap" sheet --out "$place"
  cmp whole "$place/sheet.txt"
  rm "$place/sheet.txt"
  TRUST=$PWD/nothing refused 78 "TRUST names the folder of the trust file" "$ROOT/airgap/bootstrap" sheet --out "$place"
  [[ ! -e $place/sheet.txt ]]
  # Nor where any other part of it is not to be had.
  mv "$place/ca/server.pem" server.pem
  run "$ROOT/airgap/bootstrap" sheet --out "$place"
  [[ $status != 0 && ! -e $place/sheet.txt ]]
  mv server.pem "$place/ca/server.pem"
  "$ROOT/airgap/bootstrap" sheet --out "$place"
  cmp whole "$place/sheet.txt"
}

@test "a folder whose name would be read as something else in what is made is refused, and nothing is made" {
  local name
  for name in 'in side' "in'side" in\$HOME in:side; do
    refused 64 "want paths of letters" "$ROOT/airgap/bootstrap" registry.intra --out "$PWD/$name" --audience mini --no-start
    refused 64 "want paths of letters" "$ROOT/airgap/bootstrap" registry.intra --out "$PWD/plain" --data "$PWD/$name" --audience mini --no-start
  done
  [[ ! $(find . -name 'settings.env') && ! -e plain && ! -e "in side" ]]
}

@test "a user who is removed may do nothing as soon as the gateway has read its files anew" {
  "$ROOT/airgap/bootstrap" user passing reader --out "$PLACE"
  reload
  wait_until 10 inside_is 200 passing GET /v2/
  cp "$PLACE/passwords/passing" passing
  "$ROOT/airgap/bootstrap" user passing gone --out "$PLACE"
  kill -USR2 "$(<"$BATS_FILE_TMPDIR/gateway.pid")"
  cp passing "$PLACE/passwords/passing"
  wait_until 10 inside_is 401 passing GET /v2/
  inside_is 200 reader GET /v2/
  rm "$PLACE/passwords/passing"
}

@test "the mirror's door refuses every push, and lets in passwords and machines' certificates, but no other" {
  local method role machine=("--cert" "$PLACE/machines/machine.cert" "--key" "$PLACE/machines/machine.key")
  for role in reader publisher promoter janitor; do
    for method in POST PUT PATCH DELETE; do
      inside_is 405 "$role" "$method" mirror:/v2/library/app/blobs/uploads/
      inside_is 405 "$role" "$method" "mirror:/v2/library/app/manifests/1.0.0"
    done
    inside_is 403 "$role" GET mirror:/v2/_catalog
    inside_is 403 "$role" GET mirror:/v2/library/../app/tags/list
  done
  # Nobody is behind it in this test.
  inside_is 503 reader GET mirror:/v2/library/app_1.x/tags/list
  inside_is 401 - GET mirror:/v2/
  inside_is 503 - GET mirror:/v2/ "${machine[@]}"
  inside_is 405 - PUT mirror:/v2/library/app/manifests/1 "${machine[@]}"
  # It is nothing to the registry.
  inside_is 401 - GET /v2/ "${machine[@]}"
  # A wrong password is not made good by it.
  inside_is 401 - GET mirror:/v2/ "${machine[@]}" --config <(echo 'user = "reader:wrong"')
  # Of another authority, or of the right one for another purpose or for whoever is gone.
  make_authority "$BATS_TEST_TMPDIR/stranger"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout k.pem -out r.pem -subj /CN=machine 2>/dev/null
  openssl x509 -req -in r.pem -CA stranger/ca.pem -CAkey stranger/ca.key -CAcreateserial -out c.pem 2>/dev/null
  inside_is 000 - GET mirror:/v2/ --cert c.pem --key k.pem || [[ $(inside_ask - GET mirror:/v2/ --cert c.pem --key k.pem || true) == 000 ]]
  openssl pkey -in "$PLACE/gateway/server.pem" -out server.key
  inside_is 000 - GET mirror:/v2/ --cert "$PLACE/gateway/server.pem" --key server.key || [[ $(inside_ask - GET mirror:/v2/ --cert "$PLACE/gateway/server.pem" --key server.key || true) == 000 ]]
  # Whoever is gone was let in before, and others still are.
  "$ROOT/airgap/bootstrap" machine passing --out "$PLACE"
  cp "$PLACE/machines/passing".* .
  reload
  wait_until 10 inside_is 503 - GET mirror:/v2/ --cert passing.cert --key passing.key
  "$ROOT/airgap/bootstrap" user passing gone --out "$PLACE"
  reload
  wait_until 10 inside_is 401 - GET mirror:/v2/ --cert passing.cert --key passing.key
  inside_is 503 - GET mirror:/v2/ "${machine[@]}"
}

# Starts a gateway of this test's own whose times are a tenth of what they are, over the same registry; sets HOME_REGISTRY.
hasty_gateway() {
  cp -R "$PLACE" "$PWD/hasty"
  PLACE=$PWD/hasty
  HOME_REGISTRY=localhost:$(free_port)
  until HOME_MIRROR=localhost:$(free_port) && [[ $HOME_MIRROR != "$HOME_REGISTRY" ]]; do :; done
  awk '/^  timeout (client|server|http)/ { $3 = "  " tenth($3) } $2 == "set-timeout" { $4 = tenth($4) } { print }
    function tenth(time) { return time * (time ~ /m$/ ? 6000 : 100) "ms" }' "$ROOT/airgap/gateway/haproxy.cfg" >"$PLACE/gateway/haproxy.cfg"
  inside_gateway "$PWD"
  wait_until 20 port_answers "${HOME_REGISTRY#*:}"
}

# Holds a connection on which nothing more comes after the standard input, and writes down how many seconds the gateway let it be.
held() { # name words of openssl…
  local name=$1 start=$SECONDS
  shift
  mkfifo "$name.in"
  {
    exec 5<>"$name.in"
    cat >&5
    if [[ $name == bare ]]; then
      exec 6<>"/dev/tcp/127.0.0.1/${HOME_REGISTRY#*:}"
      timeout 60 cat <&6 >"$name.out" || true
    else
      timeout 60 openssl s_client -connect "$HOME_REGISTRY" -CAfile "$PLACE/ca/ca.pem" -verify_return_error -quiet "$@" <&5 >"$name.out" 2>&1 || true
    fi
    echo $((SECONDS - start)) >"$name.held"
  } 3>&-
}

# Answers like a registry that says nothing for a while, as after a large blob.
musing_registry() { # seconds
  printf '#!/bin/sh\nwhile read -r line && [ "${line#?}" ]; do :; done\nsleep %s\nprintf "HTTP/1.1 201 Created\\r\\nContent-Length: 2\\r\\n\\r\\nok"\n' "$1" >muse
  chmod +x muse
  setsid "$TOOLS/stage/busybox" nc -ll -p "$BEHIND_REGISTRY" -e "$PWD/muse" >/dev/null 2>&1 3>&- &
  echo $! >musing.pid
}

@test "whoever is silent is let go, at each step; a body that goes on moving and whoever waits for a registry that hashes are not" {
  local name basic digest location jobs=()
  hasty_gateway
  basic=$(printf 'publisher:%s' "$(<"$PLACE/passwords/publisher")" | base64 -w 0)
  digest=sha256:$(head -c 15000 /dev/zero | sha256sum | cut -d ' ' -f 1)
  # Bodies that take longer than silence may, and move.
  for name in PATCH PUT; do
    inside_is 202 publisher POST /v2/mini/slow-dev/blobs/uploads/
    location=$(tr -d '\r' <headers | sed -n 's/^[Ll]ocation: //p')
    mkdir "$name"
    (for _ in {1..15}; do head -c 1000 /dev/zero && sleep 1; done |
      (cd "$name" && inside_ask publisher "$name" "$location&digest=$digest" --max-time 60 --upload-file -) >"$name.status") 3>&- &
    jobs+=($!)
  done
  # Silent before TLS, after it, in the middle of a question, after an answer, in the middle of a body, and over HTTP/2.
  held bare </dev/null &
  jobs+=($!)
  held greeted </dev/null &
  jobs+=($!)
  printf 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\n' | held half &
  jobs+=($!)
  printf 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n' | held idle &
  jobs+=($!)
  inside_is 202 publisher POST /v2/mini/half-dev/blobs/uploads/
  location=$(tr -d '\r' <headers | sed -n 's/^[Ll]ocation: //p')
  printf 'PATCH %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %s\r\nContent-Length: 1000\r\n\r\nhalf' "$location" "$basic" | held body &
  jobs+=($!)
  printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0' | held h2 -alpn h2 &
  jobs+=($!)
  (
    mkdir patient && cd patient
    BEHIND_REGISTRY=$(free_port)
    musing_registry 14
    hasty_gateway
    inside_ask publisher PUT /v2/mini/slow-dev/manifests/1 --max-time 60 --data-binary manifest >../patient.status
    process_end "$(<gateway.pid)" 5
    process_end "$(<musing.pid)" 5
  ) 3>&- &
  jobs+=($!)
  wait "${jobs[@]}"
  process_end "$(<gateway.pid)" 5
  [[ $(<PATCH.status) == 202 && $(<PUT.status) == 201 && $(<patient.status) == 201 ]]
  grep -q '^HTTP/1.1 401' idle.out
  for name in bare greeted half idle body h2; do
    echo "$name was held for $(<"$name.held") s"
    # A tenth of two minutes, and far less where nothing was asked yet.
    case $name in
      bare | idle) (($(<"$name.held") <= 16)) ;;
      # Newer HAProxy lets it have its answer for as long again.
      body) (($(<"$name.held") <= 30)) ;;
      *) (($(<"$name.held") <= 10)) ;;
    esac
  done
}

@test "no address holds more than a quarter of all connections, and others are answered meanwhile" {
  local one held=()
  for _ in {1..500}; do
    exec {one}<>"/dev/tcp/127.0.0.1/${HOME_REGISTRY#*:}"
    held+=("$one")
  done
  # The 501st says so by hanging up.
  wait_until 10 hung_up
  [[ $(inside_ask reader GET mirror:/v2/library/app/tags/list) == 000 ]]
  inside_is 200 reader GET /v2/ --interface 127.0.0.2
  for one in "${held[@]}"; do exec {one}>&-; done
  wait_until 10 inside_is 200 reader GET /v2/
}

# True when nothing is answered, not even that one should log in.
hung_up() { [[ $(inside_ask - GET /v2/) == 000 ]]; }

@test "large bodies pass as a stream, over both protocols" {
  local location digest where
  head -c 100000000 /dev/zero >large
  digest=sha256:$(sha256sum large | cut -d ' ' -f 1)
  for protocol in http1.1 http2; do
    where=/v2/mini/$protocol-dev
    where=${where//./-}
    inside_is 202 publisher POST "$where/blobs/uploads/" "--$protocol"
    location=$(tr -d '\r' <headers | sed -n 's/^[Ll]ocation: //p')
    # Relative, so whatever name and port the client knows stays right.
    [[ $location == "$where"/* ]]
    inside_is 201 publisher PUT "$location&digest=$digest" "--$protocol" --max-time 120 --upload-file large --header 'Content-Type: application/octet-stream'
    inside_is 200 reader GET "$where/blobs/$digest" "--$protocol" --max-time 120
    cmp answer large
    head -n 1 headers | grep -q "HTTP/${protocol#http}"
  done
  # The gateway kept none of it.
  (($(awk '/VmHWM/ { print $2 }' "/proc/$(pgrep -P "$(<"$BATS_FILE_TMPDIR/gateway.pid")" | tail -n 1)/status") < 150000))
}

@test "no password is in a log, a list of processes or a file that others read" {
  local secret file
  inside_ask reader GET /v2/
  {
    cat "$BATS_FILE_TMPDIR"/*.log
    ps axww -o args
    cat "$PLACE/sheet.txt"
  } >said
  grep -q 'reader GET /v2/' said
  for file in "$PLACE"/passwords/*; do
    run grep --count --fixed-strings --file "$file" said
    [[ $output == 0 ]]
    [[ $(stat -c %a "$file") == 600 ]]
  done
  [[ $(stat -c %a "$PLACE") == 700 ]]
}
