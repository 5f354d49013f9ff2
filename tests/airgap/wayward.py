"""Stands before a registry and does as registries may do to those who write.

wayward.py PORT UPSTREAM CA CERTIFICATE KEY RULES LOGIN: RULES is a file read at each request, a line `METHOD<TAB>PATTERN<TAB>WHAT[<TAB>MORE]` for each: a
status (MORE: where it sends us), or `run` (MORE: a command, once; then the request goes on). A line `bearer<TAB>SECONDS` has it hand out tokens, each for
the repositories it was asked for, and good for so long. Passwords are not looked at: the registry behind is spoken to as LOGIN.
"""

import base64
import http.client
import http.server
import json
import re
import ssl
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

PORT, UPSTREAM, CA, CERTIFICATE, KEY, RULES, LOGIN = sys.argv[1:8]
TRUSTED = ssl.create_default_context(cafile=CA)
TO_UPSTREAM = ("accept", "content-type", "host", "range")
FROM_UPSTREAM = ("content-type", "docker-content-digest", "location", "link", "docker-upload-uuid")
done: set[str] = set()


def token(scopes: list[str], seconds: float) -> str:
    return base64.urlsafe_b64encode(json.dumps({"scopes": scopes, "ends": time.time() + seconds}).encode()).decode()


def admitted(header: str, address: urllib.parse.ParseResult) -> bool:
    """Whether a token is good now for the repository, and for the one that a blob is taken over from."""
    if not header.startswith("Bearer "):
        return False
    said = json.loads(base64.urlsafe_b64decode(header[7:]))
    found = re.match(r"/v2/(.+)/(manifests|blobs|referrers|tags)/", address.path)
    wanted = ([found[1]] if found else []) + urllib.parse.parse_qs(address.query).get("from", [])
    return said["ends"] > time.time() and all(any(scope.startswith(f"repository:{name}:") for scope in said["scopes"]) for name in wanted)


class Handler(http.server.BaseHTTPRequestHandler):
    """Passes every request on, unless a rule has something else to say."""

    protocol_version = "HTTP/1.1"

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        bearer = None
        for line in Path(RULES).read_text(encoding="utf-8").splitlines():
            rule = line.split("\t")
            if rule[0] == "bearer":
                bearer = float(rule[1])
            elif self.command == rule[0] and re.search(rule[1], self.path):
                if rule[2] != "run":
                    self.answer(int(rule[2]), {"Location": rule[3]} if len(rule) > 3 else {}, b"no")
                    return
                if line not in done:
                    done.add(line)
                    subprocess.run(rule[3], shell=True, check=True)
        address = urllib.parse.urlparse(self.path)
        if bearer and address.path == "/token":
            scopes = urllib.parse.parse_qs(address.query).get("scope", [])
            self.answer(200, {"Content-Type": "application/json"}, json.dumps({"token": token(scopes, bearer)}).encode())
        elif bearer and not admitted(self.headers.get("Authorization", ""), address):
            self.answer(401, {"WWW-Authenticate": f'Bearer realm="https://localhost:{PORT}/token",service="test"'}, b"{}")
        else:
            self.ask(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

    def ask(self, body: bytes) -> None:
        host, port = UPSTREAM.split(":")
        upstream = http.client.HTTPSConnection(host, int(port), context=TRUSTED, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() in TO_UPSTREAM}
        headers["Authorization"] = "Basic " + base64.b64encode(LOGIN.encode()).decode()
        upstream.request(self.command, self.path, body=body, headers=headers)
        response = upstream.getresponse()
        kept = {name: value for name, value in response.headers.items() if name.lower() in FROM_UPSTREAM}
        self.answer(response.status, kept, response.read(), response.headers.get("Content-Length"))

    def answer(self, status: int, headers: dict[str, str], body: bytes, length: str | None = None) -> None:
        print(self.command, self.path, status, flush=True)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Standard output has what the test asks for."""


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
