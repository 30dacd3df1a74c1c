"""The house keeps its shape: who may import whom, who stays light, how modules look, and that the stubs are fresh."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROTOS = ROOT / "protos"
BIN = Path(sys.executable).parent

MAY_IMPORT = {
    "interests": {"plural"},
    "ranking": {"interests", "plural"},
    "consumer": {"interests", "plural"},
    "server": {"ranking", "interests", "plural"},
    "trainer": {"ranking", "interests", "plural"},
}
PACKAGES = tuple(MAY_IMPORT)
NEVER = {
    "interests": {"grpc", "kafka", "tensorflow", "keras", "polars", "onnx", "tf2onnx", "scipy"},
    "ranking": {"grpc", "kafka", "tensorflow", "keras", "polars", "onnx", "tf2onnx", "scipy", "onnxruntime"},
    "consumer": {"tensorflow", "keras", "polars", "onnx", "tf2onnx", "scipy"},
    "server": {"tensorflow", "keras", "polars", "onnx", "tf2onnx", "scipy"},
    "trainer": {"grpc", "kafka"},
}
# Of interests: files come in by polars, and only there.
READS_TABLES = {"history"} | {f"history_{part}" for part in ("files", "columns", "erasures", "reasons", "rejected")}
MODULE_LINES_MAX, FUNCTION_LINES_MAX = 350, 60  # mostly 200 and 40; nothing needs more than this
HEAVY = ("tensorflow", "keras", "tf2onnx", "onnx", "polars", "scipy", "pandas", "numba", "rich", "pyarrow")


def test_packages_import_along_the_arrows_only():
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for package in PACKAGES
        for path, line, name in _imports(ROOT / package)
        if _top(name) in {*PACKAGES, "plural"} - {package} - MAY_IMPORT[package]
    ]
    assert not broken, "\n".join(broken)


def test_packages_stay_free_of_what_is_too_heavy_for_them():
    broken = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for package in PACKAGES
        for path, line, name in _imports(ROOT / package)
        if _top(name) in NEVER[package] - ({"polars"} if path.stem in READS_TABLES else set())
    ]
    assert not broken, "\n".join(broken)


def test_server_and_consumer_start_where_nothing_heavy_is_installed():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("interests", "ranking", "consumer", "server")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__main__.py" and path.stem not in READS_TABLES - {"history"}
    ]
    program = f"import sys, importlib\nsys.modules.update(dict.fromkeys({HEAVY}))\n" + "".join(
        f"importlib.import_module({module!r})\n" for module in modules
    )
    started = _run(sys.executable, "-c", program, cwd=ROOT)
    assert started.returncode == 0, started.stderr


def test_programs_never_import_tests():
    broken = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path, _, name in _imports(ROOT / package)
        if _top(name) in {"tests", "pytest", "hypothesis"}
    ]
    assert not broken, broken


def test_a_planted_import_against_the_arrows_is_found(tmp_path):
    (tmp_path / "planted.py").write_text("def f():\n    from server.app import main\n    return main\n")
    found = [name for _, _, name in _imports(tmp_path)]
    assert found == ["server.app"]


def test_every_module_says_what_it_is_for():
    silent = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__main__.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent, silent


def test_every_public_function_and_class_says_what_it_does():
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_modules_and_functions_stay_short_enough_to_read():
    long = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            if len(text.splitlines()) > MODULE_LINES_MAX:
                long.append(f"{path.relative_to(ROOT)}: {len(text.splitlines())} lines")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = (node.end_lineno or node.lineno) - node.lineno + 1
                    if lines > FUNCTION_LINES_MAX:
                        long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines")
    assert not long, "\n".join(long)


def test_nothing_is_left_to_do_later():
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in (*PACKAGES, "tests", "bench", "examples")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(mark in line for mark in marks)
    ]
    assert not left, left


def test_regenerating_the_stubs_changes_nothing(tmp_path):
    # --old-file: a test installs nothing.
    made = _run("make", "--silent", "--old-file=.venv/.dev", "stubs", f"STUBS_OUT={tmp_path}", f"BIN={BIN}", cwd=ROOT)
    assert made.returncode == 0, made.stderr
    fresh = {path.name: path.read_bytes() for path in (tmp_path / "plural" / "v1").iterdir()}
    committed = {path.name: path.read_bytes() for path in (PROTOS / "plural" / "v1").glob("*_pb2*")}
    assert fresh.keys() == committed.keys()
    stale = [name for name, content in fresh.items() if committed[name] != content]
    assert not stale, f"run `make stubs`: {stale}"


def test_the_protos_keep_the_standard_lint():
    linted = _run(BIN / "buf", "lint", cwd=PROTOS)
    assert linted.returncode == 0, linted.stdout


def test_the_protos_break_no_earlier_reader():
    compared = _run(BIN / "buf", "breaking", "--against", PROTOS / "image.binpb", cwd=PROTOS)
    assert compared.returncode == 0, compared.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("double score = 3;", "float score = 3;"),
        ("repeated Cause causes = 7;", "repeated Cause causes = 8;"),
        ("rpc Similar(SimilarRequest) returns (SimilarResponse);", ""),
    ],
)
def test_a_planted_breaking_change_is_caught(tmp_path, before, after):
    edited = tmp_path / "protos"
    shutil.copytree(PROTOS, edited, ignore=shutil.ignore_patterns("*.py*", "__pycache__"))
    proto = edited / "plural" / "v1" / "recommendations.proto"
    text = proto.read_text()
    assert text.count(before) == 1
    proto.write_text(text.replace(before, after))
    compared = _run(BIN / "buf", "breaking", "--against", PROTOS / "image.binpb", cwd=edited)
    assert compared.returncode != 0
    assert "recommendations.proto" in compared.stdout


def _imports(folder: Path) -> Iterator[tuple[Path, int, str]]:
    """Every import below a folder, those inside functions among them."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno} imports relatively; name the package"
                yield path, node.lineno, node.module or ""


def _top(name: str) -> str:
    return name.partition(".")[0]


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
