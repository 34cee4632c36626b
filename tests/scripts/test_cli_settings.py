"""Settings: where each value comes from, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.settings import Settings
from tests.scripts.cli_process import Rallrec, as_json, one_line_error


def test_every_setting_is_shown_with_value_source_variable_and_meaning(rallrec: Rallrec, tmp_path: Path) -> None:
    (tmp_path / "rallrec.toml").write_text("gamma = 0.25\nk = 7\n", "utf-8")
    rows = as_json(rallrec("settings", "--json", RALLREC_K=9, RALLREC_HOME=tmp_path))
    assert list(rows) == list(Settings.model_fields)
    assert (rows["gamma"]["value"], rows["gamma"]["from"]) == (0.25, "rallrec.toml")
    assert (rows["k"]["value"], rows["k"]["from"]) == (9, "RALLREC_K")
    assert (rows["beta"]["value"], rows["beta"]["from"]) == (1.0, "default")
    assert rows["home"]["from"] == "RALLREC_HOME"
    for name, row in rows.items():
        assert list(row) == ["value", "from", "variable", "meaning"]
        assert row["variable"] == f"RALLREC_{name.upper()}"
        assert row["meaning"]


def test_the_table_of_a_stage_is_shown_with_its_defaults_filled_in(rallrec: Rallrec) -> None:
    row = as_json(rallrec("settings", "--json", RALLREC_DESCRIBE__ITEMS=7))["describe"]
    assert (row["value"]["items"], row["value"]["attempts"], row["from"]) == (7, 3, "RALLREC_DESCRIBE__ITEMS")
    assert "attempts = 3" in rallrec("settings").stdout


def test_the_table_for_people_says_the_same(rallrec: Rallrec) -> None:
    done = rallrec("settings", RALLREC_SEED=41, COLUMNS=200)
    [seed] = [line for line in done.stdout.splitlines() if " seed " in line]
    assert "41" in seed
    assert "RALLREC_SEED" in seed


def test_the_settings_file_can_lie_elsewhere(rallrec: Rallrec, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("traces = 2\n", "utf-8")
    rows = as_json(rallrec("settings", "--json", RALLREC_CONFIG=file))
    assert (rows["traces"]["value"], rows["traces"]["from"]) == (2, str(file))


def test_an_empty_variable_is_no_setting(rallrec: Rallrec) -> None:
    rows = as_json(rallrec("settings", "--json", RALLREC_GAMMA=""))
    assert (rows["gamma"]["value"], rows["gamma"]["from"]) == (pytest.approx(2 / 3), "default")


EMPTY = sorted(name for name, field in Settings.model_fields.items() if field.default == "")


def test_the_settings_that_can_be_empty_say_what_that_means() -> None:
    said = {name for name, field in Settings.model_fields.items() if "empty: " in str(field.description)}
    assert set(EMPTY) == said
    assert "tuned_adapter" in said


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_variable_empties_what_a_profile_or_the_file_fills(
    rallrec: Rallrec, tmp_path: Path, name: str
) -> None:
    filled = {"split": "users", "database_url": "sqlite:///other.db"}.get(name, "http://elsewhere")
    profile = tmp_path / "filled.toml"
    profile.write_text(f'{name} = "{filled}"\n', "utf-8")
    (tmp_path / "empty.toml").write_text("", "utf-8")
    variable = f"RALLREC_{name.upper()}"
    for given in ({"RALLREC_PROFILE": profile}, {"RALLREC_CONFIG": profile}):
        given |= {} if "RALLREC_CONFIG" in given else {"RALLREC_CONFIG": tmp_path / "empty.toml"}
        full = as_json(rallrec("settings", "--json", **given))[name]
        assert full["value"] == filled
        empty = as_json(rallrec("settings", "--json", **given, **{variable: ""}))[name]
        assert (empty["value"], empty["from"]) == ("", variable)


@pytest.mark.parametrize(
    ("toml", "given", "said"),
    [
        (b"gama = 1", {}, ["gama", "rallrec.toml"]),
        (b"gamma = 'much'", {}, ["gamma", "rallrec.toml", "'much'"]),
        (b"[retrieval]\ngamma = 1", {}, ["retrieval", "rallrec.toml"]),
        (b"gamma = ", {}, ["rallrec.toml", "not valid TOML"]),
        (b"home = '\xff'", {}, ["not valid TOML"]),
        (b"device = 'tpu'", {}, ["device", "'tpu'", "'cpu'"]),
        (b"", {"RALLREC_GAMA": 1}, ["RALLREC_GAMA", "RALLREC_GAMMA"]),
        (b"", {"RALLREC_PORT": "many"}, ["RALLREC_PORT", "many"]),
        (b"", {"RALLREC_PORT": 70000}, ["RALLREC_PORT", "70000"]),
        (b"", {"RALLREC_K": 2.5}, ["RALLREC_K", "2.5"]),
        (b"", {"RALLREC_SPLIT": "random"}, ["RALLREC_SPLIT", "random"]),
        (b"", {"RALLREC_DESCRIBE__ITEM": 7}, ["describe.item"]),
        (b"", {"RALLREC_CONFIG": "nowhere.toml"}, ["nowhere.toml"]),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_where_it_stands_and_its_value(
    rallrec: Rallrec, tmp_path: Path, toml: bytes, given: dict[str, Any], said: list[str]
) -> None:
    (tmp_path / "rallrec.toml").write_bytes(toml)
    line = one_line_error(rallrec("settings", **given), 2)
    assert all(part in line for part in said), line


def test_a_stages_range_is_checked_when_the_stage_is_used(rallrec: Rallrec) -> None:
    done = rallrec("predict", "--user", 15, "--item", 1, "--engine", "scripted", RALLREC_EPSILON=0)
    assert "epsilon is 0" in one_line_error(done, 2)
