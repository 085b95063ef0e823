#!/usr/bin/env bash
# Makes sdist and wheel of what is committed, and tries them as a stranger would, all in a temporary folder; what passed is
# put into dist/. Nothing is uploaded.
#
#   release/build.sh          # or: make release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
checkout=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "Building sdist and wheel of $(git describe --always --dirty)"
mkdir "$work/source"
git archive HEAD | tar -x -C "$work/source"
"${PYTHON:-python3}" -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet build twine
"$work/tools/bin/python" -m build --outdir "$work/dist" "$work/source" > "$work/log" || { cat "$work/log"; exit 1; }
"$work/tools/bin/pip" wheel --quiet --no-deps --wheel-dir "$work/direct" "$work/source"

echo "Comparing the wheel of the sdist with that of the checkout"
"$work/tools/bin/python" - "$work"/dist/*.whl "$work"/direct/*.whl << 'EOF'
import sys, zipfile
first, second = ({one.filename: one.CRC for one in zipfile.ZipFile(path).infolist()} for path in sys.argv[1:])
sys.exit(f"They differ in: {sorted(dict(first.items() ^ second.items()))}" if first != second else 0)
EOF
"$work/tools/bin/twine" check --strict "$work"/dist/*

echo "Installing the wheel into a bare environment"
"${PYTHON:-python3}" -m venv "$work/bare"
"$work/bare/bin/pip" install --quiet "$work"/dist/*.whl
cd "$work"
bare/bin/python -c 'import zipfile; zipfile.ZipFile("'"$checkout"'/tests/fixtures/run-0.1.0.zip").extractall("former")'
export XDG_CACHE_HOME="$work/cache"
bare/bin/kerasgan --version
bare/bin/kerasgan inspect former/mr.nii.gz
bare/bin/kerasgan translate demo former/mr.nii.gz first-look.nii.gz
bare/bin/kerasgan translate former/model.tflite former/mr.nii.gz synthetic.nii.gz
bare/bin/python - << 'EOF'
import importlib.util, kerasgan, numpy as np
assert not importlib.util.find_spec("tensorflow"), "TensorFlow came with the wheel."
found, expected = (kerasgan.read_volume(path).array for path in ("synthetic.nii.gz", "former/expected_ab.nii.gz"))
assert np.abs(found - expected).max() <= 1, "The TFLite model gives other values than it gave in version 0.1.0."
EOF

mkdir -p "$checkout/dist"
mv "$work"/dist/* "$checkout/dist/"
ls -l "$checkout/dist"
