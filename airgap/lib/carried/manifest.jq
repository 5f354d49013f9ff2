# What a bundle's manifest.json must look like (format.md). `faults` gives one sentence for each thing that is wrong; `rows` what the
# shell works with. Nothing in it may be believed before its signature was verified.

# Anchored by \A and \z: $ also matches before a line end.
def id: type == "string" and test("\\A[a-z0-9]+(-[a-z0-9]+)*\\z") and length <= 63;
def instant: type == "string" and test("\\A[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z\\z");
def sha: type == "string" and test("\\Asha256:[0-9a-f]{64}\\z");
def whole($least; $most): type == "number" and . == floor and . >= $least and . <= $most;
def bytes: whole(0; 9007199254740991);
def plain: type == "string" and test("\\A[!-~]{1,512}\\z");
# What stands between spaces, and needs no escaping.
def word: plain and (test("[\"\\\\]") | not);
def hex: type == "string" and test("\\A[0-9a-f]{64}\\z");
def sentence: type == "string" and test("\\A[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]{1,500}\\z");
def tag: type == "string" and test("\\A[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\\z");
# Where an image lies inside. The organisation airgap is for marks and receipts.
def place: type == "string" and length <= 200 and test("\\A[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*){1,2}\\z") and (startswith("airgap/") | not)
  and (test("-(dev|beta|rc)/") or test("-(dev|beta|rc)-(dev|beta|rc)\\z") | not);
def source: type == "string" and length <= 500
  and test("\\A[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?(/[a-z0-9]+(-[a-z0-9]+)*){2,3}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?\\z");
def file: type == "string" and length <= 500 and test("\\Afiles(/[A-Za-z0-9_][A-Za-z0-9._+@~-]{0,127}){1,8}\\z");

# How another's text is told: without what would write on a terminal, and not at length.
def told: tojson[:100] | gsub("[^ -~]"; "?");

def fields($wanted; $allowed): . as $object | ($wanted - ($object | keys)) + (($object | keys) - $wanted - $allowed)
  | map("the field \(told) is missing or unknown");
def twice: group_by(.) | map(select(length > 1)[0]);

def head_faults($audience):
  if type != "object" then ["it is no object"]
  elif .type != "bundle/v1" then ["it is of type \(.type | told), and only bundle/v1 is understood here: export it in that format, or bring a newer airgap/bundle"]
  elif .purpose != "bundle" then ["it serves \(.purpose | told), not \"bundle\""]
  elif .audience != $audience then ["it is for \(.audience | told), not for \"\($audience)\": it went to the wrong place"]
  else fields(["type", "purpose", "audience", "signer", "stream", "serial", "previous", "created", "expires", "media", "base", "images", "blobs", "files"]; [])
    + if (.signer | id) and (.stream | id) and (.stream | test("(\\A|-)(dev|beta|rc)\\z") | not) then [] else ["its signer or stream is not lower-case words with '-' between them"] end
    + if .serial | whole(1; 999999999) then [] else ["its serial is not 1, 2, 3, …"] end
    + if .previous == "" or ((.previous | sha) and .serial != 1) then [] else ["it does not say which manifest it follows"] end
    + if (.created | instant) and (.expires | instant) and .created < .expires then [] else ["it is not good from one time (2026-01-31T00:00:00Z) to a later one"] end
    + if .media | whole(1; 9999) then [] else ["its number of media is none"] end
    + if .base == null or (.base | type == "object" and ((keys == ["receipts"] and (.receipts | type == "array" and length > 0 and all(.[]; sha)))
        or (keys == ["manifest"] and (.manifest | sha)))) then [] else ["its base is neither null nor receipts nor a manifest"] end
    + if (.images | type) == "array" and (.blobs | type) == "object" and (.files | type) == "array" then [] else ["its images, blobs or files are no lists"] end
  end;

# What is not carried (medium 0) must be inside, which only a delta says.
def blob_faults: . as $bundle | (if .base == null then 1 else 0 end) as $least
  | [.blobs | to_entries[] | select((.key | sha and (length == 71)) and (.value | type == "object" and keys == ["medium", "size"] and (.size | bytes)
      and (.medium | whole($least; $bundle.media))) | not) | "the blob \(.key | told) has no sound digest, size or medium"];

def file_faults: . as $bundle
  | [.files[] | select(type == "object" and keys == ["medium", "path", "sha256", "size"] and (.path | file) and (.size | bytes)
      and (.sha256 | hex) and (.medium | whole(1; $bundle.media)) | not)
      | "the file \(.path? // . | told) has no sound path, size, SHA-256 or medium"]
  + if [.files[] | .path?] | . == unique then [] else ["its files are not sorted by path, each once"] end;

def rule_faults($kind): if type != "object" then ["its rule is no object"]
  elif ($kind == "image") != (.rule | IN("signed", "keyless", "vouched")) then ["its rule \(.rule | told) is none for a thing of kind \($kind | told)"]
  elif (.rule == "signed" and keys == ["purpose", "rule"] and (.purpose | IN("release", "import", "promotion")))
    or (.rule == "keyless" and keys == ["identity", "issuer", "root", "rule", "sha256"] and (.root | id) and (.sha256 | hex) and (.identity | word) and (.issuer | word))
    or (.rule == "vouched" and keys == ["rule", "until", "who", "why"] and (.who | plain) and (.until | instant) and (.why | sentence))
    or (.rule == "bundle" and keys == ["rule"]) then []
  else ["its rule is neither signed for a purpose nor vouched for by somebody until a time with a reason nor keyless by a root for an identity and an issuer"] end;

# A manifest in an image's list; $listed has the image's manifests by digest.
def listed_faults($image; $listed; $blobs; $largest): . as $one
  | (keys - ["of", "tag"]) as $keys
  | if $keys != ["digest", "kind", "mediaType", "size"] then ["a manifest of it has missing or unknown fields"]
    elif (.digest | type) != "string" or $blobs[.digest] == null then ["the manifest \(.digest | told) is not among the blobs"]
    elif .size != $blobs[.digest].size or .size > $largest then ["the manifest \(.digest | told) has another size there, or one that no manifest has"]
    elif .mediaType | plain | not then ["the manifest \(.digest | told) has no media type"]
    elif .kind == "image" then if has("of") or has("tag") or .digest != $image.digest then ["\(.digest) is not the image itself"] else [] end
    elif (.kind | IN("child", "referrer", "tagged") | not) or (.of | type) != "string" or $listed[.of] == null or .of == .digest then ["the manifest \(.digest) belongs to nothing in the list"]
    elif (if has("tag") then .kind | IN("tagged", "referrer") | not else .kind == "tagged" end) then ["the manifest \(.digest) has a tag it should not have, or none"]
    elif has("tag") and (.of as $of | .tag | type != "string" or (startswith("sha256-" + $of[7:] + ".") and tag | not)) then ["the manifest \(.digest) has a tag that does not belong to \(.of)"]
    else [] end;

def image_faults($blobs; $largest): if type != "object" then ["it is no object"] else . as $image
  | fields(["reference", "path", "digest", "mediaType", "kind", "platforms", "rule", "manifests", "blobs"]; ["tag"]) as $faults
  | if $faults != [] then $faults
    elif (.manifests | type == "array" and length > 0 and all(.[]; type == "object")) and (.blobs | type) == "array" | not then ["its manifests or blobs are no lists"] else
      if .kind | IN("image", "chart", "policies") then [] else ["its kind is neither image nor chart nor policies"] end
      + if (.reference | plain) and (.rule.rule? != "signed" or (.reference | source)) then [] else ["its reference is no name of an image"] end
      + if .path | place then [] else ["its place inside, \(.path | told), is not ORG/[PROJECT/]SERVICE, or that of marks and receipts"] end
      + if (has("tag") | not) or (.tag | tag and (ascii_downcase != "latest") and (startswith("sha256-") or startswith("_") | not)) then [] else ["its tag \(.tag | told) is none that an image may have"] end
      + if .platforms | type == "array" and all(.[]; plain) then [] else ["its platforms are no words"] end
      + (.kind as $kind | .rule | rule_faults($kind))
      + (([.manifests[] | {key: (.digest | tostring), value: .}] | from_entries) as $listed
        | if ($listed | length) == (.manifests | length) then [] else ["a manifest stands twice in its list"] end
        + [.manifests[] | listed_faults($image; $listed; $blobs; $largest)[]]
        + if ([.manifests[] | select(.kind == "image")] | length) == 1 and $listed[.digest | tostring].mediaType == .mediaType then []
          else ["its list has not one manifest that is the image, of its media type"] end)
      + (if (.blobs | all(.[]; type == "string" and $blobs[.] != null)) then [] else ["a blob of it is not among the blobs"] end)
      + (if (.blobs | unique | length) == (.blobs | length) then [] else ["a blob stands twice in its list"] end)
    end end;

def faults($audience; $largest): head_faults($audience) as $head | if $head != [] then $head else
  (blob_faults + file_faults) as $first | if $first != [] then $first else . as $bundle
    | [.images | to_entries[] | .key as $n | .value | (.reference? | if plain then . else "number \($n + 1)" end) as $name
        | image_faults($bundle.blobs; $largest)[] | "image \($name): \(.)"] as $each
    | if $each != [] then $each else
      ([.images[] | "\(.path)\(if has("tag") then ":" + .tag else "@" + .digest end)"] | twice | map("two images would lie in \(.)"))
      # What is tagged twice would be decided by who comes last.
      + ([.images[] | .path as $path | .manifests[] | select(.tag) | "\($path):\(.tag) \(.digest)"] | unique | map(split(" ")[0]) | twice | map("two things would be called \(.)"))
      + ([.images[] | .manifests[].digest, .blobs[]] | map({key: ., value: true}) | from_entries) as $named
      | [.blobs | keys_unsorted[] | select($named[.] == null)] | map("no image has the blob \(.), which is carried or taken for granted")
    end end end;

# A keyless rule in words.
def keyless: "\(.root) \(.sha256) \(.identity) \(.issuer)";

# The repository of a reference.
def repository: sub("@.*"; "") | sub(":[^/]*\\z"; "");

# E medium, size, SHA-256, path: whatever lies on a medium. M HEX: a manifest. I number, own medium, digest, path, repository, rule,
# purpose, keyless rule in words or who, until: an image.
def rows: . as $bundle
  | (.blobs | to_entries[] | ["E", .value.medium, .value.size, .key[7:], "blobs/sha256/" + .key[7:]]),
    (.files[] | ["E", .medium, .size, .sha256, .path]),
    ([.images[].manifests[].digest] | unique[] | ["M", .[7:]]),
    (.images | to_entries[] | .value as $image | ["I", .key, $bundle.blobs[$image.digest].medium, $image.digest, $image.path, ($image.reference | repository),
      $image.rule.rule, ($image.rule | if .rule == "keyless" then keyless else .purpose // .who // "-" end), $image.rule.until // "-"])
  | map(tostring) | join("\t");
