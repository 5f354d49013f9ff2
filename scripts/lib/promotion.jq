# What a promotion says, and what is wrong with one. policy/promotion.md is the manual, policy/promotion.schema.json the same form.
include "trust";

# A time that there is: the 30th of February is none.
def moment: instant and ((fromdateiso8601 | todateiso8601) == .);
# A repository, never a pattern of some.
def place: repository and (endswith("*") | not);

def promotion_faults: if type != "object" then ["it is no object"] else
  fields(["audience", "purpose", "repository", "promoted", "until", "reason"]; ["from", "version"])
  + if .audience | id then [] else ["its audience is not lower-case words with '-' between them"] end
  + if .purpose == "promotion" then [] else ["its purpose is not promotion"] end
  + if .repository | place then [] else ["its repository is not written REGISTRY/PATH"] end
  + if (.promoted | moment) and (.until | moment) and .promoted < .until then []
    else ["it does not hold from one time (2026-01-31T00:00:00Z) until a later one"] end
  + if .reason | sentence then [] else ["its reason is no sentence"] end
  + if (has("from") | not) or (.from | place) then [] else ["from is not written REGISTRY/PATH"] end
  + if (has("version") | not) or (.version | type == "string" and test("\\A[0-9A-Za-z][0-9A-Za-z.+-]{0,79}\\z")) then []
    else ["its version is not one"] end end;

# Why a promotion does not let an image of this repository run now; nothing when it does.
def promotion_why($audience; $repository; $now): (promotion_faults[0] // empty | "is not well-formed: \(.)"),
  (if .audience != $audience then "is for the organisation \(.audience), not for \($audience)"
  elif .repository != $repository then "is for \(.repository)"
  elif $now < .promoted then "does not hold before \(.promoted) (here it is \($now))"
  elif $now >= .until then "does not hold since \(.until) (here it is \($now))"
  else empty end);
