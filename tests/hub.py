"""As much of a model hub as pushing and fetching a repository takes, on this machine."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


@contextmanager
def local_hub():
    """Serve a hub; yield its address and the files of its repositories, by repository and name."""
    repos = {}

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def answer(self, value, status=200, **headers):
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, one in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name.replace("_", "-"), one)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            if path == "/api/repos/create":
                given = json.loads(body)
                name = f"{given['organization']}/{given['name']}"
                repos.setdefault(name, {})
                self.answer({"url": f"{self.server.address}/{name}"})
            elif path == "/api/validate-yaml":
                self.answer({"errors": [], "warnings": []})
            elif "/preupload/" in path:
                files = [one["path"] for one in json.loads(body)["files"]]
                kept = [{"path": one, "uploadMode": "regular", "shouldIgnore": False} for one in files]
                self.answer({"files": kept})
            elif "/commit/" in path:
                name = path.removeprefix("/api/models/").partition("/commit/")[0]
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        repos[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                commit = {"commitUrl": f"{self.server.address}/{name}/commit/{COMMIT}", "commitOid": COMMIT}
                self.answer({**commit, "success": True})
            else:
                self.answer({"error": path}, 404)

        def do_GET(self):
            path = self.path.partition("?")[0]
            if path.startswith("/api/models/"):
                name = "/".join(path.split("/")[3:5])
                files = repos.get(name)
                if files is None:
                    self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
                elif "/tree/" in path:
                    self.answer([
                        {"type": "file", "path": file, "size": len(one), "oid": hashlib.sha1(one).hexdigest()}
                        for file, one in files.items()
                    ])  # fmt: skip
                else:
                    siblings = [{"rfilename": file} for file in files]
                    self.answer({"id": name, "sha": COMMIT, "private": False, "tags": [], "siblings": siblings})
                return
            owner, name, _, _, *file = path.strip("/").split("/")
            content = repos.get(f"{owner}/{name}", {}).get("/".join(file))
            if content is None:
                self.answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
                return
            etag = f'"{hashlib.sha1(content).hexdigest()}"'
            self.answer(content, ETag=etag, X_Repo_Commit=COMMIT)

        do_HEAD = do_GET  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.address, repos
        server.shutdown()
