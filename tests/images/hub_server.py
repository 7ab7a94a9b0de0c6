"""A stand-in for the Hugging Face hub on this machine: a dataset or model at one commit, as much as clients ask."""

import json
import threading
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import huggingface_hub

from tests.images.hugging import COMMIT

NAME = "team/animals"


class _Hub(BaseHTTPRequestHandler):
    """Answers for the files below `server.folder`; everything else is not there."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(asked)

    def answer(self, body=b""):
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((path, self.headers.get("Authorization")))
        name = self.server.name
        for start, reply in (
            (f"/api/datasets/{name}/revision/{COMMIT}", self.info),
            (f"/api/datasets/{name}/tree/{COMMIT}", self.tree),
            (f"/api/datasets/{name}/paths-info/{COMMIT}", self.tree),
            (f"/datasets/{name}/resolve/{COMMIT}/", self.file),
            (f"/api/models/{name}/revision/{COMMIT}", self.info),
            (f"/api/models/{name}/tree/{COMMIT}", self.tree),
            (f"/{name}/resolve/{COMMIT}/", self.file),
        ):
            if path.startswith(start):
                return reply(path.removeprefix(start).strip("/"), body)
        if path in (f"/api/{kind}/{name}{end}" for kind in ("datasets", "models") for end in ("", "/revision/main")):
            return self.info()
        if path.startswith("/datasets/team/gated"):
            return self.reply(b"", 403, {"X-Error-Code": "GatedRepo"})
        return self.absent("RepoNotFound")

    def info(self, *_):
        about = {"id": self.server.name, "sha": COMMIT, "siblings": self.siblings(), "tags": []}
        self.reply(json.dumps(about).encode())

    def siblings(self):
        return [{"rfilename": self.entry(path)["path"]} for path in self.server.folder.rglob("*") if path.is_file()]

    def tree(self, below, body):
        files = [self.entry(path) for path in sorted(self.server.folder.rglob("*")) if path.is_file()]
        wanted = json.loads(body)["paths"] if body.startswith(b"{") else None
        found = [one for one in files if one["path"].startswith(below) and (wanted is None or one["path"] in wanted)]
        self.reply(json.dumps(found).encode())

    def entry(self, path):
        name, content = path.relative_to(self.server.folder).as_posix(), path.read_bytes()
        return {"type": "file", "path": name, "size": len(content), "oid": sha256(content).hexdigest()[:40]}

    def file(self, name, _):
        path = self.server.folder / name
        return self.reply(path.read_bytes()) if path.is_file() else self.absent("EntryNotFound")

    def absent(self, code):
        self.reply(b"", 404, {"X-Error-Code": code})

    def reply(self, content, status=200, headers=None):
        self.send_response(status)
        known = {
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{sha256(content).hexdigest()[:40]}"',
            "Content-Length": len(content),
        }
        for name, value in {**known, **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def hub_server(folder, name=NAME, asked=None):
    """Serve a folder as a dataset and model, beside the dataset team/gated, which is refused; yield the address.

    asked: gets the path and the token of every request.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    server.folder, server.name, server.asked = folder, name, [] if asked is None else asked
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def the_hub(folder, cache, monkeypatch):
    """Let the clients of this process find a folder on the hub as team/animals; yield what they ask for."""
    asked, constants = [], huggingface_hub.constants
    with hub_server(folder.absolute(), asked=asked) as endpoint:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("{")[2]
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{endpoint}/{{{template}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        yield asked
