"""Finished models of the hub, brought here once: for comparing them with one's own."""

import re
from pathlib import Path

from irg_core.errors import ModelError

NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
"""`owner/name`, or `owner/name@revision`."""
READ = ["*.safetensors", "*.json", "*.txt", "*.model", "README.md", "SHA256SUMS"]
"""What is fetched of a repository: no pickle, no code."""


def fetched(name: str) -> Path:
    """The folder of a model of the hub, downloaded unless it was before. HF_TOKEN and HF_ENDPOINT count, where set.

    Raises `ModelError` where the name is none, the hub is out of reach, or has no such model.
    """
    from huggingface_hub import snapshot_download

    if not NAME.fullmatch(name):
        raise ModelError(f"{name} is neither a folder with a model here nor a name of the hub (owner/name)")
    repository, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=READ))
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise ModelError(f"{name} is no folder here, and could not be had from the hub: {why}") from error
