"""What each model profile needs of this machine, and what of it is there. Loads no model, fetches nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from backend.commands import command_line
from backend.engines import ENGINES, EngineRecord, models, record_of
from backend.errors import RallrecError
from backend.profiles import About, shipped_profiles
from backend.settings import PREFIX, Settings, load_settings, read_profile
from backend.training.config import RECIPES
from backend.types import ModelRef
from storage.doctor.findings import Finding, Gpu, installed
from storage.doctor.servers import Reply, ask_server, is_local
from storage.precompute.artifacts import ArtifactStore
from storage.roles import ROLES, Role, options_of, role_of

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_NO_MODEL = Finding("models", "ok", "scripted: no model, made-up answers")

# Address, key -> what the server there says.
Ask = Callable[[str, str], Reply]


def profile_findings(chosen: Settings, gpus: list[Gpu]) -> list[Finding]:
    """Returns a line about every shipped profile and the chosen one, with the findings below it.

    All findings of the chosen profile are told, and what it lacks counts as missing. Of the other profiles only what
    they lack is told, as optional.
    """
    findings: list[Finding] = []
    ask = cache(ask_server)
    for name in dict.fromkeys([chosen.profile, *shipped_profiles()]):
        is_chosen = name == chosen.profile
        try:
            settings = chosen if is_chosen else load_settings(profile=name)
            checked = list(_checks(settings, gpus, ask))
        except RallrecError as error:
            checked = [Finding("settings", "missing", error.problem, error.fix or "")]
        findings += _told(name, checked, is_chosen=is_chosen)
    return findings


def _told(name: str, checked: list[Finding], *, is_chosen: bool) -> Iterator[Finding]:
    """Yields the line about a profile, and those below it."""
    lacks = [finding for finding in checked if finding.state == "missing"]
    state = ("missing" if is_chosen else "optional") if lacks else "ok"
    detail = "can run here"
    if lacks:
        detail = f"lacks {', '.join(dict.fromkeys(finding.name for finding in lacks))}"
    elif _NO_MODEL in checked:
        detail = "not used, the scripted engine is set instead"
    title = read_profile(name).about.title
    yield Finding(f"profile {name}", state, f"{title}{' (chosen)' * is_chosen}: {detail}", profile=name)
    for finding in checked if is_chosen else lacks:
        shown = finding.state if is_chosen else "optional"
        yield replace(finding, name=f"{name}: {finding.name}", state=shown, profile=name)


def _checks(settings: Settings, gpus: list[Gpu], ask: Ask) -> Iterator[Finding]:
    about, roles = read_profile(settings.profile).about, {name: role_of(settings, name) for name in ROLES}
    engines = {role.base.engine for role in roles.values()}
    for engine in sorted(engines - ENGINES.keys()):
        yield Finding("engine", "missing", f"unknown: {engine}", f"set it to {' or '.join(ENGINES)}")
    for engine in sorted(engines & ENGINES.keys()):
        options_of(settings, engine)  # its table is read, and refused where it is wrong
    records = [record_of(engine) for engine in engines]
    if all(record.makes_up_answers for record in records):
        yield _NO_MODEL
        return
    yield from _packages(settings, about, roles)
    yield from _gpu(settings, about, records, gpus)
    yield from _downloads(settings, about, roles)
    for name, role in roles.items():
        record = record_of(role.base.engine)
        if record.is_remote:
            yield from _served(name, role, options_of(settings, role.base.engine)["config"].key_variable, ask)
        elif record.loads_weights:
            yield from _on_disk(settings, about, name, role)
    if roles["tuned"].adapter is None and not record_of(roles["tuned"].base.engine).makes_up_answers:
        fix = f"{PREFIX}TUNED_ADAPTER names a LoRA adapter"
        yield Finding("tuned_adapter", "optional", "none: M_G is the model as it is, not tuned for this", fix)


def _packages(settings: Settings, about: About, roles: dict[str, Role]) -> Iterator[Finding]:
    """Yields what is missing of the packages that the profile names and that its engines need under these settings."""
    needed = dict.fromkeys(about.needs, "")
    for role in roles.values():
        uses = ("", settings.quantized, "adapter" if role.adapter else "")
        needed |= {
            package.name: package.install
            for package in record_of(role.base.engine).packages
            if package.only_for in uses
        }
    for name, install in needed.items():
        if installed(name) is None:
            yield Finding(name, "missing", "not installed", install or "make setup")


def _gpu(settings: Settings, about: About, records: list[EngineRecord], gpus: list[Gpu]) -> Iterator[Finding]:
    needed = about.gpu_memory_gib if any(record.loads_weights for record in records) else 0
    on_gpu = any(getattr(settings, name) == value for record in records for name, value in record.gpu_if.items())
    if not needed and not on_gpu:
        return
    needs = f"a GPU with {needed:g} GiB" if needed else "an NVIDIA GPU"
    best = max(gpus, key=lambda gpu: gpu.total, default=None)
    if best is None:
        yield Finding("gpu", "missing", f"no GPU; it needs {needs}", "use such a machine, or another profile")
    elif best.total < needed:
        yield Finding("gpu", "missing", f"too small ({best}); it needs {needs}", "use another machine or profile")
    elif best.free < needed:
        fix = "end what uses the GPU, before you start the app"
        yield Finding("gpu", "optional", f"large enough, and in use ({best}); it needs {needs}", fix)
    else:
        yield Finding("gpu", "ok", str(best))


def _downloads(settings: Settings, about: About, roles: dict[str, Role]) -> Iterator[Finding]:
    """Yields whether there is room on the disk for what will be downloaded from the hub."""
    from huggingface_hub import constants

    loaded = [role.base.model for role in roles.values() if record_of(role.base.engine).loads_weights]
    if not about.downloads_gib or all(_is_here(model, settings) or not _is_hub_id(model) for model in loaded):
        return
    folder = Path(constants.HF_HUB_CACHE).expanduser()
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free / 2**30
    detail = f"{about.downloads_gib:g} GiB are downloaded at first use, into {folder}; {free:.0f} GiB are free"
    if free < about.downloads_gib:
        yield Finding("disk", "missing", detail, "free some, or set HF_HUB_CACHE to a folder on a larger disk")
    else:
        yield Finding("disk", "ok", detail)


def _on_disk(settings: Settings, about: About, name: str, role: Role) -> Iterator[Finding]:
    """Yields where the weights and the adapter are of a role that runs in this process."""
    model, what, variable = role.base.model, f"{name}_model", f"{PREFIX}{name.upper()}"
    if _is_here(model, settings):
        yield Finding(what, "ok", models.display_name(model))
    elif model.name in models.EMBEDDED:
        yield Finding(what, "optional", f"{model.name}, fetched at first use", "rallrec prepare --model")
    elif not _is_hub_id(model):
        yield Finding(what, "missing", f"{model.name}: no such folder", f"mend {variable}_MODEL")
    else:
        yield _on_the_hub(what, model, gated=model.name in about.gated)
    if role.adapter in RECIPES:
        yield _tuned_here(settings, f"{name}_adapter", role)
    elif role.adapter is not None:
        adapter = Path(role.adapter).expanduser()
        if (adapter / "adapter_config.json").is_file():
            yield Finding(f"{name}_adapter", "ok", role.adapter)
        else:
            detail = "no adapter_config.json in it" if adapter.is_dir() else "no such folder"
            fix = f"{variable}_ADAPTER names a folder that peft saved, or nothing"
            yield Finding(f"{name}_adapter", "missing", f"{role.adapter}: {detail}", fix)


def _tuned_here(settings: Settings, what: str, role: Role) -> Finding:
    """Returns whether any dataset has an adapter of the role's recipe for this base. No dataset is opened."""
    recipes = (
        artifact.meta["recipe"]
        for artifact in ArtifactStore(settings.home / "artifacts").all()
        if artifact.meta.get("kind") == role.adapter
    )
    names = sorted(recipe["data"]["name"] for recipe in recipes if recipe["model"]["name"] == role.base.model.name)
    if names:
        return Finding(what, "ok", f"{role.adapter}, tuned on {', '.join(dict.fromkeys(names))}")
    detail = f"{role.adapter}: not tuned yet; without it the model answers as it is"
    return Finding(what, "optional", detail, command_line(settings, "tune", "--recipe", str(role.adapter)))


def _on_the_hub(what: str, model: ModelRef, *, gated: bool) -> Finding:
    """Returns what it takes to get a model that is not on disk. It tells whether there is a token, never the token."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        return Finding(what, "missing", f"{model.name} is not on disk, and HF_HUB_OFFLINE is set", "unset it once")
    if not gated:
        return Finding(what, "optional", f"{model.name}, asked of the hub at first use")
    page = f"https://huggingface.co/{model.name}"
    if get_token() is None:
        fix = f"accept the licence at {page}, then set HF_TOKEN or run: hf auth login"
        return Finding(what, "missing", f"{model.name} needs an accepted licence; no hub token is there", fix)
    detail = f"{model.name}, asked of the hub at first use; it needs an accepted licence, and a hub token is there"
    return Finding(what, "optional", detail, f"accept the licence at {page}, if you have not")


def _served(name: str, role: Role, key_variable: str, ask: Ask) -> Iterator[Finding]:
    """Yields whether the server of a role answers, and serves the role's model."""
    url, variable = role.base.url, f"{PREFIX}{name.upper()}"
    key = os.environ.get(key_variable, "").strip()
    reply, model = ask(url, key), role.adapter or role.base.model.name
    setting = f"{name}_adapter" if role.adapter else f"{name}_model"
    if reply.served is None:
        fix = f"set {key_variable}" if reply.refused else f"start it, or set {variable}_URL to where it is"
        yield Finding(f"{name}_server", "missing", f"{url} {reply.problem}", fix)
    elif model not in reply.served:
        served = ", ".join(reply.served[:5]) or "nothing"
        fix = f"start it with that model, or mend {PREFIX}{setting.upper()}"
        yield Finding(setting, "missing", f"{url} serves {served}, not {model}", fix)
    else:
        yield Finding(setting, "ok", f"{model}, served at {url}")
    if reply.served is not None and not is_local(url) and not key:
        detail = f"{key_variable} is not set, and {url} lists its models without"
        yield Finding(f"{name}_key", "optional", detail)


def _is_hub_id(model: ModelRef) -> bool:
    return model.name not in models.EMBEDDED and _HUB_ID.fullmatch(model.name) is not None


def _is_here(model: ModelRef, settings: Settings) -> bool:
    """Returns whether the weights are on this machine: fetched, as a folder, or in the hub's cache."""
    if models.is_fetched(model, settings.models_dir):
        return True
    if not _is_hub_id(model):
        return False
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model.name, "config.json", revision=model.revision)
    return isinstance(config, str) and any(
        file.suffix in (".safetensors", ".bin") and file.exists() for file in Path(config).parent.iterdir()
    )
