"""What the language model is made from: a file of `backbones`, set up by its entry of that name in params.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from irg_core import plugins
from irg_core.models.language import Language
from irg_core.params import section

ROOM = "irg_core.models.backbones"


@dataclass(frozen=True)
class Backbone:
    """One choice of backbone and its settings: part of what a training is made from."""

    name: str
    settings: Any

    def create(self, texts: Sequence[str], codes: int, seed: int) -> Language:
        """A model that knows our tags and so many motion codes. Raises `ModelError` where its weights are missing."""
        language: Language = plugins.load(ROOM, self.name).create(self.settings, texts, codes, seed)
        return language

    def config(self, codes: int) -> Any:
        """The shape of that model as transformers writes it, without any weights; for plans."""
        return plugins.load(ROOM, self.name).config(self.settings, codes)


def backbone(name: str) -> Backbone:
    """Raises `UnknownPlugin`, or `ParamsError` for settings that do not fit."""
    return Backbone(name, section(f"backbones.{name}", plugins.load(ROOM, name).Settings))
