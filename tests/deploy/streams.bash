# shellcheck shell=bash
# What has come out of the pipe: the streams that compose.logging.yaml makes, and ways to put lines into them.

# Prints a stream, what was turned over included.
stream() { docker exec "$(container log-files)" sh -c "cat /logs/$1.log.* /logs/$1.log 2>/dev/null || true"; } # security|requests|service

# True once a stream has a line with these words.
arrived() { [[ $(stream "$1") == *"$2"* ]]; } # stream words

# Prints the id of a service's container, whether it runs or not.
made() { scripts/compose ps --all --quiet "$1"; } # service

# The process of a service's container, as the host counts.
pid_of() { docker inspect --format '{{.State.Pid}}' "$(made "$1")"; } # service

healthy() { [[ $(docker inspect --format '{{.State.Health.Status}}' "$(container api)") == healthy ]]; }

# Sends so many requests, each with an id that begins with a word; each must be answered, and soon.
requests() { # word number
  local number
  for ((number = 1; number <= $2; number++)); do
    curl --silent --show-error --fail --max-time 2 --output /dev/null --header "X-Request-Id: $1-$number" "$BASE/livez"
  done
}

# True once the stream of requests has all of them.
all_arrived() { (($(stream requests | jq -r .request_id | grep "^$1-" | sort -u | wc -l) == $2)); } # word number

# True once `compose logs` has all of them.
all_logged() { (($(scripts/compose logs --no-log-prefix api | grep -c "\"request_id\":\"$1-") == $2)); } # word number

# A login that fails, and its id.
fail_to_log_in() { # email password id
  curl --silent --max-time 10 --header "X-Request-Id: $3" "$BASE/auth/login" --json "{\"email\":\"$1\",\"password\":\"$2\"}"
}

# Runs a shell in a container whose log goes the way of the stack's, by the options that the overlay has.
talk() { # service command [docker-words…]
  local service=$1 command=$2 options=()
  shift 2
  mapfile -t options < <(scripts/compose config --format json | jq -r --arg tag "service.$service" \
    '.services.api.logging.options | .tag = $tag | to_entries[] | "--log-opt=\(.key)=\(.value)"')
  docker run --network none --user 65532 --log-driver fluentd "${options[@]}" "$@" --entrypoint /bin/sh "$POSTGRES_IMAGE" -c "$command"
}

# True once docker logs shows the last line that a container says.
ended_talking() { [[ $(docker logs --tail 1 "$1") == 'the last' ]]; } # id
