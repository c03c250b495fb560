"""The apps as a user has them: served by `symtheory explore`, opened in headless Chromium."""

import re
import socket
import subprocess
import sys
import time

import pytest


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """name of an app ("" for the index) -> its address; served from an empty folder, its cache outlives the run."""
    pytest.importorskip("marimo", reason="the extra `explore` is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("served")
    log = folder / "log"
    command = [sys.executable, "-m", "symtheory", "explore", "--no-browser", "--port", str(port)]
    with open(log, "w") as out:
        server = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        end = time.time() + 60
        while not (address := re.search(r"http://\S+access_token=\S+", log.read_text())):
            assert server.poll() is None and time.time() < end, log.read_text()  # noqa: PT018
            time.sleep(0.2)
        token = address[0].partition("access_token=")[2]
        yield lambda name: f"http://127.0.0.1:{port}/{name}{'/' * bool(name)}?access_token={token}"
    finally:
        server.terminate()
        server.wait(20)


class Page:
    """An open app with what went wrong in it."""

    def __init__(self, browser, address: str, width: int = 1300, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = context.new_page()
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", self._note)
        self.page.goto(address)

    def _note(self, request):
        if not re.match(r"(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|data:|blob:", request.url):
            self.outside.append(request.url)

    def wait(self, selector: str = "svg.chart", seconds: float = 120):
        self.page.wait_for_selector(selector, timeout=1000 * seconds)

    def charts(self) -> str:
        return self.page.evaluate("[...document.querySelectorAll('svg.chart')].map(e => e.outerHTML).join('')")

    def until_charts_change(self, before: str, seconds: float = 60) -> float:
        """Seconds until the charts differ from `before`."""
        start = time.perf_counter()
        while self.charts() in ("", before):
            assert time.perf_counter() < start + seconds, "the charts did not change"
            time.sleep(0.01)
        return time.perf_counter() - start

    def press(self, slider: str, key: str = "ArrowRight") -> float:
        """Press a key on the slider of this label; seconds until the charts changed."""
        handle = self.page.locator("marimo-slider").filter(has_text=slider).get_by_role("slider").first
        before = self.charts()
        handle.focus()
        self.page.keyboard.press(key)
        return self.until_charts_change(before)

    def pick(self, dropdown: str, option: str) -> None:
        before = self.charts()
        self.page.locator("marimo-dropdown").filter(has_text=dropdown).locator("select").first.select_option(
            label=option
        )
        self.until_charts_change(before)


@pytest.fixture
def open_app(served, chromium):
    opened: list[Page] = []

    def open_one(name: str, **options) -> Page:
        opened.append(Page(chromium, served(name), **options))
        return opened[-1]

    yield open_one
    for page in opened:
        page.page.context.close()
