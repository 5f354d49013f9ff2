# What was judged, what is signed, and how it is told.

# The remedy of a rule, out of rules.tsv.
def remedy($rules; $rule): $rules | split("\n")[] | split("\t") | select(.[0] == $rule) | .[1];

# One object for a file, or for an object of a cluster: what was found in it, and what is known of its images. An image that nobody knows anything about is unknown.
def together($verdicts; $asked; $rules; $glasses):
  (.places | map(. + {signed: (if $asked then $verdicts[.image] // {code: 69, verdict: "unknown", key: "", why: "it was not asked"} else {code: 0} end)})) as $places
  | def unsigned($code): $places[] | select(.signed.code == $code)
      | (.signed.rule // "image-signed") as $rule | remedy($rules; $rule) as $remedy
      | {object, where, image, rule: $rule, remedy: $remedy, why: .signed.why, line: "\(.object), \(.where) (\(.image)): \($rule): \($remedy)"};
  # What a broken glass lets through.
  def glass: . as $fault | first($glasses[] | select(.image == $fault.image and (.rules | index($fault.rule)))) // null;
  [(.faults[] | select(.unknown | not)), unsigned(65)] as $refused
  | [(.faults[] | select(.unknown) | del(.unknown)), unsigned(69)] as $unsure
  | ($refused | map(select(glass | not))) as $faults | ($unsure | map(select(glass | not))) as $unknown
  | .excepted += ($refused + $unsure | map(glass as $glass | select($glass) + {reason: "the glass is broken until \($glass.until): \($glass.reason) (\($glass.id))"}))
  | del(.places, .wanted) + {verdict: (if $faults != [] then "refused" elif $unknown != [] then "unknown" else "admitted" end),
      images: ($places | map({reference: .image} + (.signed | del(.code, .reference, .rule)) | map_values(select(. != ""))) | unique),
      faults: $faults, unknown: $unknown};

# A text without what would write on a terminal, or turn it around.
def plain: explode | map(if . < 32 or (. >= 127 and . < 160) or (. >= 8203 and . <= 8207) or (. >= 8232 and . <= 8238) or (. >= 8294 and . <= 8297) then 65533 else . end) | implode;

# Why, and who made it, where there is something to say.
def because($owner): [.why // "", (if $owner == "" then "" else "made by \($owner)" end)] | map(select(. != "")) | if . == [] then "" else " (\(join("; ")))" end;

# The lines of a file in the table, or of an object with its namespace.
def table:
  (.file // .namespace) as $file | (.owner // "") as $owner | (
    (.faults[] | "refused  \($file): \(.line)\(because($owner))"),
    (.unknown[] | "unknown  \($file): \(.line)\(because($owner))"),
    (.excepted[] | "excepted \($file): \(.line) (\(.reason))"),
    (select(.verdict == "admitted" and .file) | "admitted \($file): " + (if .judged == 0 then "nothing in it runs anything" else
      "\(.judged) judged, images \(.images | length)" + ([.images[].key // empty] | unique | if . == [] then "" else " (key \(join(", ")))" end) end))
  ) | plain;

# What would become of an image if a key was revoked: how it is judged now, and how it would be then.
def fallen($after):
  if .code == 65 then "refused" elif .code == 69 or $after.code == 69 then "unknown" elif $after.code == 65 then "falls" else "stands" end;

def table_of_images: "\(.verdict)        "[:9] + "\(.reference)" + (if .why then ": \(.why)" else "" end) + (if .key then " (key \(.key))" else "" end) + " in \(.used | join(", "))" | plain;
