"""Circuits that come with the program, for atlases that hold the weights they were found in."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from precompute.circuits.circuit import Circuit, CircuitDraft, parse_stored
from precompute.errors import UnknownName
from precompute.store.circuits import admit
from precompute.store.reader import AtlasReader
from precompute.store.user_db import UserDb


def shipped_circuits() -> list[Circuit]:
    """Return the circuits that come with the program, by the name of their file."""
    documents = [file for file in files("precompute.circuits").joinpath("shipped").iterdir() if file.name.endswith(".json")]
    return [parse_stored(file.read_text("utf-8")) for file in sorted(documents, key=lambda file: file.name)]


def save_shipped(atlas: Path) -> list[tuple[str, str]]:
    """Save the circuits that come with the program, each into the model that has its weights, whatever that is called here.

    One that was ever saved in this atlas is left as it is: somebody may have revised or deleted it.

    Args:
        atlas: Folder of the atlas, with its database.

    Returns:
        The id of each, and what became of it.
    """
    reader, users = AtlasReader(atlas), UserDb(atlas)
    try:
        models = {model.weights_sha256: model.id for model in reversed(reader.models())}
        return [(circuit.id, _save(reader, users, models, circuit)) for circuit in shipped_circuits()]
    finally:
        reader.close()


def _save(reader: AtlasReader, users: UserDb, models: dict[str, str], circuit: Circuit) -> str:
    model_id = models.get(circuit.weights_sha256)
    if model_id is None:
        return f"left out: no model of this atlas has the weights {circuit.weights_sha256[:16]}… ({circuit.model})"
    if users.revisions(circuit.id):
        return "left as it is: it was saved here before"
    try:
        users.add(admit(reader, CircuitDraft.model_validate(circuit.model_dump() | {"model": model_id})))
    except UnknownName as error:
        return f"left out: {error}"
    return f"saved, on {model_id}"
