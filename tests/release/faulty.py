"""Stands before a registry and shows faults that a real one cannot be made to show.

faulty.py PORT UPSTREAM CA CERTIFICATE KEY FAULTS: FAULTS is a file of lines PATTERN<TAB>FAULT, read at each request; a path that
matches gets the fault: a status code, `page` (a Link header to a next page), `garbage` (no JSON), `wrong` (other bytes), `flood` (a list of three hundred referrers).
"""

import http.client
import http.server
import json
import re
import ssl
import sys
from pathlib import Path

PORT, UPSTREAM, CA, CERTIFICATE, KEY, FAULTS = sys.argv[1:7]
TRUSTED = ssl.create_default_context(cafile=CA)
PASSED = ("Content-Type", "Docker-Content-Digest", "WWW-Authenticate", "Location")


class Handler(http.server.BaseHTTPRequestHandler):
    """Passes GET on, with one fault at most."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802, the name is http.server's
        fault = next((kind for pattern, kind in faults() if re.search(pattern, self.path)), "")
        if fault.isdigit():
            self.answer(int(fault), {}, b"no")
            return
        host, port = UPSTREAM.split(":")
        upstream = http.client.HTTPSConnection(host, int(port), context=TRUSTED, timeout=20)
        headers = {name: value for name, value in self.headers.items() if name in ("Accept", "Authorization")}
        upstream.request("GET", self.path, headers=headers)
        response = upstream.getresponse()
        body = response.read()
        kept = {name: response.headers[name] for name in PASSED if response.headers[name]}
        if fault == "page":
            kept["Link"] = f'<{self.path}?n=1>; rel="next"'
        if fault == "garbage":
            body = b"<html>"
        if fault == "wrong":
            body += b" "
        if fault == "flood":
            body = json.dumps({"schemaVersion": 2, "manifests": [{"digest": f"sha256:{n:064x}"} for n in range(300)]}).encode()
        self.answer(response.status, kept, body)

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The test asks for no log."""


def faults() -> list[tuple[str, str]]:
    return [tuple(line.split("\t")) for line in Path(FAULTS).read_text(encoding="utf-8").splitlines()]


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
