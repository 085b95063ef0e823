"""Builds the documentation site as static files, each version in a folder of its own.

site/0.2.0/        the pages and the reference of a version; those of former versions stay
site/latest/       the newest one again, so that links from elsewhere last
site/index.html    leads to `latest`
site/versions.json what the selector at the top of each page offers

Put the published folder into `site` before a release is built, and publish it afterwards: any host of files will do.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
LEADS_ON = """<!doctype html>
<meta charset="utf-8">
<title>kerasgan</title>
<meta http-equiv="refresh" content="0; url=latest/">
"""


def build(site: Path) -> None:
    """Builds the version of the checkout. Strict: a link that leads nowhere ends the build."""
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    quiet = {"DISABLE_MKDOCS_2_WARNING": "true", "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(site / version)]
    subprocess.run(command, check=True, cwd=CHECKOUT, env={**os.environ, **quiet})
    offer(site)


def offer(site: Path) -> None:
    """Makes `latest` of the newest version in a site, and lists all of them, the newest first."""
    found = [path.name for path in site.iterdir() if path.name[0].isdigit()]
    newest, *former = sorted(found, key=lambda name: [int(part) for part in name.split(".")], reverse=True)
    shutil.rmtree(site / "latest", ignore_errors=True)
    shutil.copytree(site / newest, site / "latest")
    listed = [{"version": name, "title": name, "aliases": ["latest"] * (name == newest)} for name in (newest, *former)]
    (site / "versions.json").write_text(json.dumps(listed, indent=1) + "\n")
    (site / "index.html").write_text(LEADS_ON)


if __name__ == "__main__":
    build(CHECKOUT / "site")
