# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/rollout
# What is told of a rollout: to people as lines, to programs as JSON.

tell_status() {
  if [[ $form == json ]]; then
    jq . "$ROLLOUT/state.json"
    return
  fi
  jq -r '"live      \(.live)", (.kept | select(.) | "kept      \(.)"), (.back | select(.) | "going back to \(.), cut short: scripts/rollout rollback"),
    (if .rollout then .rollout | "rollout   \(.image)", "          from \(.from) to \(.to), begun \(.begun)", "          stopped or at work at: \(.step)" else "rollout   none under way" end)' "$ROLLOUT/state.json"
  if proxy_is_current; then
    echo "traffic   $(proxy_wanted | sed 's/, [^,]*$//')"
  else
    echo "traffic   unknown: the proxy does not answer, or runs by another configuration"
  fi
}

# Says what would be done.
tell_plan() { # from to
  say "the rollout may begin; nothing was altered. It would:"
  say "   start ${words[0]} as $2, beside $1"
  say "   bring the schema up to date by its image"
  say "   give it $canary, 50 and 100 of a hundred requests, and watch $watch seconds each time"
  say "   take it back if it fails $watch_errors % more of its requests than $1, or its p99 is $watch_slower times that of $1 and $watch_least_ms ms more"
}
