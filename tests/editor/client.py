"""A minimal editor: it talks to `ktgc lsp` over stdin and stdout, as the protocol says."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue
from typing import Any

PATIENCE = 60
"""Seconds after which an answer does not come any more."""


class Client:
    """One session. `diagnostics` are the last that came for each text."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ktgdsl", "lsp", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
        )
        self._numbers = 0
        self._came: Queue[dict[str, Any]] = Queue()
        self.errors: list[str] = []
        self.shown: list[str] = []
        self._readers = [
            threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    def start(self, **capabilities: Any) -> dict[str, Any]:
        """Shake hands; what the server can do."""
        params = {"processId": None, "rootUri": None, "capabilities": capabilities}
        found: dict[str, Any] = self.ask("initialize", params)["capabilities"]
        self.tell("initialized", {})
        return found

    def tell(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def send(self, method: str, params: Any) -> int:
        """Send a request; its number."""
        self._numbers += 1
        self._send({"id": self._numbers, "method": method, "params": params})
        return self._numbers

    def answer(self, number: int) -> dict[str, Any]:
        """The message that answers a request, with a `result` or an `error`."""
        return self._await(lambda message: message.get("id") == number)

    def ask(self, method: str, params: Any) -> Any:
        """The result of a request."""
        message = self.answer(self.send(method, params))
        assert "error" not in message, message["error"]
        return message["result"]

    def refusal(self, method: str, params: Any) -> str:
        """Why a request is refused."""
        message = self.answer(self.send(method, params))
        text: str = message["error"]["message"]
        return text

    def open(self, uri: str, text: str, version: int = 1) -> list[dict[str, Any]]:
        """Open a text; its diagnostics."""
        document = {"uri": uri, "languageId": "ktg", "version": version, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return self.diagnostics(uri, version)

    def change(self, uri: str, text: str, version: int) -> None:
        """Type, so that a text is this one."""
        params = {
            "textDocument": {"uri": uri, "version": version},
            "contentChanges": [{"text": text}],
        }
        self.tell("textDocument/didChange", params)

    def close(self, uri: str) -> None:
        """Close a text."""
        self.tell("textDocument/didClose", {"textDocument": {"uri": uri}})

    def diagnostics(self, uri: str, version: int | None = None) -> list[dict[str, Any]]:
        """The next diagnostics that are published for a version of a text."""

        def wanted(message: dict[str, Any]) -> bool:
            params = message.get("params", {})
            return (
                message.get("method") == "textDocument/publishDiagnostics"
                and params["uri"] == uri
                and (version is None or params.get("version") == version)
            )

        found: list[dict[str, Any]] = self._await(wanted)["params"]["diagnostics"]
        return found

    def stop(self) -> int:
        """Say goodbye; the exit code."""
        self.ask("shutdown", None)
        self.tell("exit", None)
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code

    def _await(self, wanted: Any) -> dict[str, Any]:
        while True:
            message = self._came.get(timeout=PATIENCE)
            if message.get("method") == "window/showMessage":
                self.shown.append(message["params"]["message"])
            if wanted(message):
                return message

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))
        self.process.stdin.flush()

    def _read(self) -> None:
        """Take all that comes; what is no message breaks the session."""
        out = self.process.stdout
        assert out is not None
        while line := out.readline():
            headers = [line]
            while (line := out.readline()) not in (b"\r\n", b""):
                headers.append(line)
            lengths = [h for h in headers if h.startswith(b"Content-Length: ")]
            if len(lengths) != 1:
                self._came.put({"garbage": headers})
                return
            self._came.put(json.loads(out.read(int(lengths[0].split()[1]))))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line.decode("utf-8", "replace"))
