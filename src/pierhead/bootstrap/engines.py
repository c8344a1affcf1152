"""The engines of this machine: what the operator installed and set, and what each can do here."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.choice import Offer
from pierhead.engines import offers, registry
from pierhead.engines.base import Engine
from pierhead.engines.programs import Programs
from pierhead.settings import Settings


@dataclass(frozen=True, slots=True)
class Engines:
    """Every engine by its name."""

    adapters: Mapping[str, Engine]
    offers: Mapping[str, Offer]
    wishes: Mapping[str, str]  #: name of a spec or template -> engine that the operator wants


def engines(settings: Settings) -> Engines:
    """What is here now; programs are looked for in PATH and where the settings say."""
    programs = Programs(
        llama_server=settings.engines_llama_server,
        vllm=settings.engines_vllm,
        transformers=settings.engines_transformers,
    )
    adapters = registry(sys.executable, programs)
    return Engines(adapters, offers(adapters, programs, shutil.which), settings.engines_choice)
