# shellcheck shell=bash
# scripts/bench release: what making, finding and admitting a release costs. Bounds are seconds. Most of a release
# is cosign, which is started twelve times: for a signature and three attestations of the index and of each image.

# Sets the stage: two registries, keys, and a place to release from. Wants what tests/release uses.
release_stage() { # folder
  export BATS_TEST_DIRNAME=$ROOT/tests/release BATS_TEST_TMPDIR=$1 COSIGN_PASSWORD=only-for-the-bench
  local part
  for part in registries place; do
    # shellcheck source=/dev/null
    source "$ROOT/tests/release/$part.bash"
  done
  for part in document trust reference registry sign register; do
    # shellcheck source=/dev/null
    source "$ROOT/scripts/lib/$part.sh"
  done
  start_registries "$1"
  make_trust "$1" 2>/dev/null
  make_place "$1/place"
  export RELEASES=$1/releases REGISTER=$1/register RELEASE_REPOSITORY=$PLAIN/mini/mini-api RELEASE_KEY=$1/ours.key
}

# Prints how many seconds a command took; what it says is thrown away.
release_clock() { # command…
  local begin=$EPOCHREALTIME
  "$@" >/dev/null 2>&1 || die "failed: $*"
  awk -v begin="$begin" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", end - begin }'
}

# Writes a register of many lines: no release was so, but they are chained as real ones.
release_long_register() { # file lines
  python3 - "$1" "$2" <<'PY'
import hashlib, json, sys
previous = ""
with open(sys.argv[1], "w", encoding="utf-8") as file:
    for n in range(1, int(sys.argv[2]) + 1):
        hashes = [hashlib.sha256(f"{n}.{part}".encode()).hexdigest() for part in range(8)]
        line = json.dumps({
            "channel": "dev", "commit": hashes[0][:40], "digest": f"sha256:{hashes[1]}",
            "documents": {name: f"sha256:{hashes[2 + i]}" for i, name in enumerate(("cyclonedx", "provenance", "signature", "spdx"))},
            "image": f"registry.intra/mini/mini-api-dev@sha256:{hashes[1]}", "key": "ours", "n": n,
            "platforms": {"linux/amd64": f"sha256:{hashes[6]}", "linux/arm64": f"sha256:{hashes[7]}"}, "previous": previous,
            "repository": "registry.intra/mini/mini-api", "time": "2026-01-31T00:00:00Z", "version": f"1.0.0-dev.{n}",
        }, separators=(",", ":"), sort_keys=True) + "\n"
        previous = "sha256:" + hashlib.sha256(line.encode()).hexdigest()
        file.write(line)
PY
}

# Prints the median of numbers, one a line.
release_median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# Prints one line of the table.
release_line() { # what goal measured least most
  awk -v what="$1" -v goal="$2" -v is="$3" -v low="$4" -v high="$5" \
    'BEGIN { printf "| %s | ≤ %s s | **%.2f s** | %.2f–%.2f s | %s |\n", what, goal, is, low, high, is <= goal ? "met" : "missed" }'
}

# Times one thing several times and prints its line.
release_measure() { # what goal rounds command…
  local what=$1 goal=$2 rounds=$3 n
  shift 3
  say "measuring: $what"
  for ((n = 1; n <= rounds; n++)); do "$@" "$n"; done >"$WORK/times"
  release_line "$what" "$goal" "$(release_median <"$WORK/times")" "$(sort -n "$WORK/times" | head -n 1)" "$(sort -n "$WORK/times" | tail -n 1)"
}

release_traces() { REGISTER=$WORK/long release_clock "$ROOT/scripts/release" trace "1.0.0-dev.$((99000 + $1))"; }
release_traces_commit() { REGISTER=$WORK/long release_clock "$ROOT/scripts/release" trace "$(sed -n "$((50000 + $1))p" "$WORK/long/releases.jsonl" | jq -r .commit)"; }
release_releases() { release_clock "$WORK/place/scripts/release" "1.0.0-rc.$(($1 + 1))"; }
release_admits() { release_clock "$ROOT/policy/admit" - <"$WORK/references"; }

# Measures all of it.
bench_release() {
  local n image
  "$ROOT/scripts/setup" cosign registry oras referrers deny rust musl cross auditable jq curl
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/mini-api-bench.XXXXXX")
  trap 'stop_registries "$WORK"; rm -rf "$WORK"' EXIT
  release_stage "$WORK"
  say "building what is released, signing a hundred images, writing a register of 100,000 lines"
  "$WORK/place/scripts/release" 1.0.0-rc.1 --begin >/dev/null 2>&1
  for ((n = 0; n < 100; n++)); do
    image=$(push_image "$PLAIN/mini/web" "image $n" 2>/dev/null)
    image_sign "$image" "$WORK/ours.key" release
    echo "$image"
  done >"$WORK/references"
  mkdir "$WORK/long"
  release_long_register "$WORK/long/releases.jsonl" 100000
  printf '| what | goal | measured | least–most | verdict |\n|---|---|---|---|---|\n'
  release_measure "a release, nothing compiled" 30 3 release_releases
  release_measure "trace of a version among 100,000 lines" 0.1 9 release_traces
  release_measure "trace of a commit among 100,000 lines" 0.1 9 release_traces_commit
  release_measure "policy/admit on 100 references of one registry" 5 5 release_admits
}
