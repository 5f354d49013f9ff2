# What a document must say that breaks the glass. policy/break-glass.md is the manual.
include "trust";
include "promotion";

# `$rules` are those that can be broken, `$most` the seconds that it may last.
def glass_faults($rules; $most): if type != "object" then ["it is no object"] else
  fields(["type", "audience", "purpose", "id", "signer", "by", "reason", "from", "until", "covers", "rules", "follows"]; [])
  + if (.id | id) and (.signer | id) then [] else ["its id and signer are not lower-case words"] end
  + if (.reason | sentence) and (.by | sentence) then [] else ["it does not say who opened it and why"] end
  + if (.from | moment) and (.until | moment) and .from < .until and (.until | fromdateiso8601) - (.from | fromdateiso8601) <= $most then []
    else ["it does not last from one time until another, \($most / 3600) hours later at most"] end
  + if (.covers | type) == "object" and (.covers
      | (keys == ["namespace"] and (.namespace | type == "string" and test("\\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\z")))
        or (keys == ["image"] and (.image | type == "string" and test("\\A[!-~]{1,400}@sha256:[0-9a-f]{64}\\z")))) then []
    else ["it covers neither one namespace nor one image by its digest"] end
  + if (.rules | type) == "array" and .rules != [] and .rules - $rules == [] then []
    else ["its rules are not some of those that are known"] end
  + if (.follows | type) == "object" and (.follows | keys == ["head", "lines"] and (.lines | whole(0)) and (.head | type) == "string") then []
    else ["it does not say which line of the log it followed"] end end;
