"""A small service: who may read reports or change systems is Keyward's to say."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from keyward_client import Keyward, Refused

KEYWARD = Keyward(os.environ.get("KEYWARD_TARGET", "127.0.0.1:50051"), "production")


class Backend(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answers every method."""
        path = self.path.partition("?")[0]
        try:
            self.send(200, {"Content-Type": "application/json"}, self.answer(path))
        except LookupError:
            self.send(404, {}, b"")
        except Refused as refused:
            self.send(refused.status, refused.header_fields(), refused.body())

    do_POST = do_PUT = do_DELETE = do_GET

    def answer(self, path):
        """The body for a path."""
        if path == "/healthz":
            return b'"good"'
        if path == "/reports":
            identity = self.identity(permission="reports.read")
            return json.dumps({"reports": [], "key": identity.key_id, "domain": identity.domain}).encode()
        if path.startswith("/api/systems/"):
            # The route map of the key's domain says what a system needs.
            identity = self.identity()
            return json.dumps({"system": path.rpartition("/")[2], "key": identity.key_id, "user": identity.user}).encode()
        raise LookupError(path)

    def identity(self, permission=""):
        """Whose key the request has; Refused if it may not."""
        return KEYWARD.authorize(self.headers, self.command, self.path, permission, self.client_address[0])

    def send(self, status, fields, body):
        """Sends an answer."""
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        # What a client has sent with its request is not read, so that the connection cannot be used again.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def main():
    """Serves until it is interrupted."""
    host, _, port = os.environ.get("LISTEN", "127.0.0.1:8081").rpartition(":")
    with ThreadingHTTPServer((host, int(port)), Backend) as server:
        print(f"listening on {host}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
