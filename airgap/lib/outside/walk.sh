# shellcheck shell=bash
# Finds everything that belongs to images in their registries: the manifests of an index, and whatever hangs on any of them, by the
# referrers API, by the tag that stands in for it, or by the tags of old (sha256-….sig, .att, .sbom); and what hangs on that. Many
# images at once: what can be asked in one round is. Needs reference.sh, registry.sh and sign.sh (sign_read).
#
# walk_begin FOLDER, walk_image N REGISTRY PATH DIGEST-OR-TAG for each image, walk. Below the folder are then
#   found        a line for each manifest: N, digest, media type, size, kind (image, child, referrer, tagged), digest of what it
#                belongs to, tag of old (tagged ones, and referrers that have one too; else -)
#   holds        a line for each blob: digest of the manifest, digest, size, media type
#   manifests/   the manifests themselves, by digest
#   missing      a line for what could not be had: N, 65 or 69, a sentence

# Nobody needs more; a registry that sends us in circles shall not keep us.
walk_most=20000

# By repository: its tags, each between spaces; "?" when it does not list them. By repository: whether it lists referrers.
declare -gA walk_tags=() walk_lists=()
# By "N digest": known already, as which kind and belonging to what.
declare -gA walk_known=()
# By answer: the image, the kind, and what it belongs to.
declare -gA walk_wanted=()
# By number of the image: registry and path.
declare -gA walk_place=()
# By "N digest" of a referrer: the tag of old that it has as well.
declare -gA walk_also=()

walk_begin() { # folder
  walk_folder=$1
  mkdir -p "$1/manifests" "$1/answers"
  : >"$1/found" && : >"$1/holds" && : >"$1/missing" && : >"$1/fresh"
  walk_tags=() walk_lists=() walk_known=() walk_wanted=() walk_place=() walk_also=()
  walk_count=0
  registry_begin "$1"
}

# Notes that something could not be had.
walk_miss() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$walk_folder/missing"; } # n code why

# Asks for a manifest.
walk_ask() { # n digest-or-tag kind of
  local registry path out
  read -r registry path <<<"${walk_place[$1]}"
  out=$walk_folder/answers/$((walk_count += 1))
  walk_wanted[$out]="$1 $2 $3 $4"
  registry_ask "$registry" "$path" manifests "$2" "$out"
}

# Adds an image.
walk_image() { # n registry path digest-or-tag
  walk_place[$1]="$2 $3"
  walk_ask "$1" "$4" image -
  [[ ${walk_tags["$2/$3"]+asked} ]] || walk_tags["$2/$3"]=
}

# Asks until nothing new is found.
walk() {
  walk_all_tags
  registry_answers
  walk_take
  while ((walk_new)); do
    walk_deeper
    registry_answers
    while ((${#walk_questions[@]})); do
      walk_hanging
      walk_bounded
      registry_answers
    done
    walk_bounded
    walk_take
  done
  walk_tagged
}

# Fails when there is no end to it.
walk_bounded() {
  ((walk_count <= walk_most * ${#walk_place[@]})) || fail 65 "more hangs on these images than anybody can need: $walk_count answers, and no end"
}

# Writes down the tags of old of what has one beside the list that names it.
walk_tagged() {
  local key
  ((${#walk_also[@]})) || return 0
  { for key in "${!walk_also[@]}"; do printf '%s\t%s\t%s\n' "${key% *}" "${key#* }" "${walk_also[$key]}"; done |
    awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { tag[$1, $2] = $3; next } ($1, $2) in tag { $7 = tag[$1, $2] } { print }' /dev/stdin "$walk_folder/found" >"$walk_folder/found.new" &&
    mv "$walk_folder/found.new" "$walk_folder/found"; } || fail 73 "$walk_folder cannot be written"
}

# Gets the list of tags of every repository, page after page.
walk_all_tags() {
  local repository page out next
  local -A pages=()
  for repository in "${!walk_tags[@]}"; do pages[$repository]=list; done
  while ((${#pages[@]})); do
    walk_bounded
    for repository in "${!pages[@]}"; do
      out=$walk_folder/answers/$((walk_count += 1))
      registry_ask "${repository%%/*}" "${repository#*/}" tags "${pages[$repository]}" "$out"
      pages[$repository]=$out
    done
    registry_answers
    for repository in "${!pages[@]}"; do
      out=${pages[$repository]} && unset "pages[$repository]"
      if ! registry_outcome "$out" || ! page=$(jq -er '[.tags[]? | strings | select(test("\\A[A-Za-z0-9_][A-Za-z0-9._-]*\\z"))] | join(" ")' "$out"); then
        walk_tags[$repository]="?"
        continue
      fi
      walk_tags[$repository]+=" $page "
      next=$(walk_next "$out" tags/)
      # Half a list is none: then every tag is asked for.
      if [[ $next == '?' ]]; then walk_tags[$repository]="?"; elif [[ $next ]]; then pages[$repository]=$next; fi
    done
  done
}

# Prints the last part of the address of an answer's next page, if there is one; "?" for an address that is none.
walk_next() { # answer part-before
  tr -d '\r' <"$1.headers" 2>/dev/null | sed -nE "/^[Ll][Ii][Nn][Kk]:.*rel=\"?next/ { s|^[^<]*<[^>]*/$2([A-Za-z0-9?&=%._:~+-]+)>.*|\1|; t told; s|.*|?|; :told; p }" | head -n 1 || true
}

# Takes the manifests that came; walk_new counts the new ones. Their digests are computed here; what was asked for by digest must
# have it.
walk_take() {
  local out n reference kind of digest file code media size known fresh=()
  : >"$walk_folder/fresh"
  walk_new=0
  # Those with a tag of old last: what else they are is known by then.
  while read -r n reference kind of out; do
    code=0
    registry_outcome "$out" || code=$?
    case $code in
      0) ;;
      65)
        # Where tags are not listed the old ones are asked for in vain.
        [[ $kind == tagged && ${walk_tags["${walk_place[$n]/ //}"]} == '?' ]] || walk_miss "$n" 65 "the registry has no $reference in ${walk_place[$n]#* }"
        continue
        ;;
      *)
        walk_miss "$n" "$code" "$REGISTRY_WHY"
        continue
        ;;
    esac
    digest=${REGISTRY_DIGEST[$out]}
    if [[ $reference == sha256:* && $reference != "$digest" ]]; then
      walk_miss "$n" 65 "the registry serves other bytes under $reference"
      continue
    fi
    known=${walk_known["$n $digest"]:-}
    if [[ $known ]]; then
      if [[ $kind == tagged && $known == "referrer $of" && ! ${walk_also["$n $digest"]:-} ]]; then
        walk_also["$n $digest"]=$reference
      elif [[ $kind == tagged && $known != "tagged $of $reference" && ${walk_also["$n $digest"]:-} != "$reference" ]]; then
        walk_miss "$n" 65 "$reference in ${walk_place[$n]#* } is $digest, which belongs elsewhere too ($known): it cannot be carried as both"
      fi
      continue
    fi
    walk_known["$n $digest"]="$kind $of$([[ $kind != tagged ]] || printf ' %s' "$reference")"
    file=$walk_folder/manifests/${digest#sha256:}
    [[ -e $file ]] || mv "$out" "$file"
    printf '%s\t%s\t%s\t%s\t%s\n' "$file" "$n" "$kind" "$of" "$([[ $kind == tagged ]] && echo "$reference" || echo -)" >>"$walk_folder/fresh"
    fresh+=("$file")
  done < <(for out in "${!walk_wanted[@]}"; do printf '%s %s\n' "${walk_wanted[$out]}" "$out"; done | awk '{ print ($3 == "tagged"), $0 }' | LC_ALL=C sort -k 1,1n -k 2,2n -k 3,3 | cut -d ' ' -f 2-)
  walk_wanted=()
  walk_new=${#fresh[@]}
  ((walk_new)) || return 0
  printf '%s\0' "${fresh[@]}" | sort -zu | xargs -0 stat --format='%n %s' >"$walk_folder/sizes"
  mapfile -d '' -t fresh < <(printf '%s\0' "${fresh[@]}" | sort -zu)
  # What a manifest says it is, and what it names: M type, S what it hangs on, C child, B blob.
  # shellcheck disable=SC2016  # $type is jq's
  sign_read 'if type != "object" then error("no manifest") else
      (.mediaType // (if has("manifests") then "application/vnd.oci.image.index.v1+json" else "application/vnd.oci.image.manifest.v1+json" end)) as $type
      | if $type | plain then "M \($type)" else error("no type") end,
        (.subject? | objects | if .digest | sha then "S \(.digest)" else error("no subject") end),
        (.manifests[]? | if .digest | sha then "C \(.digest)" else error("no digest") end),
        ((.config? // empty, .layers[]?, .blobs[]?) | if (.digest | sha) and (.size | type == "number" and . >= 0 and . == floor) and (.mediaType | plain)
          then "B \(.digest) \(.size) \(.mediaType)" else error("no blob") end) end' "${fresh[@]}" >"$walk_folder/read" || sign_broken
  local -A type_of=() size_of=() subject_of=() bad=()
  while read -r file size; do size_of[$file]=$size; done <"$walk_folder/sizes"
  : >"$walk_folder/children"
  while IFS=$'\t' read -r file media; do
    case $media in
      M\ *) type_of[$file]=${media#M } ;;
      S\ *) subject_of[$file]=${media#S } ;;
      C\ *) printf '%s %s\n' "${file##*/}" "${media#C }" >>"$walk_folder/children" ;;
      B\ *)
        read -r _ digest size media <<<"$media"
        printf 'sha256:%s\t%s\t%s\t%s\n' "${file##*/}" "$digest" "$size" "$media" >>"$walk_folder/holds"
        ;;
      *) bad[$file]=1 ;;
    esac
  done <"$walk_folder/read"
  while IFS=$'\t' read -r file n kind of reference; do
    if [[ ${bad[$file]:-} || ! ${type_of[$file]:-} ]]; then
      walk_miss "$n" 65 "sha256:${file##*/} is no manifest"
      continue
    fi
    # Whatever a list says: what it hangs on is what it says itself.
    if [[ $kind == referrer && ${subject_of[$file]:-} != "$of" ]]; then
      unset "walk_known[$n sha256:${file##*/}]" "walk_also[$n sha256:${file##*/}]"
      continue
    fi
    printf '%s\tsha256:%s\t%s\t%s\t%s\t%s\t%s\n' "$n" "${file##*/}" "${type_of[$file]}" "${size_of[$file]}" "$kind" "$of" "$reference" >>"$walk_folder/found"
  done <"$walk_folder/fresh"
  sort -u -o "$walk_folder/holds" "$walk_folder/holds"
}

# Asks for the children of the indexes that came, and for what hangs on every manifest that came.
walk_deeper() {
  local file n kind of hex child registry path tag
  local -A of_index=()
  while read -r hex child; do of_index[$hex]+=" $child"; done <"$walk_folder/children"
  while IFS=$'\t' read -r file n kind of _; do
    hex=${file##*/}
    read -r registry path <<<"${walk_place[$n]}"
    for child in ${of_index[$hex]:-}; do
      [[ ${walk_known["$n $child"]:-} ]] || walk_ask "$n" "$child" child "sha256:$hex"
    done
    if [[ ${walk_lists["$registry/$path"]:-} != no ]]; then walk_referrers "$n" "sha256:$hex" "sha256:$hex"; fi
    for tag in "sha256-$hex" "sha256-$hex".{sig,att,sbom}; do
      if [[ ${walk_tags["$registry/$path"]} != '?' && ${walk_tags["$registry/$path"]} != *" $tag "* ]]; then continue; fi
      if [[ $tag == *.* ]]; then walk_ask "$n" "$tag" tagged "sha256:$hex"; else walk_referrers "$n" "sha256:$hex" "$tag"; fi
    done
  done <"$walk_folder/fresh"
}

# By answer that lists referrers: the image, what they hang on, and how it was asked.
declare -gA walk_questions=()

# Asks for a list of what hangs on a manifest: by its digest, by the tag that stands in, or by a later page.
walk_referrers() { # n digest question
  local registry path out kind=referrers
  read -r registry path <<<"${walk_place[$1]}"
  [[ $3 != sha256-* ]] || kind=manifests
  out=$walk_folder/answers/$((walk_count += 1))
  walk_questions[$out]="$1 $2 $3"
  registry_ask "$registry" "$path" "$kind" "$3" "$out"
}

# Asks for every manifest in the lists that came. A registry without the API says so in several ways.
walk_hanging() {
  local out n digest question referrer code next lists=() later=()
  for out in "${!walk_questions[@]}"; do
    read -r n digest question <<<"${walk_questions[$out]}"
    code=0
    registry_outcome "$out" || code=$?
    if [[ $question != sha256-* && ${REGISTRY_STATUS[$out]} =~ ^40[045]$ ]]; then
      walk_lists["${walk_place[$n]/ //}"]=no
      continue
    fi
    case $code in
      0) lists+=("$out") ;;
      65) ;;
      *) walk_miss "$n" "$code" "$REGISTRY_WHY" ;;
    esac
  done
  if ((${#lists[@]} == 0)); then
    walk_questions=()
    return
  fi
  sign_read 'if type == "object" and (.manifests | type) == "array" then .manifests[] | .digest | if sha then . else error("no digest") end else error("no list") end' \
    "${lists[@]}" >"$walk_folder/lists" || sign_broken
  while IFS=$'\t' read -r out referrer; do
    read -r n digest question <<<"${walk_questions[$out]}"
    if [[ $referrer == '!' ]]; then
      walk_miss "$n" 65 "the registry's list of what hangs on $digest makes no sense"
    elif [[ ! ${walk_known["$n $referrer"]:-} ]]; then
      walk_ask "$n" "$referrer" referrer "$digest"
    fi
  done <"$walk_folder/lists"
  for out in "${lists[@]}"; do
    read -r n digest _ <<<"${walk_questions[$out]}"
    next=$(walk_next "$out" referrers/)
    if [[ $next == '?' ]]; then
      walk_miss "$n" 69 "the registry's list of what hangs on $digest has a next page that it does not name"
    elif [[ $next ]]; then later+=("$n" "$digest" "$next"); fi
  done
  walk_questions=()
  for ((n = 0; n < ${#later[@]}; n += 3)); do walk_referrers "${later[@]:n:3}"; done
}
