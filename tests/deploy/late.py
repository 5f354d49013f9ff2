"""late.py PORT CERTIFICATE KEY SECONDS: a server over TLS that answers 200 to everything, and whose Date is so many seconds off."""

import http.server
import ssl
import sys
import time


class Late(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + int(sys.argv[4]))


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Late)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
