"""Reading weights from files and fitting them strictly to a module."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from precompute.errors import WeightsError

_SHOWN = 8


def read_weight_file(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a `.pth`, `.pt`, `.bin` or `.safetensors` file, and the sha256 of the file.

    Raises:
        WeightsError: The file is missing or unreadable, or holds no tensors by name.
    """
    if not path.is_file():
        raise WeightsError(f"There is no weight file {str(path)!r}. Give the path of a .pth or .safetensors file after '@'.")
    try:
        data = path.read_bytes()
        if path.suffix == ".safetensors":
            from safetensors.torch import load

            tensors = load(data)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"{str(path)!r} cannot be read as weights ({first}). It must hold tensors by name, "
            "as torch.save(model.state_dict(), path) writes them; files that would run code are refused."
        ) from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise WeightsError(f"{str(path)!r} is not a safetensors file ({error}).") from error
    return _tensors_by_name(tensors, path), hashlib.sha256(data).hexdigest()


def _tensors_by_name(loaded: object, path: Path) -> dict[str, Tensor]:
    for key in ("state_dict", "model", "state_dict_ema"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    if not isinstance(loaded, Mapping) or not loaded or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{str(path)!r} holds no tensors by name. Save model.state_dict() and give that file.")
    tensors = {str(key): value for key, value in loaded.items()}
    # Data-parallel training puts the same prefix before every key.
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def fit_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str, *, is_partial: bool) -> tuple[str, ...]:
    """Load tensors into a module, and return the names of the parameters that were allowed to be missing.

    Args:
        module: The architecture.
        tensors: By name.
        source: Of the tensors, for messages.
        is_partial: Whether missing parameters are allowed. Surplus keys and other shapes never are.

    Raises:
        WeightsError: Keys are missing or surplus or of another shape; the message lists them.
    """
    expected = module.state_dict()
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    missing = sorted(set(expected) - set(tensors) - optional)
    surplus = sorted(set(tensors) - set(expected))
    shapes = [
        f"{name} is {list(tensors[name].shape)} in the file, {list(expected[name].shape)} in the model"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    problems = []
    if missing and not is_partial:
        problems.append(f"{len(missing)} missing: {_listed(missing)}")
    if surplus:
        problems.append(f"{len(surplus)} surplus: {_listed(surplus)}")
    if shapes:
        problems.append(f"{len(shapes)} of another shape: {_listed(shapes)}")
    if problems:
        hint = " --partial allows missing ones." if missing and not surplus and not shapes else ""
        raise WeightsError(f"{source} does not fit the model; nothing was loaded. Keys {'; '.join(problems)}.{hint}")
    module.load_state_dict({**expected, **tensors}, strict=True)
    return tuple(missing)


def _listed(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
