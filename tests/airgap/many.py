"""many.py MEDIUM N [KEY.key KEY.pub REPOSITORY]: a bundle of N tiny images of ten blobs each, on one medium, yet to be signed; vouched for, or
with a key signed for release."""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile

medium, count, key = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
os.makedirs(f"{medium}/blobs/sha256")
os.makedirs(f"{medium}/files")
blobs = {}
OCI, BUNDLE = "application/vnd.oci.image", "application/vnd.dev.sigstore.bundle.v0.3+json"


def store(content, kind):
    digest = hashlib.sha256(content).hexdigest()
    with open(f"{medium}/blobs/sha256/{digest}", "wb") as file:
        file.write(content)
    blobs[f"sha256:{digest}"] = {"size": len(content), "medium": 1}
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}


def text(thing):
    return json.dumps(thing, separators=(",", ":"), sort_keys=True).encode()


def signed(content):
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return subprocess.run(["openssl", "dgst", "-sha256", "-sign", key[0], file.name], check=True, capture_output=True).stdout


def statement(image):
    payload = text({"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {},
                    "subject": [{"digest": {"sha256": image["digest"][7:]}, "annotations": {"purpose": "release", "repository": key[2]}}]})
    signature = signed(b"DSSEv1 28 application/vnd.in-toto+json %d " % len(payload) + payload)
    layer = store(text({"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": hint}}, "dsseEnvelope": {
        "payload": base64.b64encode(payload).decode(), "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": base64.b64encode(signature).decode()}]}}), BUNDLE)
    config = store(b"{}", "application/vnd.oci.empty.v1+json")
    return [config, layer], store(text({"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": [layer],
                                        "artifactType": BUNDLE, "subject": image}), f"{OCI}.manifest.v1+json")


hint = None
if key:
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", key[1], "-outform", "DER"], check=True, capture_output=True).stdout
    hint = base64.b64encode(hashlib.sha256(der).digest()).decode()
images = []
for n in range(count):
    held = [store(b"image %d" % n, f"{OCI}.config.v1+json")] + [store(b"blob %d of %d" % (b, n), f"{OCI}.layer.v1.tar") for b in range(9)]
    own = store(text({"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": held[0], "layers": held[1:]}), f"{OCI}.manifest.v1+json")
    image = {"reference": f"outside.test/mini/app:{n + 1}", "path": "mini/app", "tag": str(n + 1), "digest": own["digest"], "mediaType": own["mediaType"], "kind": "image",
             "platforms": [], "rule": {"rule": "vouched", "who": "ada", "until": "2099-01-01T00:00:00Z", "why": "a test"}, "manifests": [own | {"kind": "image"}]}
    if key:
        more, referrer = statement(own)
        held += more
        image["rule"] = {"rule": "signed", "purpose": "release"}
        image["manifests"].append(referrer | {"kind": "referrer", "of": own["digest"]})
    images.append(image | {"blobs": sorted({blob["digest"] for blob in held})})
with open(f"{medium}/manifest.json", "wb") as file:
    file.write(text({"type": "bundle/v1", "purpose": "bundle", "audience": "mini", "signer": "bundle", "stream": "many", "serial": 1, "previous": "",
                     "created": "2026-01-01T00:00:00Z", "expires": "2098-01-01T00:00:00Z", "media": 1, "base": None, "images": images, "blobs": blobs, "files": []}))
