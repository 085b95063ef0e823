"""Executes the notebooks of this folder and keeps what they show, but neither progress nor log: `make notebooks`."""

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Executes a notebook in a folder; it ends at the first cell that fails.

    Returns:
        The notebook with its outputs, without those on standard error.
    """
    book = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(book, kernel_name="python3", resources=place, record_timing=False).execute()
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return book


if __name__ == "__main__":
    for path in Path(__file__).parent.glob("*.ipynb"):
        with TemporaryDirectory() as folder:
            nbformat.write(executed(path, Path(folder)), path)
