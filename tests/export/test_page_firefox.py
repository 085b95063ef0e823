"""The page in Firefox, beside `kerasgan translate`; all that a visitor can do is tried in Chromium."""

import io
import socket
import threading
import time
import zipfile

import numpy as np
import pydicom
import pytest
from made_up_series import compress, head, pixels, write_series
from marionette_driver.marionette import Marionette
from needed import program
from pydicom import uid

from kerasgan.export.page import page_server
from kerasgan.translation.translate import translate

SECONDS = 120


@pytest.fixture
def firefox(tmp_path):
    """A headless Firefox, which saves into the folder `saved`."""
    path = program("firefox-esr", "firefox", package="firefox-esr")
    (tmp_path / "saved").mkdir()
    saving = {"browser.download.folderList": 2, "browser.download.dir": str(tmp_path / "saved")}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]  # 2828 may be that of another test
    browser = Marionette(
        port=port, bin=path, headless=True, gecko_log=str(tmp_path / "log"), prefs=saving, startup_timeout=SECONDS
    )
    browser.start_session()
    yield browser
    browser.quit()


def wait(browser, condition):
    """Waits until JavaScript finds a condition true."""
    end = time.monotonic() + SECONDS
    while not browser.execute_script(f"return Boolean({condition})"):
        assert time.monotonic() < end, condition
        time.sleep(0.1)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless, uid.JPEGLosslessSV1])
def test_a_compressed_series_is_translated_and_saved(firefox, site, tmp_path, syntax):
    source = write_series(tmp_path / "source", head((6, 24, 22)))
    translate(site / "model/model.tflite", source, tmp_path / "package")
    compress(source, syntax)
    with page_server(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        firefox.navigate(f"http://127.0.0.1:{server.server_port}/")
        wait(firefox, "!document.body.classList.contains('busy')")
        firefox.find_element("id", "files").send_keys("\n".join(map(str, source.iterdir())))
        wait(firefox, "document.getElementById('series').textContent || document.getElementById('error').textContent")
        assert firefox.find_element("id", "error").text == ""
        assert firefox.find_element("id", "series").text == "MR series 7: 6 slices of 24 x 22, 1.5 x 2 x 3 mm"
        firefox.find_element("id", "target").send_keys("\ue00e")  # Page Up
        assert firefox.find_element("id", "slice-number").text == "5 of 6"
        firefox.find_element("id", "save-dicom").click()
        saved = tmp_path / "saved" / "synthetic-ct.zip"
        end = time.monotonic() + SECONDS
        while not (saved.exists() and zipfile.is_zipfile(saved)):
            assert time.monotonic() < end, list(saved.parent.iterdir())
            time.sleep(0.1)
        server.shutdown()
    archive = zipfile.ZipFile(saved)
    written = [pydicom.dcmread(io.BytesIO(archive.read(name))).pixel_array for name in sorted(archive.namelist())]
    assert np.abs(np.stack(written).astype(int) - pixels(tmp_path / "package")).max() <= 1
