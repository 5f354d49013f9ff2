# shellcheck shell=bash
# shellcheck disable=SC2154  # TEMPORARY, registries, command, report and form stand in airgap/prove-offline
# What prove-offline saw, as a report.

# Brings together what was seen: attempts and remarks, as JSON in the file `attempts`.
tell_gather() { # folder
  local folder=$1
  touch "$folder/waiting" "$folder/asked"
  # One line a program: protocol, address, port, name.
  sed -nE 's/^(tcp|udp) +[A-Z-]+ +[0-9]+ +[0-9]+ +[^ ]+ +\[?(::ffff:)?([0-9a-fA-F.:]+)\]?(%[a-z0-9]+)?:([0-9]+) +users:\(\("([^"]*)".*/\1\t\3\t\5\t\6/p' \
    "$folder/waiting" | sort -u >"$folder/programs"
  jq -n --slurpfile seen "$folder/seen" --rawfile asked "$folder/asked" --rawfile programs "$folder/programs" --rawfile named "$folder/registries" '
    def rows($by): split("\n") | map(select(. != "") | split($by));
    def elements($set): $seen[0].nftables[] | .set? | select(.name? == $set) | .elem[]? | (.elem?.val? // .) | .concat;
    ($programs | rows("\t")) as $programs
    | ($named | rows(" ") | map(.[1])) as $ports
    | ($asked | rows("\t")) as $asked
    | def program($p; $a; $port): [$programs[] | select(.[0] == $p and .[1] == $a and .[2] == ($port | tostring)) | .[3]] | unique | if . == [] then {} else {program: join(", ")} end;
    {attempts: (
       [(elements("ports4"), elements("ports6")) as [$a, $p, $port] | {protocol: $p, address: $a, port: $port} + program($p; $a; $port)]
       + [(elements("others4"), elements("others6")) as [$a, $p] | {protocol: $p, address: $a}]
       + ($asked | map(select(.[3] == "no")) | group_by(.[0]) | map({protocol: "dns", name: .[0][0], types: (map(.[1]) | unique)}
           + (map(.[4] | select(. != "")) | unique | if . == [] then {} else {program: join(", ")} end)))
       + (([$seen[0].nftables[] | .counter? | select(.name? == "questions") | .packets] | add // 0) - ([$asked[] | select(.[2] == "udp")] | length)
           | if . > 0 then [{protocol: "dns", name: null, questions: .}] else [] end)),
     silent: [(elements("silent4"), elements("silent6")) as [$a, $port] | select([$port | tostring] - $ports != []) | {address: $a, port: $port}]}' >"$folder/attempts"
}

# True when nothing was attempted.
tell_none() { jq -e '.attempts == []' "$1/attempts" >/dev/null; } # folder

# Writes the report: to stderr, or to a file, whole or not at all.
tell_report() { # verdict code why
  local text
  [[ -s ${TEMPORARY:-/nonexistent}/attempts ]] || local none='{"attempts":[],"silent":[]}'
  text=$(jq -n --arg verdict "$1" --arg code "$2" --arg why "$3" --arg registries "${registries[*]}" --slurpfile found <(if [[ ${none:-} ]]; then echo "$none"; else cat "$TEMPORARY/attempts"; fi) \
    '{type: "offline/v1", verdict: $verdict, command: $ARGS.positional, registries: ($registries | split(" ") | map(select(. != "")))}
     + (if $code == "" then {} else {code: ($code | tonumber)} end) + (if $why == "" then {} else {why: $why} end) + $found[0]' --args -- "${command[@]}") || return 1
  if [[ $form == sentences ]]; then text=$(tell_sentences <<<"$text"); fi
  if [[ $report ]]; then
    { printf '%s\n' "$text" >"$report.new" && mv "$report.new" "$report"; } 2>/dev/null || fail 73 "$report cannot be written"
  else
    printf '%s\n' "$text" >&2
  fi
}

# Prints the report for people.
tell_sentences() {
  jq -r '(if .registries == [] then "anything" else "anything but \(.registries | join(", "))" end) as $rest
    | (if .verdict == "offline" then "offline: the command ended with \(.code) and tried to reach nothing else" + (if .registries == [] then "" else " than \(.registries | join(", "))" end)
       elif .verdict == "attempted" then "not offline: the command ended with \(.code) and tried to reach"
       else "unproven: \(.why)" end),
      (.attempts[] | "  " + (if .protocol != "dns" then "\(.protocol) " + (if .port then (if .address | test(":") then "[\(.address)]" else .address end) + ":\(.port)" else .address end)
        elif .name == null then "dns: \(.questions) more, names not known"
        else "dns \(.name) (\(.types | join(", ")))" end) + (if .program then "  by \(.program)" else "" end)),
      (.silent[] | "  remark: nobody answered on loopback, \(.address) port \(.port); outside of the proof it might be a proxy or a daemon of this machine")'
}
