"""Hands out tokens for a registry, as Harbor and GitLab do: GET /token?service=…&scope=repository:NAME:ACTIONS with a name and password.

tokens.py PORT CERTIFICATE KEY SIGNING-CERTIFICATE SIGNING-KEY USER:PASSWORD LOG. What it gave stands in LOG, one line a token."""

import base64
import http.server
import json
import ssl
import subprocess
import sys
import time
import urllib.parse

PORT, CERTIFICATE, KEY, SIGNER, SIGNING_KEY, LOGIN, LOG = sys.argv[1:8]


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(signature: bytes) -> bytes:
    """The two numbers of an ECDSA signature out of their DER."""
    first = signature[4 : 4 + signature[3]]
    second = signature[6 + signature[3] :]
    return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (first, second))


def token(service: str, scope: str) -> str:
    now = int(time.time())
    _, name, actions = scope.split(":")
    with open(SIGNER, encoding="ascii") as file:
        certificate = "".join(line.strip() for line in file if "-----" not in line)
    claims = {"iss": "test", "sub": "reader", "aud": service, "exp": now + 300, "nbf": now - 5, "iat": now, "jti": str(time.time_ns()),
              "access": [{"type": "repository", "name": name, "actions": actions.split(",")}]}
    signed = ".".join(text(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ES256", "x5c": [certificate]}, claims))
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", SIGNING_KEY], input=signed.encode(), capture_output=True, check=True)
    return f"{signed}.{text(raw(done.stdout))}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802, the name is http.server's
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        known = self.headers.get("Authorization") == "Basic " + base64.b64encode(LOGIN.encode()).decode()
        body = b"{}"
        if known and "scope" in query:
            body = json.dumps({"token": token(query["service"][0], query["scope"][0])}).encode()
            with open(LOG, "a", encoding="utf-8") as file:
                file.write(query["scope"][0] + "\n")
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:  # noqa: N802, some clients ask for OAuth2 first, and go on when there is none
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
