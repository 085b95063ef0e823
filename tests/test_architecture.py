"""Reads the imports of the package and holds them to its plan: two columns, and no imports from above."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import kerasgan

PACKAGE = Path(kerasgan.__file__).parent

# From the bottom to the top: a module imports from its own wing and from lines above its own, nothing else.
WINGS = [
    "errors",
    "files text metrics losses",
    "config",
    "registry recipes",
    "scans",
    "io phantom pictures networks",
    "datasets models",
    "runs",
    "training translation",
    "evaluation",
    "export",
    "distillation serving",
    "experiments",
    "api",
    "cli",
    "__main__",
]
MEDICAL = {"scans", "io", "phantom", "datasets", "metrics"}  # never TensorFlow
NEURAL = {"losses", "networks", "models"}  # never DICOM
TENSORFLOW = {"tensorflow", "keras", "ai_edge_litert"}
DICOM = {"pydicom", "SimpleITK"}
HEAVY = TENSORFLOW | DICOM | {"numpy", "cv2", "scipy", "skimage", "matplotlib"}


def part_of(name: str) -> str:
    """`kerasgan.io.dicom` -> `io`; `kerasgan` itself -> ``."""
    return [*name.split("."), ""][1]


@cache
def modules() -> dict[str, ast.Module]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("kerasgan", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def walk_at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Like `ast.walk`, without what only type checkers see."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from walk_at_run_time(child)


@cache
def imports(name: str) -> frozenset[str]:
    """Full names of what a module imports, at its top or inside functions."""
    found: set[str] = set()
    for node in walk_at_run_time(modules()[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import; the package writes full names."
            names = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {full if full in modules() else str(node.module) for full in names.values()}
    return frozenset(found)


def external(name: str) -> set[str]:
    return {imported.split(".")[0] for imported in imports(name)} - {"kerasgan"}


def reachable(name: str) -> set[str]:
    """All modules of the package that importing a module brings in, itself included."""
    seen, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += [imported for imported in imports(current) if imported in modules()]
    return seen


def rank(part: str) -> int:
    ranks = [number for number, line in enumerate(WINGS) if part in line.split()]
    assert ranks, f"kerasgan.{part} is no wing that this test knows; put the module into one, or add the wing to WINGS."
    return ranks[0]


@pytest.mark.parametrize("name", sorted(set(modules()) - {"kerasgan"}))
def test_imports_only_from_below(name):
    for imported in imports(name):
        if imported.startswith("kerasgan.") and part_of(imported) != part_of(name):
            assert rank(part_of(imported)) < rank(part_of(name)), f"{name} imports {imported}, which lies above it."


@pytest.mark.parametrize("name", sorted(name for name in modules() if part_of(name) in MEDICAL))
def test_medical_column_never_reaches_tensorflow(name):
    for reached in reachable(name):
        assert not external(reached) & TENSORFLOW, f"{name} brings in TensorFlow through {reached}."
        assert part_of(reached) not in NEURAL, f"{name} imports from the neural column: {reached}."


@pytest.mark.parametrize("name", sorted(name for name in modules() if part_of(name) in NEURAL))
def test_neural_column_never_reaches_dicom(name):
    for reached in reachable(name):
        assert not external(reached) & DICOM, f"{name} brings in {external(reached) & DICOM} through {reached}."
        assert part_of(reached) not in MEDICAL, f"{name} imports from the medical column: {reached}."


@pytest.mark.parametrize("name", sorted(name for name in modules() if part_of(name) not in ("cli", "__main__")))
def test_only_the_command_line_talks_to_the_terminal_and_the_environment(name):
    for node in ast.walk(modules()[name]):
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        assert called != "print", f"{name}:{node.lineno} prints; use logging.getLogger(__name__)."
        changed = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        assert changed != "os.environ", f"{name}:{node.lineno} touches the environment; only kerasgan.cli may."
    assert "typer" not in external(name)


def loaded_by(code: str, tmp_path: Path) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running some code."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    return set(result.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments, tmp_path):
    code = f"from kerasgan.cli import main\ntry:\n    main({arguments})\nexcept SystemExit:\n    pass"
    assert not loaded_by(code, tmp_path) & HEAVY


def test_import_loads_nothing_heavy(tmp_path):
    assert not loaded_by("import kerasgan; kerasgan.__version__; dir(kerasgan)", tmp_path) & HEAVY


@pytest.mark.parametrize(
    "module",
    [
        *("kerasgan.datasets", "kerasgan.io", "kerasgan.scans.preparation", "kerasgan.runs.run", "kerasgan.api"),
        *("kerasgan.evaluation.compare", "kerasgan.export.serving_contract", "kerasgan.export.pixels"),
        *("kerasgan.serving.translator", "kerasgan.serving.rest_transport"),
    ],
)
def test_reading_scans_and_checking_input_loads_no_tensorflow(module, tmp_path):
    assert not loaded_by(f"import {module}", tmp_path) & TENSORFLOW


def test_training_loads_neither_the_exporters_nor_litert(tmp_path):
    code = (
        "import kerasgan.api, kerasgan.training.train, kerasgan.training.segmentation\n"
        "above = ('kerasgan.export', 'kerasgan.distillation', 'kerasgan.serving')\n"
        "assert not [name for name in sys.modules if name.startswith(above)]"
    )
    assert "ai_edge_litert" not in loaded_by(code, tmp_path)
