"""Orthanc, a real PACS, on loopback; and a study of a patient who must show up nowhere."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import pydicom
import pytest
from needed import needed, program

PLUGINS = Path("/usr/share/orthanc/plugins")
TITLE = "ORTHANC"
PATIENT = {"PatientName": "Zaphod^Beeblebrox", "PatientID": "ID-47110815", "PatientBirthDate": "19420811"}
STUDY = "1.2.826.0.1.3680043.8.498.4711"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Orthanc:
    """The program with its own folder.

    Attributes:
        web: Address of its DICOMweb.
        dimse: Address of its DIMSE.
        receiver: Port to which it sends for C-MOVE.
        ports: All three, to start another one in its place.
    """

    def __init__(
        self, folder: Path, allows_get: bool = True, ports: tuple[int, int, int] | None = None, **changes: object
    ) -> None:
        needed((PLUGINS / "libOrthancDicomWeb.so").exists(), "apt install orthanc-dicomweb")
        http, dicom, self.receiver = ports or (free_port(), free_port(), free_port())
        ours = {"AET": "KERASGAN", "Host": "127.0.0.1", "Port": self.receiver}
        rights = {f"Allow{one}": True for one in ("Echo", "Find", "Move", "Store")} | {"AllowGet": allows_get}
        settings = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so")],
            "HttpPort": http,
            "DicomPort": dicom,
            "DicomAet": TITLE,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": False,
            "DicomModalities": {"ours": ours | rights},
            "OverwriteInstances": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
        }
        folder.mkdir(exist_ok=True)
        (folder / "orthanc.json").write_text(json.dumps(settings | changes))
        self.ports = http, dicom, self.receiver
        self.http = f"http://127.0.0.1:{http}"
        self.web, self.dimse = f"dicomweb://127.0.0.1:{http}/dicom-web", f"dicom://{TITLE}@127.0.0.1:{dicom}"
        self._storescu = ["-aet", "KERASGAN", "-aec", TITLE, "+sd", "127.0.0.1", str(dicom)]
        self._log = (folder / "log").open("w")
        command = [program("Orthanc", package="orthanc"), str(folder / "orthanc.json")]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        waiting = [http, dicom]
        for _ in range(600):
            with suppress(ConnectionError):
                socket.create_connection(("127.0.0.1", waiting[0])).close()
                waiting.pop(0)
            if not waiting:
                return
            assert self._process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        self.stop()
        pytest.fail((folder / "log").read_text())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def receive(self, folder: Path) -> None:
        """Sends the files of a folder to it, as a scanner does."""
        subprocess.run([program("storescu", package="dcmtk"), *self._storescu, str(folder)], check=True)

    def ask(self, path: str):
        with urlopen(self.http + path) as answer:
            return json.load(answer)

    def images(self, modality: str) -> list[pydicom.Dataset]:
        """The images of a modality, without their pixels."""
        found = []
        for one in self.ask("/instances"):
            with urlopen(f"{self.http}/instances/{one}/file") as answer:
                found.append(pydicom.dcmread(BytesIO(answer.read())))
        return [one for one in found if one.Modality == modality]
