"""``rallrec bundle``: what ships is made, checked and refused; results travel from one home to another."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from storage.results.keys import result_checksum
from storage.results.transfer import read_results, write_results
from storage.shipped import ShippedResults
from tests.conftest import small_movies, small_ratings, write_movielens
from tests.scripts.cli_process import Rallrec, as_json, done_here, one_line_error
from tests.scripts.test_cli_precompute import SMALL

PREDICT = ("predict", "--user", 7, "--item", 3, "--traces", 2, "--json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``home``, in which all was made and one prediction run, and ``bundle``, built from it."""
    folder = tmp_path_factory.mktemp("bundle")
    raw = write_movielens(folder / "raw", small_movies(), small_ratings())
    for arguments in (
        ("prepare", "--source", raw), ("precompute", "--until", "mix"), PREDICT,
        ("bundle", "build", "--out", folder / "bundle"),
    ):  # fmt: skip
        done_here(*arguments, cwd=folder, environment=SMALL | {"RALLREC_HOME": folder / "home"})
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A bundle to be damaged."""
    return Path(shutil.copytree(made / "bundle", tmp_path / "bundle"))


def test_a_bundle_holds_what_is_slow_to_make_and_the_cached_results(made: Path, rallrec: Rallrec) -> None:
    report = as_json(rallrec("bundle", "verify", made / "bundle", "--json"))
    kinds = {name.rpartition("-")[0] for name in report["artifacts"]}
    assert kinds >= {"descriptions", "title-vectors", "description-vectors", "collaborative", "aligned"}
    assert kinds & {"space", "index"} == set()
    results = report["results"]["manifest"]
    assert [model["name"] for model in results["models"]] == ["scripted"]
    # Three history orders of each sample are answered, and six chains drawn with and without the injected sentence.
    tested = len((made / "bundle" / "samples-test.csv").read_text().splitlines()) - 1
    checked = len((made / "bundle" / "samples-validation.csv").read_text().splitlines()) - 1
    assert min(tested, checked) >= 5
    assert results["answers"] >= 3 * (tested + checked)
    assert results["traces"] >= 6 * 2 * (tested + checked)
    assert report["damaged"] == []
    files = [path for path in (made / "bundle").rglob("*") if path.is_file()]
    assert report["bytes"] == sum(path.stat().st_size for path in files)
    assert 0 < report["compressed"] < report["bytes"]
    assert not (made / "bundle.new").exists()
    shown = rallrec("bundle", "verify", made / "bundle").stdout
    assert f"{results['answers']:,} answers and {results['traces']:,} chains of 1 model(s)" in shown


def test_built_again_it_is_the_same_to_the_byte(made: Path, bundle: Path, rallrec: Rallrec) -> None:
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    report = as_json(rallrec("bundle", "build", "--out", bundle, "--json", RALLREC_HOME=made / "home", **SMALL))
    assert report["damaged"] == []
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before


def test_results_alone_can_be_replaced(made: Path, bundle: Path, rallrec: Rallrec) -> None:
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*/*")}
    (bundle / "results.jsonl.gz").write_bytes(b"old")
    arguments = ("bundle", "build", "--results-only", "--out", bundle, "--json")
    report = as_json(rallrec(*arguments, RALLREC_HOME=made / "home", **SMALL))
    assert report["damaged"] == []
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*/*")} == before


def test_a_folder_with_other_things_is_never_replaced(made: Path, bundle: Path, rallrec: Rallrec) -> None:
    bundle = bundle.rename(bundle.with_suffix(".new"))  # the third one's scratch folder
    (bundle / "thesis.txt").write_text("three years of work")
    for options in (("--out", bundle), ("--out", bundle, "--results-only"), ("--out", bundle.with_suffix(""))):
        done = rallrec("bundle", "build", *options, RALLREC_HOME=made / "home", **SMALL)
        assert "other things than a bundle" in one_line_error(done, 2)
    assert (bundle / "thesis.txt").read_text() == "three years of work"


@pytest.mark.parametrize("damage", ["vectors", "meta", "stray", "name", "results", "results.json"])
def test_damage_is_named_and_the_exit_code_says_it(bundle: Path, rallrec: Rallrec, damage: str) -> None:
    folder = next(bundle.glob("title-vectors-*"))
    if damage == "vectors":
        file = folder / "vectors.npy"
        file.write_bytes(file.read_bytes()[:-1] + b"?")
        said = f"{folder.name}: vectors.npy is not as it was written"
    elif damage == "meta":
        (folder / "meta.json").write_text("[]")
        said = f"{folder.name}: meta.json cannot be read"
    elif damage == "stray":
        (folder / "notes").write_text("mine")
        said = f"{folder.name}: notes is not in meta.json"
    elif damage == "name":
        folder.rename(bundle / "title-vectors-0000000000000000")
        said = "meta.json does not give the folder's name"
    elif damage == "results":
        file = bundle / "results.jsonl.gz"
        file.write_bytes(file.read_bytes()[:-9])
        said = "results.jsonl.gz was changed or damaged"
    else:
        (bundle / "results.json").unlink()
        said = "results.json is missing"
    done = rallrec("bundle", "verify", bundle)
    assert done.returncode == 1
    assert said in done.stdout
    report = json.loads(rallrec("bundle", "verify", bundle, "--json").stdout)
    assert len(report["damaged"]) == 1


def test_drawn_results_are_computed_anew_and_a_difference_is_an_error(
    made: Path, bundle: Path, rallrec: Rallrec
) -> None:
    arguments = ("bundle", "verify", bundle, "--recompute", 20, "--seed", 3)
    said = as_json(rallrec(*arguments, "--json", **SMALL))["recomputed"]
    assert [(said[kind]["count"], said[kind]["largest"]) for kind in ("answers", "chains")] == [(20, 0), (20, 0)]
    _, rows = read_results(bundle / "results.jsonl.gz")
    for row in rows.answers:
        row["p_yes"] = 0.25 + row["p_yes"] / 2
        row["checksum"] = result_checksum("answer", row)
    written = write_results(bundle / "results.jsonl.gz", rows)
    meta = ShippedResults(bytes=written.bytes, sha256=written.sha256, manifest=written.manifest)
    (bundle / "results.json").write_text(meta.model_dump_json())
    assert rallrec("bundle", "verify", bundle).returncode == 0, "no file is damaged"
    done = rallrec(*arguments, **SMALL)
    assert done.returncode == 1
    assert "recomputed: 20 of" in done.stdout
    assert "chains, largest difference of P(yes) 0.0e+00" in done.stdout


def test_results_travel_from_one_home_to_another(made: Path, tmp_path: Path, rallrec: Rallrec) -> None:
    file, there = tmp_path / "mine.jsonl.gz", tmp_path / "there"
    written = as_json(rallrec("bundle", "export", file, "--json", RALLREC_HOME=made / "home", **SMALL))
    assert written["bytes"] == file.stat().st_size
    manifest = written["manifest"]
    done = as_json(rallrec("bundle", "import", file, "--json", RALLREC_HOME=there, **SMALL))
    assert done["added"] == {kind: manifest[kind] for kind in ("prompts", "answers", "traces")}
    assert done["sha256"] == written["sha256"]
    assert "new: 0 answers and 0 chains" in rallrec("bundle", "import", file, RALLREC_HOME=there, **SMALL).stdout
    # The other home answers from it, with the same provenance: as long as the model took here, and no time there.
    shutil.copytree(made / "home" / "datasets", there / "datasets")
    shutil.copytree(made / "home" / "artifacts", there / "artifacts")
    here, elsewhere = (as_json(rallrec(*PREDICT, RALLREC_HOME=home, **SMALL)) for home in (made / "home", there))
    assert (here["p_final"], here["traces"]) == (elsewhere["p_final"], elsewhere["traces"])


def test_exports_are_chosen_by_model_and_adapter(made: Path, tmp_path: Path, rallrec: Rallrec) -> None:
    environment: dict[str, Any] = {"RALLREC_HOME": made / "home"} | SMALL
    arguments = ("bundle", "export", tmp_path / "x.gz")
    assert as_json(rallrec(*arguments, "--model", "scripted", "--json", **environment))["manifest"]["answers"] > 3
    assert "one of scripted" in one_line_error(rallrec(*arguments, "--model", "llama", **environment), 2)
    assert "lora" in one_line_error(rallrec(*arguments, "--adapter", "lora", **environment), 2)


def test_wrong_files_are_one_line(made: Path, tmp_path: Path, rallrec: Rallrec) -> None:
    environment: dict[str, Any] = {"RALLREC_HOME": tmp_path / "home"} | SMALL
    whole = made / "bundle" / "results.jsonl.gz"
    lines = gzip.decompress(whole.read_bytes()).splitlines()
    lines[-1] = json.dumps(json.loads(lines[-1]) | {"text": "Yes"}).encode()
    (tmp_path / "changed.gz").write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    for arguments, code, said in (
        (("import", tmp_path / "none.gz"), 2, "no file"),
        (("import", tmp_path / "changed.gz"), 1, f"Line {len(lines)} of"),
        (("export", "nowhere/x.gz"), 2, "folder that exists"),
        (("verify", "nowhere"), 2, "no folder"),
    ):
        assert said in one_line_error(rallrec("bundle", *arguments, **environment), code)


def test_what_ships_is_whole_and_small(rallrec: Rallrec) -> None:
    report = as_json(rallrec("bundle", "verify", "--json"))
    assert report["damaged"] == []
    assert len(report["artifacts"]) >= 6
    assert report["compressed"] < 25_000_000
