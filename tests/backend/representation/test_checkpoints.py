"""Training states on disk, and the loop that goes on from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import Stopped, StorageError, UsageError
from backend.representation.checkpoints import Run, load_state, pick_device, run_key, save_state, seeded

STATE = {"model": {"weight": torch.arange(6.0).reshape(2, 3)}, "curve": [{"epoch": 1, "loss": 0.5, "recall": None}]}


def test_a_state_comes_back_under_its_own_key_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state"
    assert load_state(path, "key") is None
    save_state(path, "key", STATE)
    kept = load_state(path, "key")
    assert kept is not None
    assert torch.equal(kept["model"]["weight"], STATE["model"]["weight"])
    assert kept["curve"] == STATE["curve"]
    assert load_state(path, "another") is None
    assert [p.name for p in path.parent.iterdir()] == ["state"]


@given(st.data())
def test_a_file_with_a_changed_or_missing_byte_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "state"
    save_state(path, "key", STATE)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    broken = data.draw(st.sampled_from([whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]]))
    path.write_bytes(broken)
    assert load_state(path, "key") is None


def test_a_write_that_was_cut_off_leaves_the_state_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path / "state", "key", STATE)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path / "state", "key", {"curve": []})
    kept = load_state(tmp_path / "state", "key")
    assert kept is not None
    assert kept["curve"] == STATE["curve"]


def test_a_place_that_cannot_be_written_or_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be written to .*free some space"):
        save_state(tmp_path / "file" / "state", "key", STATE)
    with pytest.raises(StorageError, match=r"cannot be read .*delete it"):
        load_state(tmp_path, "key")


@pytest.mark.parametrize(
    ("config", "seed", "array"),
    [({"a": 2}, 0, [1, 2]), ({"a": 1}, 1, [1, 2]), ({"a": 1}, 0, [2, 1]), ({"a": 1}, 0, [1.0, 2.0]), ({}, 0, [[1, 2]])],
)
def test_a_key_covers_settings_seed_and_data(config: dict[str, int], seed: int, array: list[Any]) -> None:
    assert run_key({"a": 1}, 0, {"x": np.array([1, 2])}) == run_key({"a": 1}, 0, {"x": np.array([1, 2])})
    assert run_key(config, seed, {"x": np.array(array)}) != run_key({"a": 1}, 0, {"x": np.array([1, 2])})


def _fit(path: Path, scores: list[float | None], **settings: Any) -> tuple[list[int], int, float]:
    """Epochs that set the only weight to their number: which of them ran, the best, and the weight at the end."""
    model = torch.nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.Adam(model.parameters())
    ran: list[int] = []

    def epoch(number: int) -> dict[str, float | None]:
        ran.append(number)
        model.weight.data.fill_(number)
        return {"score": scores[number - 1]}

    settings = {"max_epochs": len(scores), "patience": 2} | settings
    curve, best = Run("test", "key", path, **settings).fit(model, optimizer, epoch, lambda point: point["score"])
    assert [point["epoch"] for point in curve] == list(range(1, len(curve) + 1))
    return ran, best, model.weight.item()


@pytest.mark.parametrize(
    ("scores", "ran", "best"),
    [
        ([1, 3, 2, 3, 9], 4, 2),  # the first of equals; patience is over before the 9
        ([1, 3, 2, 4, 9], 5, 5),
        ([-5, -6, -7, 0], 3, 1),
        ([None, None, None, None], 4, 4),
    ],
)
def test_the_best_epochs_weights_are_kept_and_patience_ends_it(
    tmp_path: Path, scores: list[float | None], ran: int, best: int
) -> None:
    assert _fit(tmp_path / "state", scores) == (list(range(1, ran + 1)), best, best)
    # what has ended is not trained on, and still gives the best
    assert _fit(tmp_path / "state", scores) == ([], best, best)


def test_a_stopped_run_goes_on_after_its_last_whole_epoch(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(Stopped):
        _fit(
            tmp_path / "state",
            [3.0, 1.0, 2.0, 1.0],
            progress=lambda what, _: told.append(what),
            stop=lambda: len(told) == 2,
        )
    assert told == ["test: epoch 1 of at most 4, score 3.0000", "test: epoch 2 of at most 4, score 1.0000"]
    assert _fit(tmp_path / "state", [3.0, 1.0, 2.0, 1.0]) == ([3], 1, 1)


def test_numbers_that_are_no_longer_finite_end_the_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="learning_rate"):
        _fit(tmp_path / "state", [1.0, float("nan"), 2.0])
    assert _fit(tmp_path / "state", [1.0, 2.0, 3.0])[0] == [2, 3]


def test_draws_depend_on_the_seed_alone_and_leave_the_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    with seeded(1, "a"):
        first = torch.rand(3)
    torch.rand(1)
    with seeded(1, "a"):
        assert torch.equal(torch.rand(3), first)
    with seeded(1, "b"):
        assert not torch.equal(torch.rand(3), first)
    torch.set_rng_state(before)
    with seeded(2):
        torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_device_that_is_not_there_is_refused() -> None:
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="'tpu' is not there"):
        pick_device("tpu")
