#!/usr/bin/env bats
# What is written for registries that no test can run: its form, and that each role has its rights and no other.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$ROOT/tests/refused.bash"
  cd "$ROOT/airgap" || return
}

# Prints a robot's rights: namespace, resource and action, a line each.
rights() { jq -r '.permissions[] | .kind as $kind | .namespace as $where | .access[] | "\($kind) \($where) \(.resource) \(.action)"' "harbor/robots/$1.json" | sort; } # robot

# Prints what a page's table gives a robot, in the same form.
promised() { # robot
  awk -F ' *[|] *' -v role="$1" '
    $2 == "role" { for (i = 3; i < NF; i++) { name[i] = $i; gsub(/`/, "", name[i]) } }
    $2 == role { for (i = 3; i < NF; i++) { n = split($i, action, /, */); for (k = 1; k <= n; k++)
      if (name[i] == "system") print "system / catalog read"; else print "project " name[i] " repository " action[k] } }' harbor/README.md | sort
}

@test "every file for Harbor and zot is JSON of one object" {
  local file
  while IFS= read -r file; do jq -es 'length == 1 and (.[0] | type == "object")' "$file" >/dev/null || { echo "$file" >&2 && false; }; done \
    < <(find harbor zot -name '*.json')
}

@test "every file for them stands on its page" {
  local file
  while IFS= read -r file; do grep -qF "($file)" harbor/README.md || { echo "$file" >&2 && false; }; done < <(cd harbor && find . -name '*.json' -printf '%P\n')
  while IFS= read -r file; do grep -qF "($file)" zot.md || { echo "$file" >&2 && false; }; done < <(find zot -name '*.json')
}

@test "every robot of Harbor has the rights of the page's table, and no other" {
  local role
  [[ $(cd harbor/robots && echo *) == "janitor.json promoter.json publisher.json reader.json" ]]
  for role in reader publisher promoter janitor; do
    [[ $(rights "$role") ]]
    diff <(promised "$role") <(rights "$role")
  done
}

@test "on Harbor only the promoter writes releases, only the janitor deletes, and nobody changes a rule" {
  [[ $(for role in reader publisher promoter janitor; do rights "$role" | sed "s/^/$role /"; done | grep -E ' (mini|import|airgap) repository push$' | cut -d ' ' -f 1 | sort -u) == promoter ]]
  [[ $(for role in reader publisher promoter janitor; do rights "$role" | sed "s/^/$role /"; done | grep -E ' delete$' | cut -d ' ' -f 1 | sort -u) == janitor ]]
  for role in reader publisher promoter janitor; do
    ! rights "$role" | grep -vE '^(project [a-z-]+ repository (pull|push|delete)|system / catalog read)$'
    jq -e '.level == "system" and .disable == false and .duration > 0 and (has("secret") | not)' "harbor/robots/$role.json"
  done
}

@test "every project that a robot names exists, private" {
  local name
  for name in $(for role in reader publisher promoter janitor; do rights "$role"; done | awk '$1 == "project" { print $2 }' | sort -u); do
    jq -e --arg name "$name" '.project_name == $name and .metadata.public == "false"' "harbor/projects/$name.json"
  done
}

@test "no tag of a release moves on Harbor, and retention begins by no clock" {
  jq -e '.action == "immutable" and .disabled == false and .scope_selectors.repository[0].pattern == "**"
    and .tag_selectors == [{kind: "doublestar", decoration: "excludes", pattern: "sha256-*"}]' harbor/immutable.json
  jq -e '.algorithm == "or" and .trigger.settings.cron == "" and ([.rules[].action] | unique == ["retain"])' harbor/retention.json
  jq -e '.schedule.type == "None" and .parameters.delete_untagged == false' harbor/gc.json
}

@test "no secret stands in a file" {
  [[ ! $(grep -rniE '(password|secret)["'\'']?[:=] *["'\'']?[^ ,"'\'']+' --include='*.json' --include='*.yml' harbor zot | grep -viE 'htpasswd|credentialsFile') ]]
}

@test "apply shows every request before it makes one, rules before rights" {
  run --separate-stderr harbor/apply https://registry.intra --dry-run --mirror --people oidc.json
  [[ $status == 0 ]]
  [[ $(grep -c '^POST /api/v2.0/robots ' <<<"$output") == 4 && $(grep -c '^POST /api/v2.0/projects ' <<<"$output") == 5 ]]
  [[ $output == *"POST /api/v2.0/projects/mini/immutabletagrules "*"POST /api/v2.0/robots "* ]]
  [[ $output != */replication/* ]]
  run --separate-stderr harbor/apply https://registry.intra --dry-run
  [[ $status == 0 && $output != *proxy* && $output != */registries* ]]
  refused 64 "HARBOR_NETRC" env -u HARBOR_NETRC harbor/apply https://registry.intra
  refused 64 "which Harbor" harbor/apply
}

@test "on zot a release is created once, and rights are those of the page" {
  jq -e '.http.accessControl.repositories | .["**"].policies == [{users: ["reader"], actions: ["read"]}, {users: ["publisher"], actions: ["read"]},
    {users: ["promoter"], actions: ["read", "create"]}, {users: ["janitor"], actions: ["read", "delete"]}]' zot/config.json
  jq -e '.http.accessControl | has("adminPolicy") | not' zot/config.json
  jq -e '[.http.accessControl.repositories[] | .defaultPolicy, .anonymousPolicy] | all(. == [])' zot/config.json zot/mirror.json
  diff <(jq -r '.http.accessControl.repositories | to_entries[] | .key as $where | .value.policies[] | "\($where) \(.users[]) \(.actions | join(", "))"' zot/config.json | sort) \
    <(awk -F ' *[|] *' '
        $2 == "repositories" { for (i = 3; i < NF; i++) role[i] = $i }
        $2 ~ /^`/ { where = $2; sub(/:.*/, "", where); gsub(/`/, "", where); n = split(where, place, /, */)
          for (k = 1; k <= n; k++) for (i = 3; i < NF; i++) if ($i != "" && role[i] != "") print place[k], role[i], $i }
        /^$/ && seen { exit } $2 == "repositories" { seen = 1 }' zot.md | sort)
}

@test "zot keeps what has no tag, downloads nothing, and its mirror takes no push" {
  jq -e '.storage.retention.policies | all(.deleteUntagged == false and .deleteReferrers == false and .keepTags == [{patterns: [".*"]}])' zot/config.json
  jq -e '.extensions | keys == ["scrub"]' zot/config.json
  jq -e '[.http.accessControl.repositories[].policies[].actions[]] | unique == ["read"]' zot/mirror.json
}

@test "every test that the first page of the journey names is there" {
  local file name count=0
  while IFS=: read -r file name; do
    count=$((count + 1))
    grep -qxF "@test \"${name# }\" {" "$ROOT/tests/airgap/${file# }.bats" || { echo "no such test: $file:$name" && false; }
  done < <(awk -F '|' '/^## Refusals and faults/ { on = 1 } on && NF == 5 && $4 ~ /: / { sub(/^ /, "", $4); sub(/ $/, "", $4); print $4 }' "$ROOT/airgap/README.md")
  ((count > 25))
}
