# shellcheck shell=bash
# shellcheck disable=SC2154  # what medium.sh sets
# Tells what a bundle says it has. Its manifest is verified first, its files are not looked at. Needs medium.sh, verify.sh.

# Shows a bundle as a tree.
verb_inspect() {
  local json='' dirs=()
  while (($#)); do
    case $1 in
      --json) json=1 ;;
      -*) misuse "inspect does not know '$1'" ;;
      *) dirs+=("$1") ;;
    esac
    shift
  done
  medium_open "${dirs[@]}"
  medium_trust
  if [[ $json ]]; then cat "$BUNDLE/manifest.json"; else inspect_tree; fi
}

# Prints the tree: the bundle, its media, its images with what hangs on each, its files.
inspect_tree() {
  jq -r --arg given " ${!MEDIUM_DIRS[*]} " --arg now "$(trust_now)" "$verify_human"'
    def branch($last): if $last then "└─ " else "├─ " end;
    # A list of trees, each {line, below}, as lines.
    def grow: . as $trees | to_entries[] | (.key == ($trees | length) - 1) as $last
      | (branch($last) + .value.line), (.value.below // [] | grow | (if $last then "   " else "│  " end) + .);
    def leaf: {line: .};
    . as $bundle | .blobs as $blobs
    | def where: if . == 0 then "inside already" else "medium \(.)" end;
    def hanging($digest): [.manifests[] | select(.of? == $digest)] as $mine | . as $image
      | [$mine[] | .digest as $child | {line: "\(.kind)\(if .tag then " \(.tag)" else "" end)  \(.digest[7:19])  \(.size | human)  \($blobs[.digest].medium | where)", below: ($image | hanging($child))}];
    "bundle \(.stream) \(.serial)",
    ([("for \(.audience), signed by key \(.signer)" | leaf),
      ("created \(.created), good until \(.expires)\(if .expires <= $now then ": no longer" else "" end)" | leaf),
      (if .previous == "" then "the first of its stream" else "follows \(.previous)" end | leaf),
      (if .base == null then "needs nothing inside" elif .base.manifest then "a delta, on what \(.base.manifest) carried"
        else "a delta, on what was acknowledged: \(.base.receipts | join(", "))" end | leaf),
      {line: "\(.media) media", below: [range(1; .media + 1) as $n | [.blobs[], .files[] | select(.medium == $n) | .size]
        | "medium \($n)  \(length) files  \(add // 0 | human)\(if $n | tostring as $n | $given | contains(" \($n) ") then "" else "  not given" end)" | leaf]},
      {line: "\(.images | length) images", below: [.images[] | . as $image
        | {line: "\(.reference)  \(.path)\(if has("tag") then ":" + .tag else "" end)  \(.kind)  \([.manifests[].digest, .blobs[]] | unique | map($blobs[.].size) | add | human)", below: ([
            ("\(.digest)  \($blobs[.digest].medium | where)" | leaf),
            ((if .platforms == [] then "one processor" else "for " + (.platforms | join(", ")) end) | leaf),
            (.rule | if .rule == "signed" then "must be signed: \(.purpose)" elif .rule == "keyless" then "must be signed by \(.identity) of \(.issuer), as the root \(.root) has it" elif .rule == "vouched" then "vouched by \(.who) until \(.until[:10]): \(.why)" else "made with the bundle" end | leaf)]
          + ($image | hanging($image.digest)))}]},
      {line: "\(.files | length) files", below: [.files[] | "\(.path)  \(.size | human)  medium \(.medium)" | leaf]}] | grow)' "$BUNDLE/manifest.json"
}
