"""The examples are readable as pages, and run as the notebooks that the gallery offers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
from sphinx_gallery.notebook import jupyter_notebook, save_notebook
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("plot_*.py"))
# Quick ones, with what their notebooks must have said and shown by the end.
NOTEBOOKS = {
    "plot_own_folder": ("the file is empty", "2 clips can't be used."),
    "plot_what_domains_show": ("DomainBatch(1 clips;", "percussive: 10.0 s at 22,050 Hz"),
}
# What a notebook does beyond a program: the last value of a cell is shown, figures stay open.
RUNNER = """
import ast, json, sys
import matplotlib.pyplot as plt

names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        body = ast.parse("".join(cell["source"]).replace("%matplotlib inline", "")).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), sys.argv[1], "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), sys.argv[1], "eval"), names)
            if value is not None:
                print(repr(value))
                if hasattr(value, "_repr_html_"):
                    print(f"HTML of {len(value._repr_html_())} characters")
print("figures:", len(plt.get_fignums()))
"""


def blocks_of(path: Path) -> list:
    """Return the texts and programs of an example, as the gallery reads them."""
    return split_code_and_text_blocks(str(path))[1]


def test_quickstart_and_more() -> None:
    names = [path.stem for path in EXAMPLES]
    assert "plot_quickstart" in names
    assert len(names) >= 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_a_page(path: Path) -> None:
    # A formatter that fills lines makes headings part of their paragraphs.
    for kind, text, _ in blocks_of(path):
        if kind == "text":
            lines = text.splitlines()
            for above, line in zip(["", *lines], lines):
                rule = re.search(r"(={6,}|-{6,})", line)
                assert rule is None or line in (rule[0][0] * len(above), ""), f"{above}\n{line}"
    assert path.read_text(encoding="utf-8").startswith('"""\n')
    assert "plt." in path.read_text(encoding="utf-8") or "Display" in path.read_text("utf-8")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs(name: str, tmp_path: Path) -> None:
    [path] = [path for path in EXAMPLES if path.stem == name]
    notebook = tmp_path / f"{name}.ipynb"
    cells = jupyter_notebook(blocks_of(path), DEFAULT_GALLERY_CONF, str(path.parent))
    save_notebook(cells, notebook)
    run = subprocess.run(
        [sys.executable, "-c", RUNNER, str(notebook)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    for words in (*NOTEBOOKS[name], "figures: 1"):
        assert words in run.stdout, run.stdout
    assert ("HTML of" in run.stdout) == (name == "plot_what_domains_show")
