"""An npm that fetches nothing: it writes the files that the page takes from its packages."""

import sys

from kerasgan.export.page import VENDOR

FILES = dict.fromkeys(VENDOR.values(), "wasm") | {
    "@litertjs/core/dist/index.js": 'import {x} from "@litertjs/wasm-utils";\n',
    "@litertjs/wasm-utils/dist/index.js": "export const x = 1;\n",
}


def write_npm(folder, body="install()"):
    """Writes a folder to be put on PATH; `body` is what its npm does. Its calls are listed in `calls` there."""
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(f"""#!{sys.executable}
import os, pathlib, sys

def install():
    for name, text in {FILES!r}.items():
        path = pathlib.Path("node_modules", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

with open({str(folder / "calls")!r}, "a") as calls:
    print(os.getcwd(), *sys.argv[1:], *sorted(os.listdir()), file=calls)
{body}
""")
    npm.chmod(0o755)
    return folder
