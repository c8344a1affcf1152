"""Words of engines, libraries and the system that tell why a program ended.

Tried in this order over all last lines; the first pattern that is found counts. Named groups of its
words in the line that tells it become facts. What points at one cause goes before what may have many.
"""

import re
from typing import NamedTuple


class Pattern(NamedTuple):
    """A reason, and the words that tell it, any of them."""

    reason: str
    words: tuple[re.Pattern[str], ...]


def _pattern(reason: str, *words: str) -> Pattern:
    return Pattern(reason, tuple(re.compile(each, re.IGNORECASE | re.MULTILINE) for each in words))


_PATH = r"['\"]?(?P<path>/[^'\"\s:]+)"

PATTERNS: tuple[Pattern, ...] = (
    _pattern("PortTaken", r"address already in use", r"couldn't bind", r"bind failed"),
    # ---- the model
    _pattern(
        "ArchitectureUnsupported",
        r"unknown model architecture(?:: '(?P<architecture>[^']*)')?",
        r"unsupported model architecture",
        r"Model architectures? \[?'?[\w', ]+\]? (?:are|is) not supported",
        r"does not recognize this architecture",
    ),
    _pattern(
        "RemoteCodeRefused",
        r"trust_remote_code",
        r"requires you to execute the (?:configuration|modeling) file",
    ),
    _pattern(
        "TokenizerUnsupported",
        r"unknown pre-tokenizer type",
        r"can't load tokenizer",
        r"couldn't instantiate the backend tokenizer",
        r"error loading vocabulary",
    ),
    _pattern(
        "ModelFilesMissing",
        r"does not appear to have a file named",
        r"not a valid model identifier",
        r"invalid repository id or local directory",
        r"cannot find any model weights",
        r"no file named .*(?:safetensors|pytorch_model)",
        r"failed to open gguf file",
    ),
    _pattern(
        "ModelFileBroken",
        r"invalid magic",
        r"failed to read magic",
        r"tensor .* data is not within",
        r"not a valid gguf",
        r"gguf_init",
        r"SafetensorError",
        r"error while deserializing header",
        r"invalid load key",
        r"PytorchStreamReader failed",
    ),
    # ---- memory and devices
    _pattern(
        "GpuOutOfMemory",
        r"CUDA out of memory(?:\. Tried to allocate (?P<needed>[\d.]+ [KMG]iB))?",
        r"cudaMalloc failed: out of memory",
        r"CUDA error: out of memory",
        r"allocating (?P<needed>[\d.]+ MiB) on device \d+: cudaMalloc failed",
        r"no available memory for the cache blocks",
        r"free memory on device .{0,120}less than desired",
        r"HIP out of memory",
    ),
    _pattern(
        "ContextTooLarge",
        r"failed to create context",
        r"max seq len \((?P<context>\d+)\) is larger than the maximum number of tokens[^(]*\((?P<most>\d+)\)",
        r"exceeds? the (?:available|maximum) context",
        r"n_ctx.{0,40}(?:too large|exceed)",
        r"larger than the maximum number of tokens",
        r"max_model_len.{0,80}(?:greater|larger)",
    ),
    _pattern(
        "DriverTooOld",
        r"CUDA driver version is insufficient",
        r"NVIDIA driver on your system is too old",
    ),
    _pattern(
        "GpuTooOld",
        r"no kernel image is available for execution",
        r"only supported on GPUs with compute capability",
        r"compute capability .{0,60}(?:not supported|too low)",
    ),
    _pattern(
        "BuiltWithoutGpu",
        r"not compiled with CUDA",
        r"compiled without GPU support",
        r"no GPU support compiled",
    ),
    _pattern(
        "AcceleratorLost",
        r"no CUDA-capable device",
        r"CUDA driver version",
        r"CUDA error",
        r"no NVIDIA driver",
        r"No CUDA GPUs are available",
        r"HIP error",
        r"GPU is lost",
        r"NCCL error",
    ),
    # ---- what it stands on
    _pattern(
        "CudaMissing",
        r"(?P<library>libcuda(?:rt)?\.so[.\d]*): cannot open shared object file.{0,40}no nvidia",
    ),
    _pattern(
        "LibraryTooOld",
        r"version [`'](?P<library>GLIBC(?:XX)?_[\d.]+)' not found",
        r"version [`'](?P<library>CXXABI_[\d.]+)' not found",
    ),
    _pattern(
        "LibraryMissing",
        r"error while loading shared libraries: (?P<library>[^\s:]+)",
        r"(?P<library>[\w.+-]+\.so[.\d]*): cannot open shared object file",
        r"cannot open shared object file",
    ),
    _pattern(
        "ModulesDoNotFit",
        r"cannot import name",
        r"undefined symbol",
        r"numpy\.dtype size changed",
        r"VersionConflict",
    ),
    _pattern(
        "HubDenied",
        r"GatedRepoError",
        r"access to model .{0,80} is restricted",
        r"401 client error",
        r"403 client error",
    ),
    # ---- the machine
    _pattern(
        "SharedMemoryFull",
        r"no space left on device.{0,40}/dev/shm",
        r"[/]dev/shm.{0,80}no space left",
        r"unable to (?:write to|open) (?:file|shared memory object) </torch_",
    ),
    _pattern("DiskFull", r"no space left on device(?:: " + _PATH + r")?", r"ENOSPC"),
    _pattern("DiskQuotaExceeded", r"disk quota exceeded"),
    _pattern("ReadOnlyFileSystem", r"read-only file system(?:: " + _PATH + r")?"),
    _pattern("TooManyOpenFiles", r"too many open files"),
    _pattern(
        "ProcessLimit",
        r"can't start new thread",
        r"cannot fork",
        r"fork: (?:retry|resource)",
        r"BlockingIOError: .{0,20}resource temporarily unavailable",
    ),
    # ---- weights and memory, in general words
    _pattern("ModelLoadFailed", r"failed to load model", r"error loading model"),
    _pattern(
        "OutOfMemory", r"cannot allocate memory", r"out of memory", r"bad_alloc", r"MemoryError"
    ),
    # ---- the command
    _pattern(
        "ModuleMissing",
        r"No module named '?(?P<module>[\w.-]+)",
        r"ModuleNotFoundError",
        r"ImportError",
    ),
    _pattern(
        "BadArguments",
        r"unrecognized arguments?:? (?P<argument>\S+)",
        r"error: (?:invalid|unknown) argument:? (?P<argument>\S+)",
        r"no such option:? (?P<argument>\S+)",
        r"invalid option",
        r"unknown option",
        r"error: argument \S+:",
        r"the following arguments are required",
    ),
    _pattern("CommandBroken", r"^SyntaxError", r"IndentationError", r"syntax error"),
    _pattern("PermissionDenied", r"permission denied(?:: " + _PATH + r")?"),
    _pattern(
        "FileMissing",
        r"FileNotFoundError.{0,80}No such file or directory: '(?P<path>[^']+)'",
        r"can't open file '(?P<path>[^']+)'",
        r"cannot open '?(?P<path>[^\s':]+)'?: No such file",
    ),
    _pattern(
        "OutsideUnreachable",
        r"host='(?P<host>[^']+)'.{0,40}Max retries exceeded",
        r"name or service not known",
        r"temporary failure in name resolution",
        r"network is unreachable",
        r"no route to host",
        r"could not resolve host:? (?P<host>\S+)",
        r"ConnectionRefusedError",
    ),
)
