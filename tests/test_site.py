"""The documentation site with a folder for each version."""

import json
import runpy
from pathlib import Path

offer = runpy.run_path(str(Path(__file__).parents[1] / "release" / "site.py"))["offer"]


def test_the_newest_version_is_the_latest_and_former_ones_stay(tmp_path):
    for version in ("0.9.0", "0.10.0", "0.2.1"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "index.html").write_text(version)
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "gone.html").touch()  # of a page that the newest version has no more
    offer(tmp_path)
    listed = json.loads((tmp_path / "versions.json").read_text())
    assert [(one["version"], one["aliases"]) for one in listed] == [
        ("0.10.0", ["latest"]),
        ("0.9.0", []),
        ("0.2.1", []),
    ]
    assert [path.name for path in (tmp_path / "latest").iterdir()] == ["index.html"]
    assert (tmp_path / "latest" / "index.html").read_text() == "0.10.0"
    assert (tmp_path / "0.9.0" / "index.html").read_text() == "0.9.0"
    assert 'content="0; url=latest/"' in (tmp_path / "index.html").read_text()
