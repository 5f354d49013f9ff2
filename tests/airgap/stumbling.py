"""Stands before a registry and stumbles over large blobs, as networks do.

stumbling.py PORT UPSTREAM CA CERTIFICATE KEY FAULTS LOG: FAULTS is a file of lines PATTERN<TAB>FAULT, read at each request; a path
that matches gets the fault: a status code, `break N` (N bytes, and the line is cut), `wrong` (another last byte), `whole` (all of it, whatever
part was asked for), `elsewhere` (sent on to another place, in many words). LOG has a line for each blob that was asked for: its digest and the part.
"""

import http.client
import http.server
import re
import ssl
import sys
from pathlib import Path

PORT, UPSTREAM, CA, CERTIFICATE, KEY, FAULTS, LOG = sys.argv[1:8]
TRUSTED = ssl.create_default_context(cafile=CA)
PASSED = ("Content-Type", "Docker-Content-Digest", "WWW-Authenticate", "Content-Range", "Link")


class Handler(http.server.BaseHTTPRequestHandler):
    """Passes GET on, with one fault at most."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802, the name is http.server's
        fault = next((kind for pattern, kind in faults() if re.search(pattern, self.path)), "")
        if found := re.search(r"/blobs/sha256:([0-9a-f]{64})$", self.path):
            with open(LOG, "a", encoding="utf-8") as log:
                log.write(f"{found[1]} {self.headers.get('Range', 'all')}\n")
        if fault == "elsewhere" and not self.path.endswith("?"):
            self.answer(307, {"Location": self.path + "?"}, b"<html>" * 500, None)
            return
        if fault.isdigit():
            self.answer(int(fault), {}, b"no", None)
            return
        host, port = UPSTREAM.split(":")
        upstream = http.client.HTTPSConnection(host, int(port), context=TRUSTED, timeout=20)
        wanted = ("Accept", "Authorization") + (() if fault == "whole" else ("Range",))
        upstream.request("GET", self.path, headers={name: value for name, value in self.headers.items() if name in wanted})
        response = upstream.getresponse()
        body = response.read()
        if fault == "wrong":
            body = body[:-1] + bytes([body[-1] ^ 1])
        kept = {name: response.headers[name] for name in PASSED if response.headers[name]}
        self.answer(response.status, kept, body, int(fault.split()[1]) if fault.startswith("break") else None)

    def answer(self, status: int, headers: dict[str, str], body: bytes, most: int | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:most])
        if most is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """LOG has what the test asks for."""


def faults() -> list[tuple[str, str]]:
    return [tuple(line.split("\t")) for line in Path(FAULTS).read_text(encoding="utf-8").splitlines()]


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
