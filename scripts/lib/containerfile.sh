# shellcheck shell=bash
# The image's settings, read from the last stage of the Containerfile: they are written there and nowhere else.
# Only the instructions that stand there are understood; any other ends the build rather than being left out.

# Prints the `config` object of an OCI image as JSON. Each word NAME=VALUE fills the ARG of that name.
containerfile_config() { # file NAME=VALUE…
  local file=$1 line instruction rest config='{}'
  local -A arguments=()
  shift
  for line in "$@"; do arguments[${line%%=*}]=${line#*=}; done
  while IFS= read -r line; do
    instruction=${line%% *} rest=${line#* }
    case $instruction in
      COPY) continue ;;
      ARG)
        [[ -v "arguments[${rest%%=*}]" ]] || arguments[${rest%%=*}]=${rest#*=}
        continue
        ;;
    esac
    rest=$(containerfile_fill "$rest")
    config=$(containerfile_apply "$instruction" "$rest" <<<"$config")
  done < <(containerfile_last_stage "$file")
  printf '%s\n' "$config"
}

# Prints the instructions after the last FROM, one a line, comments taken away.
containerfile_last_stage() { # file
  sed -e 's/^[[:space:]]*#.*//' "$1" | sed -e ':a' -e '/\\$/N' -e 's/[[:space:]]*\\\n[[:space:]]*/ /' -e 'ta' |
    awk '/^FROM / { stage = ""; next } NF { stage = stage $0 "\n" } END { printf "%s", stage }'
}

# Prints a text with each ${NAME} replaced by the caller's arguments[NAME].
containerfile_fill() { # text
  local text=$1 name
  while [[ $text =~ \$\{([A-Z_]+)\} ]]; do
    name=${BASH_REMATCH[1]}
    [[ -v "arguments[$name]" ]] || die "the Containerfile uses \${$name} without an ARG"
    text=${text//"\${$name}"/"${arguments[$name]}"}
  done
  printf '%s' "$text"
}

# Reads a config, prints it with one instruction applied.
containerfile_apply() { # instruction rest
  case $1 in
    USER) jq --arg value "$2" '.User = $value' ;;
    EXPOSE) jq --arg port "$2/tcp" '.ExposedPorts[$port] = {}' ;;
    STOPSIGNAL) jq --arg value "$2" '.StopSignal = $value' ;;
    ENTRYPOINT) jq --argjson value "$2" '.Entrypoint = $value' ;;
    LABEL) containerfile_labels "$2" ;;
    HEALTHCHECK) containerfile_healthcheck "$2" ;;
    *) die "the Containerfile's last stage has $1, which scripts/build-image does not know" ;;
  esac
}

# Reads a config, prints it with the labels NAME="VALUE" NAME="VALUE"….
containerfile_labels() { # text
  local text=$1 config pattern='^ *([a-z.]+)="([^"]*)"(.*)$'
  config=$(cat)
  while [[ $text =~ $pattern ]]; do
    config=$(jq --arg name "${BASH_REMATCH[1]}" --arg value "${BASH_REMATCH[2]}" '.Labels[$name] = $value' <<<"$config")
    text=${BASH_REMATCH[3]}
  done
  [[ -z ${text// /} ]] || die "the Containerfile's LABEL is not understood from: $text"
  printf '%s\n' "$config"
}

# Reads a config, prints it with --interval=10s … CMD [words].
containerfile_healthcheck() { # text
  jq --arg options "${1%% CMD *}" --argjson command "${1#* CMD }" '
    def nanoseconds: capture("^(?<seconds>[0-9]+)s$").seconds | tonumber * 1000000000;
    ($options | [scan("--([a-z-]+)=([^ ]+)") | {key: .[0], value: .[1]}] | from_entries) as $option |
    .Healthcheck = {
      Test: (["CMD"] + $command),
      Interval: ($option.interval | nanoseconds),
      Timeout: ($option.timeout | nanoseconds),
      StartPeriod: ($option["start-period"] | nanoseconds),
      Retries: ($option.retries | tonumber)
    }'
}
