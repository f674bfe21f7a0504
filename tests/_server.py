"""A real HTTP server on the loopback, which misbehaves on demand."""

import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `files`, a dict of paths and bytes, and counts the requests for each.

    `faults` maps a path to the status of an error, such as 500, or to ``"drop"``: the connection
    is closed in the middle of the file.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, int | str] = {}
        self.requests: Counter[str] = Counter()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests[self.path] += 1
        fault = self.server.faults.get(self.path)
        if isinstance(fault, int) or self.path not in self.server.files:
            self.send_error(fault or 404)
            return
        content = self.server.files[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "drop" else content)

    def log_message(self, *args):
        pass


@contextmanager
def file_server():
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
