# What mends a fault, by rule. Written by policy/rego-render from rules.tsv; do not edit.
package lib.remedies

of := {
	"image-pinned": "write REGISTRY/ORG/[PROJECT/]SERVICE[:TAG]@sha256:DIGEST in lower case, never :latest (oras resolve prints the digest)",
	"image-registry": "take it from a registry on the list (policy/registries.txt), named in full: import it there if it is elsewhere",
	"non-root": "set runAsNonRoot: true and a user by a number from 1 on, in the pod or container (Compose: user, Containerfile: USER)",
	"probes": "give what runs on and on a livenessProbe and a readinessProbe (Compose: healthcheck, Containerfile: HEALTHCHECK)",
	"privileged": "leave out privileged, allowPrivilegeEscalation: true and whatever else switches confinement off",
	"capabilities": "leave out the capabilities that are added: drop ALL and listen above port 1024",
	"host-access": "leave the host's network, processes, devices and folders out: use a volume of the engine",
	"add-url": "ADD with --checksum=sha256:…, or COPY what was fetched and checked before",
	"labels": "label the image with org.opencontainers.image.title, .version and .revision",
	"input": "make it whole, readable YAML or JSON of at most 3 MiB without variables (docker compose config fills them in)",
	"image-signed": "have it signed in its repository by a key of policy/trust (airgap/bundle import countersigns what it accepts)",
	"promoted": "have it promoted: a release namespace runs only images with a promotion attestation",
}
