"""A visitor of the page in the browser."""

import threading

from kerasgan.export.page import page_server

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


class Visitor:
    """A page that is open, and the hosts it has asked."""

    def __init__(self, browser, folder, **device):
        self.server = page_server(folder)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.page = browser.new_page(**device)
        self.asked, self.errors = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"http://127.0.0.1:{self.server.server_port}/")
        self.wait()

    def wait(self):
        self.page.wait_for_selector("body:not(.busy)", timeout=120_000)

    def open(self, *files):
        self.page.set_input_files("#files", [str(file) for file in files])
        self.wait()
        return self.page.inner_text("#error") if self.page.is_visible("#error") else ""

    def save(self, kind):
        with self.page.expect_download() as download:
            self.page.click(f"#save-{kind}")
        return download.value.path()

    def close(self):
        self.page.close()
        self.server.shutdown()
        self.server.server_close()
