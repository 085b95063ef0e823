"""Shows a scan and its synthetic CT side by side in OHIF, the viewer, over Orthanc's DICOMweb, and takes a picture.

    python benchmarks/ohif.py

Needs what `.ci/run` installs, Chromium, npm and Orthanc with its DICOMweb plugin, and fetches `@ohif/app` by npm, 48 MB
that unpack to 208 MB: too much for every run of the tests. The patient is a phantom. `kerasgan translate` takes the
scan from the PACS and stores the result there; the picture on the page about clinics is what the viewer then shows.
"""

from __future__ import annotations

import argparse
import http.server
import subprocess
import sys
import tarfile
import tempfile
import threading
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from needed import program  # noqa: E402
from orthanc import Orthanc  # noqa: E402

PACKAGE = "@ohif/app@3.12.10"
PICTURE = ROOT / "docs" / "images" / "ohif.png"
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking")
SLICES, MIDDLE = 80, 40  # of the scan, and the one that is shown, counted from 0
SIZE = {"width": 1280, "height": 720}
CONFIGURATION = """window.config = {
  routerBasename: "/", extensions: [], modes: [], showStudyList: true, defaultDataSourceName: "orthanc",
  investigationalUseDialog: {option: "never"},
  dataSources: [{
    namespace: "@ohif/extension-default.dataSourcesModule.dicomweb", sourceName: "orthanc",
    configuration: {
      friendlyName: "Orthanc", name: "orthanc", qidoRoot: "/dicom-web", wadoRoot: "/dicom-web", wadoUriRoot: "/wado",
      qidoSupportsIncludeField: false, imageRendering: "wadors", thumbnailRendering: "wadors",
      supportsFuzzyMatching: false, supportsWildcard: true, omitQuotationForMultipartRequest: true,
    },
  }],
};
"""


class Site(http.server.SimpleHTTPRequestHandler):
    """The files of the viewer, with our configuration; what is asked of the PACS goes there, so that it is one site."""

    pacs = ""

    def do_GET(self) -> None:
        """Answers with a file, a page of the viewer, or what the PACS says."""
        path = urlsplit(self.path).path
        if path.startswith("/dicom-web"):
            wanted = {"Accept": self.headers.get("Accept", "*/*")}
            with urlopen(Request(self.pacs + self.path, headers=wanted)) as answer:
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.end_headers()
                self.wfile.write(answer.read())
        elif path == "/app-config.js":
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.end_headers()
            self.wfile.write(CONFIGURATION.encode())
        else:
            if not Path(self.translate_path(path)).is_file():
                self.path = "/index.html"
            super().do_GET()

    def end_headers(self) -> None:
        """Isolates the page, as its workers ask for."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing of each request."""


def fetched(folder: Path) -> Path:
    """The files of the viewer, fetched by npm unless they are there."""
    if not (folder / "package" / "dist" / "index.html").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([program("npm", package="npm"), "pack", "--silent", PACKAGE], cwd=folder, check=True)
        (archive,) = folder.glob("ohif-app-*.tgz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    return folder / "package" / "dist"


def fill(pacs: Orthanc, folder: Path) -> str:
    """Stores a phantom's MR in the PACS and lets kerasgan add the synthetic CT; returns the UID of the study."""
    import pydicom

    from kerasgan.phantom import Grid, make_head, render_mr
    from kerasgan.phantom.dicom import SeriesIdentity, write_series

    mr = render_mr(make_head(1, Grid((SLICES, 160, 128), (1.5, 1.5, 2.0))), seed=1)
    write_series(mr, SeriesIdentity("900_S_0001", "T1", 1, "benchmark"), folder)
    study = str(pydicom.dcmread(next(folder.glob("*.dcm"))).StudyInstanceUID)
    pacs.receive(folder)
    words = ["translate", "demo", f"{pacs.web}/studies/{study}", pacs.web]
    subprocess.run([sys.executable, "-m", "kerasgan", *words], check=True)
    return study


def take_picture(address: str, study: str, picture: Path) -> None:
    """Opens the study in two viewports, the MR left and the synthetic CT right, and takes a picture of them."""
    with sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=program("chromium", package="chromium"), args=[*FLAGS])
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{address}/viewer?StudyInstanceUIDs={study}")
        thumbnails = page.locator("[data-cy='study-browser-thumbnail']")
        thumbnails.nth(1).wait_for(timeout=120_000)
        page.get_by_text("Skip all").click()  # the viewer's tour
        page.click("[data-cy='Layout']")
        page.click("[data-cy='Layout-1-0']")  # one row, two columns
        viewports = page.locator("[data-cy='viewport-pane']")
        viewports.nth(1).click()
        thumbnails.nth(1).dblclick()
        page.locator("[data-cy='viewport-pane'] >> text=I:").nth(1).wait_for(timeout=60_000)
        for number in range(2):
            viewports.nth(number).hover()
            for _ in range(MIDDLE):
                page.mouse.wheel(0, 100)
                page.wait_for_timeout(100)
        page.mouse.move(5, 5)
        page.wait_for_timeout(3_000)
        taken = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        text, boxes = page.inner_text("body"), [viewports.nth(number).bounding_box() for number in range(2)]
        browser.close()
    for words in ("T1", "Synthetic CT", "W:\n400\nL:\n40", f"({MIDDLE + 1}/{SLICES})"):
        assert words in text, f"The viewer does not show {words!r}: {text}"
    for box in boxes:
        x, y, width, height = (round(box[side]) for side in ("x", "y", "width", "height"))
        assert taken[y : y + height, x : x + width].std() > 30, "A viewport is empty."
    cv2.imwrite(str(picture), taken, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def main() -> None:
    """Fetches the viewer, fills the PACS, and takes the picture."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--viewer", type=Path, default=ROOT / "build" / "ohif", help="where npm's files are kept")
    options.add_argument("--picture", type=Path, default=PICTURE, help="default docs/images/ohif.png")
    chosen = options.parse_args()
    files = fetched(chosen.viewer)
    with tempfile.TemporaryDirectory() as temporary:
        pacs = Orthanc(Path(temporary, "orthanc"))
        try:
            study = fill(pacs, Path(temporary, "scan"))
            Site.pacs = pacs.http
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(files)))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            take_picture(f"http://127.0.0.1:{server.server_port}", study, chosen.picture)
            server.shutdown()
        finally:
            pacs.stop()


if __name__ == "__main__":
    main()
