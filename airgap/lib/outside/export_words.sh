# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # what is noted is read by export.sh and its like; here stands in airgap/bundle
# What an export is asked for.

# What was asked for.
EXPORT_LOCK='' EXPORT_KEY='' EXPORT_OUT='' EXPORT_STREAM='' EXPORT_AUDIENCE='' EXPORT_SERIAL='' EXPORT_SECONDS=2592000 EXPORT_TOOLS='' EXPORT_JSON=''
EXPORT_SINCE=() EXPORT_SIZES=() EXPORT_WITHOUT=' '
# Charts with their places inside, in pairs; the policies and theirs; whether a register was named.
EXPORT_CHARTS=() EXPORT_POLICIES=() EXPORT_REGISTER=

# Understands the words; those that may be several end at the next option.
export_words() {
  local option words
  while (($#)); do
    option=$1 words=()
    shift
    while (($#)) && [[ $1 != --* ]]; do words+=("$1") && shift; done
    case $option in
      --tools | --json)
        ((${#words[@]} == 0)) || misuse "$option wants no word, and got '${words[0]}'"
        if [[ $option == --tools ]]; then EXPORT_TOOLS=1; else EXPORT_JSON=1; fi
        continue
        ;;
      --since | --medium-size) ((${#words[@]} > 0)) || misuse "$option wants at least one word" ;;
      --chart | --policies) ((${#words[@]} == 1)) || [[ ${#words[@]} == 3 && ${words[1]} == as ]] || misuse "$option wants FOLDER, or FOLDER as PATH" ;;
      --lock | --key | --out | --stream | --expires | --audience | --register | --serial | --without)
        [[ ${#words[@]} == 1 && ${words[0]} ]] || misuse "$option wants one word"
        ;;
      *) misuse "unknown word '$option'" ;;
    esac
    export_word "$option" "${words[@]}"
  done
  EXPORT_LOCK=${EXPORT_LOCK:-$here/images.lock}
  [[ $EXPORT_KEY ]] || misuse "export wants --key KEY, one of purpose bundle"
  [[ $EXPORT_OUT ]] || misuse "export wants --out DIR, a folder that is not there yet"
  [[ $EXPORT_STREAM ]] || misuse "export wants --stream NAME: deltas and serials are counted by stream"
}

# Notes one option.
export_word() { # option word…
  local size
  case $1 in
    --lock) EXPORT_LOCK=$2 ;;
    --key) EXPORT_KEY=$2 ;;
    --out)
      [[ $2 =~ [^/] ]] || misuse "--out wants a folder that is not there yet"
      EXPORT_OUT=$(realpath -ms "$2")
      ;;
    --stream)
      [[ $2 =~ ^[a-z0-9]+(-[a-z0-9]+)*$ && ${#2} -le 63 ]] || misuse "--stream wants lower-case words with '-' between them"
      [[ ! $2 =~ (^|-)(dev|beta|rc)$ ]] || misuse "--stream '$2' ends like a channel, where others may write inside: name it otherwise"
      EXPORT_STREAM=$2
      ;;
    --audience)
      [[ $2 =~ ^[a-z0-9]+(-[a-z0-9]+)*$ && ${#2} -le 63 ]] || misuse "--audience wants lower-case words with '-' between them, as in the trust file inside"
      EXPORT_AUDIENCE=$2
      ;;
    --serial)
      [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || misuse "--serial wants a number"
      EXPORT_SERIAL=$2
      ;;
    --expires) export_seconds "$2" ;;
    --register) REGISTER=${2%/} EXPORT_REGISTER=1 ;;
    --without)
      [[ $2 == chart || $2 == policies ]] || misuse "--without wants chart or policies"
      EXPORT_WITHOUT+="$2 "
      ;;
    --since) EXPORT_SINCE+=("${@:2}") ;;
    --medium-size)
      for size in "${@:2}"; do
        [[ $size =~ ^([1-9][0-9]{0,8})([KMGT]?)$ || $size =~ ^([1-9][0-9]{0,14})()$ ]] || misuse "'$size' is no size of a medium: write bytes, or 700M, 4G, 1T"
        case ${BASH_REMATCH[2]} in
          K) EXPORT_SIZES+=($((BASH_REMATCH[1] * 1000))) ;;
          M) EXPORT_SIZES+=($((BASH_REMATCH[1] * 1000000))) ;;
          G) EXPORT_SIZES+=($((BASH_REMATCH[1] * 1000000000))) ;;
          T) EXPORT_SIZES+=($((BASH_REMATCH[1] * 1000000000000))) ;;
          *) EXPORT_SIZES+=("$size") ;;
        esac
      done
      ;;
    --chart | --policies)
      [[ ! ${4:-} || ${4:-} =~ ^[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)+$ ]] || misuse "'${4:-}' is no place inside: write ORG/[PROJECT/]SERVICE in lower case"
      if [[ $1 == --chart ]]; then EXPORT_CHARTS+=("$2" "${4:-}"); else EXPORT_POLICIES=("$2" "${4:-policies/mini-api}"); fi
      ;;
  esac
}

# Notes how long a bundle may be imported.
export_seconds() { # N[smhd]
  local unit
  [[ $1 =~ ^([1-9][0-9]{0,8})([smhd])$ ]] || misuse "'$1' is no time: write 30d, 12h, 90m or 600s"
  case ${BASH_REMATCH[2]} in s) unit=1 ;; m) unit=60 ;; h) unit=3600 ;; d) unit=86400 ;; esac
  EXPORT_SECONDS=$((BASH_REMATCH[1] * unit))
  ((EXPORT_SECONDS <= 400 * 86400)) || misuse "--expires $1 is too long: what is older than 400 days is not what anybody should import"
}
