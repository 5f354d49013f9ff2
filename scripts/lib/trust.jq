# What a trust file must look like. `faults` gives one sentence for each thing that is wrong.

# Anchored by \A and \z: $ also matches before a line end.
def id: type == "string" and test("\\A[a-z0-9]+(-[a-z0-9]+)*\\z") and length <= 63;
def instant: type == "string" and test("\\A[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z\\z");
# An ECDSA key on P-256 in the one spelling that openssl gives it, so that one key is never two texts.
def public: type == "string" and test("\\A-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE[A-Za-z0-9+/]{28}\n[A-Za-z0-9+/]{57}[AQgw]==\n-----END PUBLIC KEY-----\n\\z");
def repository: type == "string" and test("\\A[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+(-[a-z0-9]+)*)*/(\\*|[a-z0-9]+(-[a-z0-9]+)*)\\z");
# What a person wrote and another will read on a terminal.
def sentence: type == "string" and test("\\A[^\\p{Cc}]{1,500}\\z");
def whole($least): type == "number" and . == floor and . >= $least;

# What a key may sign; those that speak for repositories name them.
def of_images: ["release", "import", "promotion"];
def purposes: of_images + ["bundle", "receipt", "retention", "evidence", "break-glass"];

def fields($wanted; $allowed): . as $object | ($wanted - ($object | keys)) + (($object | keys) - $wanted - $allowed)
  | map("the field \"\(.)\" is missing or unknown");

def root_faults: if type != "object" then ["it is no object"] else
  fields(["id", "public"]; [])
  + if .id | id then [] else ["its id is not lower-case words with '-' between them"] end
  + if .public | public then [] else ["its public key is no ECDSA key on P-256 as openssl writes it"] end end;

def key_faults: if type != "object" then ["it is no object"] else . as $key
  | fields(["id", "public", "purpose", "repositories", "from", "until"]; ["revoked"])
  + if .id | id then [] else ["its id is not lower-case words with '-' between them"] end
  + if .public | public then [] else ["its public key is no ECDSA key on P-256 as openssl writes it"] end
  + if .purpose | IN(purposes[]) then [] else ["its purpose is none of \(purposes | join(", "))"] end
  + if (.repositories | type) != "array" or (.repositories | all(repository) | not)
    then ["its repositories are not written REGISTRY/PATH or REGISTRY/PATH/*"]
    elif (.purpose | IN(of_images[])) != (.repositories != [])
    then ["keys for \(of_images | join(", ")) name repositories, and no others do"] else [] end
  + if (.from | instant) and (.until | instant) and .from < .until then []
    else ["it is not valid from one time (2026-01-31T00:00:00Z) until a later one"] end
  + if has("revoked") | not then []
    elif (.revoked | type) == "object" and (.revoked | keys) == ["reason", "since"] and (.revoked.since | instant)
      and (.revoked.reason | sentence) then []
    else ["its revocation does not say since when and why"] end end;

def twice: group_by(.) | map(select(length > 1)[0]);

def faults: if type != "object" then ["it is no object"] else
  fields(["type", "audience", "purpose", "version", "previous", "issued", "roots", "keys"]; [])
  + if .type == "trust/v1" and .purpose == "trust" then [] else ["its type and purpose are not trust/v1 and trust"] end
  + if .audience | id then [] else ["its audience is not lower-case words with '-' between them"] end
  + if .version | whole(1) then [] else ["its version is not 1, 2, 3, …"] end
  + if .version == 1 and .previous == "" then []
    elif .version != 1 and (.previous | type == "string" and test("\\Asha256:[0-9a-f]{64}\\z")) then []
    else ["it does not say which file it follows: previous is sha256:… of it, or empty in version 1"] end
  + if .issued | instant then [] else ["issued is not a time such as 2026-01-31T00:00:00Z"] end
  + if (.roots | type) != "object" or (.roots | keys) != ["keys", "threshold"] or (.roots.keys | type) != "array"
      or (.keys | type) != "array" then ["it has no roots with a threshold, or no keys"]
    else
      (if (.roots.threshold | whole(1)) and .roots.threshold <= (.roots.keys | length) then []
        else ["its threshold is not from 1 to the number of its roots"] end)
      + [.roots.keys | to_entries[] | .key as $n | .value | (.id? // $n) as $name | root_faults[] | "root \($name): \(.)"]
      + [.keys | to_entries[] | .key as $n | .value | (.id? // $n) as $name | key_faults[] | "key \($name): \(.)"]
      + ([.roots.keys[], .keys[] | objects | .id] | twice | map("two keys are called \(.)"))
      + ([.roots.keys[], .keys[] | objects | .public] | twice | map("one public key stands there twice"))
    end end;

# What version after `$old` must not have done: an id always means one key, and nothing said of it is taken back.
def step_faults($old): . as $new
  | (if .version == $old.version + 1 then [] else ["it is version \(.version), and follows \($old.version)"] end)
  + (if .audience == $old.audience then [] else ["it is for \(.audience), the one before for \($old.audience)"] end)
  + (if .issued >= $old.issued then [] else ["it was issued before the one it follows"] end)
  + [$old.keys[] | . as $was | ($new.keys | map(select(.id == $was.id))[0]) as $is
    | if $is == null then "key \(.id) is gone: revoke it instead"
      elif $is.public != .public or $is.purpose != .purpose then "key \(.id) is another: give it another id"
      elif has("revoked") and $is.revoked != .revoked then "the revocation of key \(.id) was taken back or altered"
      else empty end]
  + [$old.roots.keys[] | . as $was | $new.roots.keys[] | select(.id == $was.id and .public != $was.public)
    | "root \(.id) is another: give it another id"];
