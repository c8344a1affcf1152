"""What engines have in common that load a folder as Hugging Face lays it out."""

from pathlib import PurePosixPath

from pierhead.core.launch import Files
from pierhead.core.templates import Template

#: Nothing is fetched and nothing told to anybody, even where a template wishes it otherwise.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


def folder_of(files: Files) -> str:
    """The folder with config, tokenizer and weights, also where a file in it is named."""
    model = files.model or files.folder
    is_file = PurePosixPath(model).suffix in {".safetensors", ".json"}
    return str(PurePosixPath(model).parent) if is_file else model


def quantized_at_load(template: Template, files: Files) -> bool:
    """Is int8 asked for of weights that are not int8 already?"""
    return template.precision == "int8" and files.precision != "int8"
