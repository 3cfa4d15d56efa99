"""The page in headless Chromium: it fits a phone, complains of nothing and asks for nothing."""

import json
import re
import shutil
import subprocess
import threading
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.report.page.conftest import Written

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

LOOK = """<!doctype html><title>look</title><pre id="seen"></pre><script>
const seen = {};
const frames = [["phone", 390, "light"], ["desktop", 1200, "light"], ["dark", 1200, "dark"]];
let waiting = frames.length;
for (const [name, width, scheme] of frames) {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px";
  frame.style.height = "900px";
  frame.style.colorScheme = scheme;
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    seen[name] = {
      overflow: root.scrollWidth - root.clientWidth,
      cells: [...page.querySelectorAll("td")].map(cell => cell.textContent),
      value: page.querySelector(".value strong").textContent,
      drawn: [...page.querySelectorAll(".drawing svg")].filter(
        svg => svg.checkVisibility()).map(svg => svg.getBoundingClientRect().width),
      card: getComputedStyle(page.querySelector(".card")).backgroundColor,
      errors: page.querySelectorAll("parsererror").length,
    };
    if (--waiting == 0) document.getElementById("seen").textContent = JSON.stringify(seen);
  };
  frame.src = "report.html";
  document.body.append(frame);
}
</script>"""
"""A page that has the report in frames as wide as a phone and as a desktop, and measures it.

A frame has the colours that its owner wants, so that one of them is dark.
"""


class Browser:
    """What Chromium saw of a page, what it asked the server for, and what it complained of."""

    def __init__(self, html: str, profile: Path) -> None:
        pages = {"/report.html": html, "/look.html": LOOK}
        self.requests: list[str] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                content = pages.get(self.path, "").encode()
                self.send_response(200 if content else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/look.html"
        try:
            done = subprocess.run(
                [
                    str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu",
                    "--disable-dev-shm-usage", "--disable-background-networking",
                    "--no-first-run", f"--user-data-dir={profile}",
                    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                    "--enable-logging=stderr", "--timeout=60000", "--dump-dom", address,
                ],
                capture_output=True, text=True, check=True, timeout=120,
            )  # fmt: skip
        finally:
            server.shutdown()
            server.server_close()
        found = re.search('<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found is not None, done.stderr
        self.seen = json.loads(unescape(found[1]))
        self.complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]


pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")


@pytest.fixture(scope="module")
def browser(written: Written, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(written.html, tmp_path_factory.mktemp("profile"))


def test_it_renders_without_complaint_and_asks_for_nothing(browser: Browser) -> None:
    assert browser.complaints == []
    # The icon is that of the page that measures, as the report has one of its own.
    assert set(browser.requests) <= {"/look.html", "/report.html", "/favicon.ico"}
    assert browser.requests.count("/report.html") == len(browser.seen)


def test_its_numbers_are_those_of_the_result(browser: Browser, written: Written) -> None:
    for width in ("phone", "desktop"):
        seen = browser.seen[width]
        assert seen["value"] == str(written.run.nodes["a"].accuracy)
        for node in written.run.nodes.values():
            assert f"{node.accuracy.mean:.2f} ± {node.accuracy.std:.2f}" in seen["cells"]


def test_it_is_no_wider_than_a_phone(browser: Browser) -> None:
    for width in ("phone", "desktop"):
        assert browser.seen[width]["overflow"] == 0
        assert len(browser.seen[width]["drawn"]) > 5
        assert all(100 < each < 1200 for each in browser.seen[width]["drawn"])


def test_it_is_dark_where_the_reader_wants_it(browser: Browser) -> None:
    assert browser.seen["desktop"]["card"] == "rgb(255, 255, 255)"
    assert browser.seen["dark"]["card"] == "rgb(27, 31, 37)"
