# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/rollout
# Is the new colour as good as the old one? Both tell in their metrics; what counts is the difference since the watch began.

# The new colour may fail this many requests of a hundred more than the old one, and its p99 may be this many times the old one's,
# if that is also this many milliseconds more. Fewer requests than these decide nothing.
watch_errors=${ROLLOUT_ERRORS:-1} watch_slower=${ROLLOUT_SLOWER:-2} watch_least_ms=${ROLLOUT_LEAST_MS:-100} watch_enough=${ROLLOUT_ENOUGH:-50}

# Prints {requests, errors, buckets: {le: count}} of metrics on standard input. Probes are nobody's requests.
watch_read() {
  awk '
    function label(name,   m) { return match($0, name "=\"[^\"]*\"") ? substr($0, RSTART + length(name) + 2, RLENGTH - length(name) - 3) : "" }
    { route = label("route") }
    route ~ /^\/(livez|readyz|health|metrics)$/ { next }
    /^mini_api_http_requests_total\{/ { requests += $2; if (label("status") >= 500) errors += $2 }
    /^mini_api_http_request_duration_seconds_bucket\{/ { le = label("le"); if (!(le in seen)) { seen[le] = 1; order[++n] = le } bucket[le] += $2 }
    END { printf "{\"requests\":%d,\"errors\":%d,\"buckets\":{", requests, errors
      for (i = 1; i <= n; i++) printf "%s\"%s\":%d", (i > 1 ? "," : ""), order[i], bucket[order[i]]
      print "}}" }'
}

# Prints what both colours have counted; fails when one does not tell.
watch_sample() { # from to
  local old new
  old=$(proxy_metrics "$1" | watch_read) && new=$(proxy_metrics "$2" | watch_read) || return 1
  jq -nc --argjson old "$old" --argjson new "$new" '{$old, $new}'
}

# Prints the verdict on two samples: {requests, errors %, p99 ms of both, why}; `why` is there when the new colour is to be taken back.
# A colour without traffic of its own is spoken for by what was known of it: {errors, p99}.
watch_judge() { # before after known
  jq -nc --argjson before "$1" --argjson after "$2" --argjson known "$3" --argjson errors "$watch_errors" --argjson slower "$watch_slower" \
    --argjson least "$watch_least_ms" --argjson enough "$watch_enough" '
    def seconds: if . == "+Inf" then 1e9 else tonumber end;
    # A process that began anew counts from nothing.
    def since($b): . as $a | if $a.requests < $b.requests then $a else
      {requests: ($a.requests - $b.requests), errors: ($a.errors - $b.errors),
       buckets: ($a.buckets | with_entries(.value -= ($b.buckets[.key] // 0)))} end;
    # The 99th percentile within its bucket, as Prometheus reckons it, in milliseconds. Of few requests the three slowest are passed
    # over: each of them alone would be the verdict.
    def p99: [.buckets | to_entries[] | {le: (.key | seconds), n: .value}] | sort_by(.le) | (last.n // 0) as $all
      | if $all == 0 then 0 else ([$all * 0.99, $all - 3] | min) as $rank | . as $b | (map(.n >= $rank) | index(true)) as $i
        | (if $i == 0 then {le: 0, n: 0} else $b[$i - 1] end) as $low | $b[$i] as $high
        | if $high.le >= 1e9 then $low.le else $low.le + ($high.le - $low.le) * ($rank - $low.n) / ([$high.n - $low.n, 1] | max) end * 1000 end;
    def share: if .requests == 0 then 0 else 100 * .errors / .requests end;
    ($after.old | since($before.old)) as $old | ($after.new | since($before.new)) as $new
    | (if $old.requests >= $enough then {errors: ($old | share), p99: ($old | p99)} else $known end) as $was
    | {requests: $new.requests, errors: ($new | share), errors_before: ($was.errors // 0), p99: ($new | p99), p99_before: ($was.p99 // 0)}
    | map_values(. * 100 | round / 100)
    | .why = (if $new.requests >= $enough and $new.errors >= 3 and .errors > .errors_before + $errors
        then "it fails \(.errors) % of its requests, the one before \(.errors_before) %"
      elif $new.requests >= $enough and $was != null and .p99 > .p99_before * $slower and .p99 > .p99_before + $least
        then "its p99 is \(.p99) ms, that of the one before \(.p99_before) ms"
      else null end) | .enough = ($new.requests >= $enough) | .known = $was'
}

# Prints which process a colour is, and since when.
watch_process() { colour_containers "$1" | xargs --no-run-if-empty docker inspect --format '{{.Id}} {{.State.StartedAt}}' 2>/dev/null; } # colour

# Watches for some seconds. Sets WATCH_KNOWN, what is known of the colour before, and WATCH_WHY, and returns 65 when the new colour is to be taken back, 75 when there was too little
# traffic to judge by.
watch_for() { # from to seconds known
  local begin=$SECONDS before after='' verdict='{}' missed=0 said=$SECONDS process
  WATCH_WHY='' WATCH_KNOWN=$4
  process=$(watch_process "$2")
  before=$(watch_sample "$1" "$2") || {
    WATCH_WHY="the colours' metrics cannot be read"
    return 65
  }
  while true; do
    sleep 1
    if ! proxy_ready "$2" || ! after=$(watch_sample "$1" "$2"); then
      missed=$((missed + 1))
      if ((missed >= 3)); then
        WATCH_WHY="it is not ready any more"
        return 65
      fi
      continue
    fi
    missed=0
    # Whoever dies in the midst of a request counts it nowhere.
    if [[ $(watch_process "$2") != "$process" ]]; then
      WATCH_WHY="it ended, and was started again"
      return 65
    fi
    verdict=$(watch_judge "$before" "$after" "$4")
    WATCH_KNOWN=$(jq -c .known <<<"$verdict")
    WATCH_WHY=$(jq -r '.why // empty' <<<"$verdict")
    [[ ! $WATCH_WHY ]] || return 65
    if ((SECONDS - said >= 10 || SECONDS - begin >= $3)); then
      said=$SECONDS
      say "      $(jq -r '"\(.requests) requests, \(.errors) % failed (before: \(.errors_before) %), p99 \(.p99) ms (before: \(.p99_before) ms)"' <<<"$verdict"), $((SECONDS - begin)) of $3 s"
    fi
    if ((SECONDS - begin >= $3)); then
      [[ $(jq -r .enough <<<"$verdict") == true ]] && return 0
      WATCH_WHY="it had $(jq -r .requests <<<"$verdict") requests in $3 s, and $watch_enough are wanted to judge by"
      return 75
    fi
  done
}
