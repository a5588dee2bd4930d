"""The notebooks of docs/ run from beginning to end, in an empty folder."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("file", NOTEBOOKS, ids=[file.stem for file in NOTEBOOKS])
def test_a_notebook_runs_and_shows_what_is_stored_with_it(file, tmp_path, monkeypatch):
    """Numbers may differ in their last digits, so kinds and counts of outputs are compared."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    stored = shown(notebook)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    assert shown(notebook) == stored and any(stored)


def shown(notebook):
    """Return what each cell of code shows: text, pictures, or nothing."""
    return [
        {
            "picture" if "image/png" in output.get("data", {}) else "text"
            for output in cell.outputs
            if output.get("name") != "stderr"
        }
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
