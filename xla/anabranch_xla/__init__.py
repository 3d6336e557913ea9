"""Trains what `anabranch export xla` wrote, by XLA through jax."""

from .artefact import Artefact
from .train import Trainer

__all__ = ["Artefact", "Trainer"]
