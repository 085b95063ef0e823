"""Gives the documentation site each notebook of this folder as a page, with what it shows; named in mkdocs.yml."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

FOLDER = Path(__file__).parent


def on_files(files: Files, config: Any) -> Files:
    """Adds a page for each notebook, and the pictures in it."""
    for path in FOLDER.glob("*.ipynb"):
        page, kept = MarkdownExporter().from_filename(str(path), {"unique_key": path.stem})
        for name, content in {f"{path.stem}.md": page, **kept["outputs"]}.items():
            files.append(File.generated(config, f"docs/{FOLDER.name}/{name}", content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lets links to a notebook lead to its page."""
    return re.sub(rf"({FOLDER.name}/[\w-]+)\.ipynb\)", r"\1.md)", markdown)
