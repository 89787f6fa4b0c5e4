"""Keeping a pass that is under way, so that a kill costs seconds: arrays and numbers only, nothing that could run code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from precompute.activations.observation import LayerObservation
from precompute.activations.ranking import CappedRanking

_NOT_KEPT = {"spec", "reading", "sample", "plan"}  # made again from the model and the seed


def keep_state(observations: Mapping[str, LayerObservation], build: str, num_done: int) -> bytes:
    """Return bytes from which `restore_state` goes on exactly where the pass stood.

    Args:
        observations: By layer.
        build: What must be equal for the state to be of use (settings, weights, images).
        num_done: How many images the pass has seen.
    """
    arrays: dict[str, Any] = {}
    numbers: dict[str, Any] = {"build": build, "num_done": num_done, "layers": list(observations)}
    for number, observation in enumerate(observations.values()):
        _flatten(observation, f"{number}", arrays, numbers)
    arrays["numbers"] = np.frombuffer(json.dumps(numbers).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def restore_state(data: bytes, observations: Mapping[str, LayerObservation], build: str) -> int:
    """Set fresh observations to what was kept of the same build.

    Returns:
        How many images they have seen: 0, with nothing changed, where the state is of another build or damaged.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return 0
    numbers = json.loads(arrays.pop("numbers").tobytes())
    if numbers["build"] != build or not set(observations) <= set(numbers["layers"]):
        return 0
    places = {name: f"{numbers['layers'].index(name)}" for name in observations}
    if not all(_fits(observation, places[name], arrays, numbers) for name, observation in observations.items()):
        return 0
    for name, observation in observations.items():
        _restore(observation, places[name], arrays, numbers)
    return int(numbers["num_done"])


def _fits(value: Any, path: str, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> bool:
    """Tell whether there is something of the right shape for every member: another version may have kept other things."""
    for name, member in _members(value).items():
        place = f"{path}/{name}"
        if _is_nested(member):
            if not _fits(member, place, arrays, numbers):
                return False
        elif isinstance(member, np.ndarray):
            if place not in arrays or arrays[place].shape != member.shape or arrays[place].dtype != member.dtype:
                return False
        elif place not in numbers and place not in arrays:
            return False
    return True


def _members(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, CappedRanking):
        return {name: getattr(value, name) for name in ("best", "current", "current_source")}
    return {field.name: getattr(value, field.name) for field in fields(value) if field.name not in _NOT_KEPT}


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | CappedRanking) or is_dataclass(value)


def _flatten(value: Any, path: str, arrays: dict[str, np.ndarray], numbers: dict[str, Any]) -> None:
    for name, member in _members(value).items():
        place = f"{path}/{name}"
        if isinstance(member, np.ndarray):
            arrays[place] = member
        elif _is_nested(member):
            _flatten(member, place, arrays, numbers)
        else:
            numbers[place] = member


def _restore(value: Any, path: str, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> None:
    for name, member in _members(value).items():
        place = f"{path}/{name}"
        if _is_nested(member):
            _restore(member, place, arrays, numbers)
            continue
        kept = arrays[place] if place in arrays else numbers[place]
        if isinstance(value, dict):
            value[name] = kept
        else:
            setattr(value, name, kept)
