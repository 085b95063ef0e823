"""Reads the imports of the package and holds them to its plan: two columns, and no imports from above."""

from __future__ import annotations

import ast
import re
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
    "errors text",
    "files metrics losses",
    "execution",
    "config",
    "registry recipes",
    "scans",
    "io phantom pictures networks",
    "datasets models",
    "runs",
    "engines",
    "training translation",
    "evaluation",
    "export",
    "distillation serving pacs",
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


@cache
def inner_imports(name: str) -> frozenset[str]:
    """Names of the package's own modules that a module imports."""
    return frozenset(imported for imported in imports(name) if imported in modules() and imported != name)


@cache
def reachable(name: str) -> frozenset[str]:
    """All modules of the package that importing a module brings in, itself included."""
    seen, waiting = set[str](), [name]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += inner_imports(current)
    return frozenset(seen)


def rank(part: str) -> int:
    ranks = [number for number, line in enumerate(WINGS) if part in line.split()]
    assert ranks, f"kerasgan.{part} is no wing that this test knows; put the module into one, or add the wing to WINGS."
    return ranks[0]


def modules_of(wings: set[str]) -> list[str]:
    return [name for name in modules() if part_of(name) in wings]


def test_the_page_shows_the_same_wings():
    page = (Path(__file__).parents[1] / "docs/architecture.md").read_text().split("## The wings")[1].split("###")[0]
    rows = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)]
    assert rows == [line.split() for line in WINGS if line != "__main__"]


@pytest.mark.parametrize("wing", sorted({part_of(name) for name in modules()} - {""}))
def test_a_wing_imports_only_from_below(wing):
    for name in modules_of({wing}):
        for imported in imports(name):
            if imported.startswith("kerasgan.") and part_of(imported) != wing:
                assert rank(part_of(imported)) < rank(wing), f"{name} imports {imported}, which is above it."


def test_no_modules_import_each_other_in_a_circle():
    for name in modules():
        circle = [imported for imported in inner_imports(name) if name in reachable(imported)]
        assert not circle, f"{name} imports {', '.join(circle)}, and is imported from there."


def test_the_top_level_has_few_rooms():
    rooms = {part_of(name) for name in modules()} - {"", "__main__"}
    assert len(rooms) <= 28, f"kerasgan/ has {len(rooms)} modules and folders; put a new module into a wing."


def test_medical_column_never_reaches_tensorflow():
    for name in modules_of(MEDICAL):
        for reached in reachable(name):
            assert not external(reached) & TENSORFLOW, f"{name} brings in TensorFlow through {reached}."
            assert part_of(reached) not in NEURAL, f"{name} imports from the neural column: {reached}."


def test_neural_column_never_reaches_dicom():
    for name in modules_of(NEURAL):
        for reached in reachable(name):
            assert not external(reached) & DICOM, f"{name} brings in {external(reached) & DICOM} through {reached}."
            assert part_of(reached) not in MEDICAL, f"{name} imports from the medical column: {reached}."


def test_only_the_command_line_talks_to_the_terminal_and_the_environment():
    for name in modules_of({part_of(name) for name in modules()} - {"cli", "__main__"}):
        for node in ast.walk(modules()[name]):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert called != "print", f"{name}:{node.lineno} prints; use logging.getLogger(__name__)."
            changed = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            assert changed != "os.environ", f"{name}:{node.lineno} touches the environment; only kerasgan.cli may."
        assert "typer" not in external(name)


def test_the_command_line_asks_the_api():
    """What a command computes is a function of `kerasgan.api`; a command that shows more of a wing is named here."""
    shown = {
        "kerasgan.cli._app": {"translation"},
        "kerasgan.cli._plan": {"training", "networks"},
        "kerasgan.cli.train": {"training"},
        "kerasgan.cli.distill": {"training", "distillation"},
        "kerasgan.cli.translate": {"serving", "translation"},
        "kerasgan.cli.serve": {"serving"},
        "kerasgan.cli.node": {"translation"},
        "kerasgan.cli.demo": {"export", "translation"},
        "kerasgan.cli.info": {"translation"},
        "kerasgan.cli.reproduce": {"experiments"},
    }
    above = {"training", "translation", "evaluation", "export", "distillation", "serving", "experiments", "networks"}
    for name in modules_of({"cli"}):
        found = {part_of(imported) for imported in inner_imports(name)} & above
        assert found <= shown.get(name, set()), f"{name} imports from {found}; call kerasgan.api."


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


def test_scans_are_read_and_translated_without_tensorflow(tmp_path):
    """Every module of these wings is imported where TensorFlow cannot be; others import it when they compute."""
    wings = [
        "scans",
        "io",
        "datasets",
        "phantom",
        "metrics",
        "translation",
        "runs.run",
        "runs.contract",
        "engines.choice",
    ]
    further = ["api", "evaluation.compare", "evaluation.overview", "evaluation.score"]
    further += ["export.serving_contract", "export.layout", "export.pixels"]
    further += ["pacs.transfer", "pacs.dicomweb", "pacs.dimse", "pacs.node.service"]
    further += ["serving.translator", "serving.client", "serving.rest_transport", "serving.model_server"]
    found = [name for name in sorted(modules()) if f"{name}.".startswith(tuple(f"kerasgan.{wing}." for wing in wings))]
    names = [*found, *(f"kerasgan.{name}" for name in further)]
    refused = f"sys.modules.update(dict.fromkeys({sorted(TENSORFLOW)}))"  # None: an import fails
    loaded_by(f"{refused}\nimport importlib\nfor name in {names}: importlib.import_module(name)", tmp_path)


def test_training_loads_neither_the_exporters_nor_litert(tmp_path):
    code = (
        "import kerasgan.api, kerasgan.training.train, kerasgan.training.segmentation\n"
        "above = ('kerasgan.export', 'kerasgan.distillation', 'kerasgan.serving')\n"
        "assert not [name for name in sys.modules if name.startswith(above)]"
    )
    assert "ai_edge_litert" not in loaded_by(code, tmp_path)
