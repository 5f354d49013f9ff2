# Two bills of material out of one list of components. Input: what `cargo metadata` says for the platforms we ship.
# $checksums: NAME VERSION → SHA-256 of the crate. $recorded: what the binaries say they are made of. $release: version, commit,
# made (time of the commit), source.

# The packages that the root is made of, without what only its tests need.
def reached: .resolve as $resolve | ($resolve.nodes | map({key: .id, value: [.deps[]
      | select(any(.dep_kinds[]; .kind != "dev")) | .pkg]}) | from_entries) as $edges
  | {seen: {($resolve.root): true}, next: [$resolve.root]}
  | until(.next == []; .seen as $seen | ([.next[] | $edges[.][]] | unique | map(select($seen[.] | not))) as $new
      | {seen: ($seen + ($new | map({key: ., value: true}) | from_entries)), next: $new})
  | .seen;

# One component a package, sorted: {id, name, version, license, checksum, source, uses: [id…], build: only a build needs it}.
def components: reached as $seen
  | (.resolve.nodes | map({key: .id, value: .}) | from_entries) as $nodes
  | ($recorded | map(select(.kind == "build")) | map("\(.name) \(.version)")) as $build
  | [.packages[] | select($seen[.id]) | "\(.name) \(.version)" as $id
    | {id: $id, name, version, license: ((.license // "NOASSERTION") | gsub(" */ *"; " OR ")), source: (.repository // ""),
       description: (.description // ""), checksum: ($checksums[$id] // ""), root: (.source == null),
       build: ([$id] - $build == []),
       package: .id}]
  | sort_by(.id) | . as $all | ($all | map({key: .package, value: .id}) | from_entries) as $names
  | map(.uses = ([$nodes[.package].deps[] | select(any(.dep_kinds[]; .kind != "dev")) | $names[.pkg] // empty] | unique));

# The URL of a package: crates by registry, the root by its source.
def purl: if .root then "pkg:generic/\(.name)@\(.version)?vcs_url=git%2B\($release.source | @uri)%40\($release.commit)"
  else "pkg:cargo/\(.name)@\(.version)" end;

def spdx_id: "SPDXRef-\(.name | gsub("[^A-Za-z0-9.-]"; "-"))-\(.version | gsub("[^A-Za-z0-9.-]"; "-"))";

# SPDX 2.3 as JSON.
def spdx: components as $all | ($all | map({key: .id, value: spdx_id}) | from_entries) as $ids | ($all[] | select(.root)) as $root
  | {spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: "\($root.name)-\($release.version)",
     documentNamespace: "\($release.source)/spdx/\($release.commit)",
     creationInfo: {created: $release.made, creators: ["Tool: mini-api-scripts-release"]},
     documentDescribes: [$ids[$root.id]],
     packages: [$all[] | {SPDXID: $ids[.id], name, versionInfo: .version, downloadLocation: "NOASSERTION", filesAnalyzed: false,
       licenseConcluded: "NOASSERTION", licenseDeclared: .license, copyrightText: "NOASSERTION",
       externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: purl}]}
       + if .checksum == "" then {} else {checksums: [{algorithm: "SHA256", checksumValue: .checksum}]} end
       + if .root then {primaryPackagePurpose: "APPLICATION"} else {} end],
     relationships: ([{spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: $ids[$root.id]}]
       + [$all[] | .id as $user | .uses[] | . as $used | ($all[] | select(.id == $used).build) as $build
         | if $build then {spdxElementId: $ids[$used], relationshipType: "BUILD_DEPENDENCY_OF", relatedSpdxElement: $ids[$user]}
           else {spdxElementId: $ids[$user], relationshipType: "DEPENDS_ON", relatedSpdxElement: $ids[$used]} end])};

# CycloneDX 1.6 as JSON. Its serial number follows from the commit, so that the same commit gives the same document.
def cyclonedx: components as $all | ($all[] | select(.root)) as $root
  | def component: {type: "library", "bom-ref": .id, name, version, purl: purl,
      licenses: [if .license == "NOASSERTION" then {license: {name: "unknown"}} else {expression: .license} end]}
      + if .checksum == "" then {} else {hashes: [{alg: "SHA-256", content: .checksum}]} end;
  ($release.commit | "\(.[0:8])-\(.[8:12])-5\(.[13:16])-8\(.[17:20])-\(.[20:32])") as $uuid
  | {bomFormat: "CycloneDX", specVersion: "1.6", serialNumber: "urn:uuid:\($uuid)", version: 1,
     metadata: {timestamp: $release.made, tools: {components: [{type: "application", name: "mini-api-scripts-release"}]},
       component: ($root | component + {type: "application"})},
     components: [$all[] | select(.root | not) | component + {scope: (if .build then "excluded" else "required" end)}],
     dependencies: [$all[] | {ref: .id, dependsOn: .uses}]};

# What the list and the binaries do not agree on, a sentence each.
def disagreements: (components | map(.id)) as $listed | ($recorded | map("\(.name) \(.version)") | unique) as $inside
  | (($listed - $inside)[] | "\(.) is listed, and in no binary"), (($inside - $listed)[] | "\(.) is in a binary, and not listed");
