# What a trust file says, as Kyverno's policies say it. policy/signatures calls this; a text in JSON is one in CEL.

# The keys of some purposes.
def keys_of($purposes): .keys[] | select((has("revoked") | not) and (.purpose | IN($purposes[])));
def attestor: "key_" + gsub("-"; "_");

# The attestors, as YAML.
def attestors: [keys_of(["release", "import", "promotion"])] | if . == [] then "  attestors: []" else "  attestors:", (.[] | "    - name: \(.id | attestor)
      cosign:
        key:
          data: |
\(.public | rtrimstr("\n") | split("\n") | map("            " + .) | join("\n"))
        ctlog: {insecureIgnoreTlog: true, insecureIgnoreSCT: true}") end;

# That a key may speak for repository `i.repository` now.
def may: "time.now() >= timestamp(\(.from | @json)) && time.now() < timestamp(\(.until | @json)) &&
      (\(.repositories | map(if endswith("/*") then "i.repository.startsWith(\(.[:-1] | @json))" else "i.repository == \(@json)" end) | join(" || "))) &&";

# That it signed image `i` for its purpose and in its repository. To Kyverno every statement is an attestation; asked for a signature it would
# take anything that is attested for one.
def signed: "verifyAttestationSignatures(i.image, attestations.signature, [attestors.\(.id | attestor)]) > 0 &&
      [extractPayload(i.image, attestations.signature)].exists(s, s.subject.size() == 1 &&
        s.subject[0].?annotations.?purpose.orValue(\"\") == \(.purpose | @json) && s.subject[0].?annotations.?repository.orValue(\"\") == i.repository)";

# That it promoted it, by what is well-formed (scripts/lib/promotion.jq) and holds now.
def promoted($audience): "verifyAttestationSignatures(i.image, attestations.promotion, [attestors.\(.id | attestor)]) > 0 &&
      [extractPayload(i.image, attestations.promotion).predicate].exists(p,
        p.all(name, name in [\"audience\", \"purpose\", \"repository\", \"promoted\", \"until\", \"reason\", \"from\", \"version\"]) &&
        [\"audience\", \"purpose\", \"repository\", \"promoted\", \"until\", \"reason\"].all(name, name in p && type(p[name]) == string) &&
        p.audience == \($audience | @json) && p.purpose == \"promotion\" && p.repository == i.repository && p.reason.matches(r\"^\\PC{1,500}$\") &&
        [p.promoted, p.until].all(t, t.matches(r\"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z$\")) &&
        [\"from\", \"version\"].all(name, !(name in p) || type(p[name]) == string && p[name].matches(
          name == \"from\" ? r\"^[a-z0-9.:-]+(/[a-z0-9]+(-[a-z0-9]+)*)+$\" : r\"^[0-9A-Za-z][0-9A-Za-z.+-]{0,79}$\")) &&
        time.now() >= timestamp(p.promoted) && time.now() < timestamp(p.until))";

# Any of the keys.
def any(f): [.[] | "(\(may)\n      \(f))"] | if . == [] then "false" else join(" ||\n    ") end;
def signers: [keys_of(["release", "import"])] | any(signed);
def promoters: .audience as $audience | [keys_of(["promotion"])] | any(promoted($audience));
