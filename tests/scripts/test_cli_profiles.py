"""Model profiles: what they give, what wins over them, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import SettingsError
from backend.keys import looks_like_a_key
from backend.pipeline import Recipe
from backend.profiles import shipped_profiles
from backend.settings import Settings, load_settings, origins, read_profile
from backend.training.config import ReasonerConfig, TuneConfig
from storage.roles import engine_tables, role_of
from tests.scripts.cli_process import Rallrec, as_json, one_line_error


@pytest.fixture
def profile_file(tmp_path: Path) -> Path:
    """A profile of one's own: half of the paper's chains at another server."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'engine = "openai"\ntraces = 3\nk = 20\n[server]\nretries = 1\n[profile]\ntitle = "Mine"\n', "utf-8"
    )
    return file


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", shipped_profiles())
def test_a_shipped_profile_is_made_of_real_settings_with_valid_values(name: str) -> None:
    profile = read_profile(name)
    assert profile.settings.keys() <= Settings.model_fields.keys() - {"profile"}
    settings = load_settings(profile=name)
    values = settings.model_dump()
    assert {key: values[key] for key in profile.settings} == profile.settings
    Recipe.from_settings(settings)
    engine_tables(settings)
    assert profile.about.title
    assert 20 < len(profile.about.about) < 400
    roles = [role_of(settings, role).model for role in ("tuned", "reasoning")]
    assert set(profile.about.gated) <= {model.name for model in roles}


def test_the_default_profile_says_what_the_defaults_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert shipped_profiles()[0] == "cpu-default"
    assert {"paper", "server"} < set(shipped_profiles())
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    given = read_profile("cpu-default").settings
    # What a small model needs, and the paper's do not.
    small_model = {
        name: given.pop(name) for name in ("tuned_adapter", "reasoning_adapter", "template", "tune", "reasoner")
    }
    assert (small_model["tuned_adapter"], small_model["reasoning_adapter"], small_model["template"]) == (
        "rallrec",
        "reasoner",
        "answered",
    )
    assert TuneConfig(**small_model["tune"]).samples < TuneConfig().samples
    assert ReasonerConfig(**small_model["reasoner"]).template == "answered"
    assert given.pop("dtype") == "float32", "what ships was made in it"
    # What ships was made before the defaults were the paper's.
    assert (given.pop("describe"), given.pop("align")) == ({"counted": "all"}, {"full_limit": 2048})
    assert given == {name: defaults[name] for name in given}


def test_the_papers_profile_has_the_papers_numbers() -> None:
    settings = load_settings(profile="paper")
    assert settings.tuned_model == "meta-llama/Llama-3.1-8B-Instruct"
    assert settings.reasoning_model == "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
    assert (settings.k, settings.traces, settings.temperature, settings.top_p) == (30, 6, 0.6, 0.95)
    assert (settings.gamma, settings.beta, settings.alpha, settings.epsilon) == (2 / 3, 1, 0.1, 1e-3)
    tune = TuneConfig(**settings.tune)
    assert tune == TuneConfig(base="8bit"), "the defaults are the paper's; section 5.1 loads the base in 8 bit"
    assert (tune.rank, tune.lora_alpha, tune.dropout, tune.targets) == (8, 16, 0.05, ("q_proj", "v_proj"))
    assert (tune.epochs, tune.batch_size, tune.samples, tune.k) == (5, 256, 8192, 30)
    assert settings.max_tokens > 2 * 740, "table 7: the average is up to 740"
    assert settings.max_tokens < settings.context
    assert 2 * engine_tables(settings)["vllm"]["gpu_memory"] < 0.9, "two models side by side"


def test_option_environment_file_profile_default_win_in_this_order(
    rallrec: Rallrec, tmp_path: Path, profile_file: Path
) -> None:
    def shown(*options: object, **environment: object) -> dict[str, tuple[object, str]]:
        rows = as_json(rallrec("settings", "--json", *options, **environment))
        return {name: (row["value"], row["from"]) for name, row in rows.items()}

    assert shown()["k"] == (10, "profile cpu-default")
    assert shown()["gamma"] == (pytest.approx(2 / 3), "default")
    (tmp_path / "rallrec.toml").write_text('profile = "paper"\ntraces = 4\n', "utf-8")
    rows = shown()
    assert rows["profile"] == ("paper", "rallrec.toml")
    assert (rows["k"], rows["traces"]) == ((30, "profile paper"), (4, "rallrec.toml"))
    rows = shown(RALLREC_PROFILE=profile_file, RALLREC_K=7)
    assert rows["profile"] == (str(profile_file), "RALLREC_PROFILE")
    assert (rows["k"], rows["traces"], rows["engine"]) == (
        (7, "RALLREC_K"), (4, "rallrec.toml"), ("openai", f"profile {profile_file}"),
    )  # fmt: skip
    assert rows["max_tokens"] == (128, "default"), "one profile knows nothing of another"
    rows = shown("--profile", "server", RALLREC_PROFILE=profile_file)
    assert rows["profile"] == ("server", "option")
    assert rows["k"] == (30, "profile server")


def test_an_empty_variable_chooses_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RALLREC_PROFILE", "")
    assert load_settings().profile == "cpu-default"
    assert origins()["profile"] == "default"


def test_the_entries_of_a_table_come_from_all_that_give_some(
    profile_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RALLREC_SERVER__TIMEOUT", "7")
    table = engine_tables(load_settings(profile=str(profile_file)))["server"]
    assert (table["retries"], table["timeout"]) == (1, 7)
    assert table.keys() > {"retries", "timeout"}, "defaults are filled in"


def test_a_profile_is_a_file_relative_to_where_one_is(profile_file: Path) -> None:
    settings = load_settings(profile=profile_file.name)
    assert (settings.profile, settings.traces) == ("mine.toml", 3)
    assert read_profile(profile_file.name).about.title == "Mine"
    profile_file.write_text("k = 4\n", "utf-8")
    assert read_profile(profile_file.name).about.title == "mine", "a file of settings alone will do"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gama = 1", ["gama", "no setting"]),
        ("gamma = 'much'", ["gamma", "'much'"]),
        ("profile = 'paper'", ["profile", "'paper'", "another"]),
        ("[profile]\nprice = 1", ["profile.price"]),
        ("[profile]\ngpu_memory_gib = 'much'", ["profile.gpu_memory_gib", "'much'"]),
        ("k = ", ["not valid TOML"]),
    ],
)
def test_a_wrong_line_of_a_profile_is_an_error_that_names_file_and_key(
    rallrec: Rallrec, profile_file: Path, text: str, said: list[str]
) -> None:
    profile_file.write_text(text, "utf-8")
    line = one_line_error(rallrec("settings", "--profile", "mine.toml"), 2)
    assert all(part in line for part in [*said, "mine.toml"]), line


def test_a_profile_that_is_not_there_lists_the_shipped_ones(rallrec: Rallrec) -> None:
    line = one_line_error(rallrec("predict", "--user", 15, "--item", 1, "--profile", "papr"), 2)
    assert "'papr'" in line
    assert "cpu-default, cpu-evidence, paper, server" in line
    assert "gone.toml" in one_line_error(rallrec("serve", "--profile", "gone.toml"), 2)
    assert "gone.toml" in one_line_error(rallrec("settings", RALLREC_PROFILE="gone.toml"), 2)


@pytest.mark.parametrize("where", ["profile", "file", "table", "environment"])
def test_a_key_is_refused_wherever_it_stands_and_never_repeated(
    where: str, profile_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = 'api_key = "sk-1234"\n'
    if where == "profile":
        profile_file.write_text(line, "utf-8")
    elif where == "file":
        (tmp_path / "rallrec.toml").write_text(line, "utf-8")
    elif where == "table":
        profile_file.write_text(f"[server]\n{line}", "utf-8")
    else:
        monkeypatch.setenv("RALLREC_API_KEY", "sk-1234")
    with pytest.raises(SettingsError, match=r"(?i)api_key.*OPENAI_API_KEY") as caught:
        load_settings(profile=str(profile_file))
    assert "sk-1234" not in str(caught.value)


def test_no_setting_looks_like_a_key() -> None:
    settings = load_settings()
    tables = engine_tables(settings)
    names = [*Settings.model_fields, *(name for table in tables.values() for name in table)]
    assert [name for name in names if looks_like_a_key(name)] == []
    assert all(map(looks_like_a_key, ("api_key", "key", "hf_token", "openai-api-key", "PASSWORD", "apikey")))


def test_a_wrong_entry_of_an_engines_table_names_the_setting(rallrec: Rallrec) -> None:
    line = one_line_error(rallrec("settings", RALLREC_VLLM__GPU_MEMORY="much"), 2)
    assert "vllm.gpu_memory" in line
    line = one_line_error(rallrec("settings", RALLREC_SERVER__RETRY="1"), 2)
    assert "server.retry" in line
    assert "retries" in line
    line = one_line_error(rallrec("settings", RALLREC_SERVER__KEY_VARIABLE="sk-1234"), 2)
    assert "server.key_variable" in line
    assert "sk-1234" not in line


@pytest.mark.parametrize(("name", "value"), [("SERVER_URL", "host:8000"), ("TUNED_URL", "ftp://host"), ("CONTEXT", -1)])
def test_a_wrong_address_or_context_names_its_variable(rallrec: Rallrec, name: str, value: object) -> None:
    line = one_line_error(rallrec("settings", **{f"RALLREC_{name}": value}), 2)
    assert f"RALLREC_{name}" in line
    assert str(value) in line


def test_a_table_that_is_no_json_is_one_line(rallrec: Rallrec) -> None:
    assert "vllm" in one_line_error(rallrec("settings", RALLREC_VLLM="{"), 2)
