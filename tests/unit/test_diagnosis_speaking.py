"""What a program wrote long before, in passing or as good news is never blamed; what it died of is."""

import pytest

from pierhead.core.diagnosis import Cause, crash, explained
from pierhead.core.diagnosis.speaking import spoken
from pierhead.core.replicas import Exit

FAILED = Exit(0, code=1)
TRACE = ("Traceback (most recent call last):", '  File "/srv/serve.py", line 44, in <module>')
PREFIX = "(EngineCore_0 pid=81) ERROR 09-12 08:11:02 [core.py:700] "

#: Lines that name a fault which was not the end, and what the program then ended with.
INNOCENT = [
    ('INFO tip: on "CUDA out of memory" reduce the batch size', "ProgramError"),
    ('tip: if you see "CUDA out of memory" reduce the batch size', "ProgramError"),
    ("INFO No space left on device is handled by rotating logs", "ProgramError"),
    ("WARNING: permission denied for the cache, continuing without it", "ProgramError"),
    ("[2026-09-12 08:11:02] [INFO] connection refused by the cache; retrying", "ProgramError"),
    ("level=info msg=\"too many open files last week\"", "ProgramError"),
    ('{"level": "info", "message": "address already in use, taking the next"}', "ProgramError"),
    ("I0912 08:11:02.1 1 server.cc:674] cannot allocate memory for pool, none is needed", "ProgramError"),
    ("No module named 'flash_attn', falling back to eager attention", "ProgramError"),
    ("could not resolve host metrics.local, ignoring", "ProgramError"),
    ("W0912 08:11:02 disk quota exceeded on /old", "ProgramError"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reason"), INNOCENT)
@pytest.mark.parametrize(
    "error",
    ["ZeroDivisionError: division by zero", "KeyError: 'hidden_size'", "ValueError: no such mode"],
)
def test_what_did_not_end_it_is_not_blamed(line: str, reason: str, error: str) -> None:
    cause = crash(FAILED, (line, "starting", *TRACE, error))
    assert cause.reason == reason
    assert error in cause.message


@pytest.mark.parametrize(
    "line", [line for line, _ in INNOCENT if "WARN" not in line[:8] and line[:2] != "W0"]
)
def test_without_an_exception_good_news_is_not_blamed_either(line: str) -> None:
    assert crash(FAILED, (line, "loading", "bye")).reason == "Crashed"


def test_a_warning_counts_where_nothing_graver_is_said() -> None:
    warning = "WARNING: no space left on device"
    assert crash(FAILED, (warning, "bye")).reason == "DiskFull"
    assert crash(FAILED, (warning, "FATAL: the license has expired")).reason == "Crashed"


def test_a_mistake_in_the_code_is_not_explained_by_an_error_before_it() -> None:
    lines = (
        "ERROR: connection refused by the cache",
        *TRACE,
        "TypeError: 'int' object is not iterable",
    )
    assert crash(FAILED, lines).reason == "ProgramError"


def test_an_error_that_wraps_another_is_explained_by_it() -> None:
    lines = (
        f"{PREFIX}Traceback (most recent call last):",
        f"{PREFIX}    raise ValueError(",
        f"{PREFIX}ValueError: No available memory for the cache blocks.",
        "(APIServer pid=7) RuntimeError: Engine core initialization failed. See root cause above.",
    )
    assert crash(FAILED, lines).reason == "GpuOutOfMemory"


def test_a_chained_mistake_is_explained_by_what_it_was_raised_for() -> None:
    lines = (
        "OSError: [Errno 28] No space left on device",
        "",
        "During handling of the above exception, another exception occurred:",
        *TRACE,
        "AttributeError: 'NoneType' object has no attribute 'close'",
    )
    assert crash(FAILED, lines).reason == "DiskFull"


def test_the_last_exception_goes_before_patterns_that_are_tried_earlier() -> None:
    lines = (
        "Error: address already in use",
        *TRACE,
        "ModuleNotFoundError: No module named 'torch'",
    )
    assert crash(FAILED, lines).reason == "ModuleMissing"


@pytest.mark.parametrize(
    "line",
    [
        "    raise ValueError(",
        "    except KeyError:",
        "  catch (Error: any)",
        "INFO last week: RuntimeError: it is over",
        "see docs/RuntimeError: how to",
        '"RuntimeError: quoted"',
    ],
)
def test_source_and_quotes_are_no_exceptions(line: str) -> None:
    assert spoken((line,)).error == ""


@pytest.mark.parametrize(
    "line",
    [
        "panic: runtime error: index out of range [5] with length 3",
        "thread 'main' panicked at src/main.rs:14:39:",
        'Exception in thread "main" java.lang.IllegalStateException: no model',
        "Caused by: com.example.ModelException: no model",
        "terminate called after throwing an instance of 'std::runtime_error'",
        "ReferenceError: x is not defined",
        "my.own.OddError",
    ],
)
def test_errors_of_other_languages_are_shown(line: str) -> None:
    cause = crash(FAILED, ("loading", line, "exit status 2"))
    assert cause.reason == "ProgramError"
    assert line in cause.message


def test_a_signal_or_a_return_is_not_called_an_error_of_the_program() -> None:
    assert crash(Exit(0, signal=11), ("RuntimeError: it is over",)).reason == "SegmentationFault"
    assert crash(Exit(0, code=0), ("RuntimeError: it is over",)).reason == "Exited"


#: Last words of real products -> the reason, and facts that must be found in them.
SAID: list[tuple[tuple[str, ...], str, dict[str, str]]] = [
    ((PREFIX + "ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB KV cache is needed, which is larger than the available KV cache memory (4.55 GiB). Based on the available memory, the estimated maximum model length is 37280.",), "ContextTooLarge", {"context": "131072", "most": "37280"}),
    (("  Value error, User-specified max_model_len (65536) is greater than the derived max_model_len (max_position_embeddings=32768 or model_max_length=None)",), "ContextTooLarge", {"context": "65536", "most": "32768"}),
    (("ValueError: Unknown quantization method: awq2. Must be one of ['awq'].",), "QuantizationUnsupported", {"method": "awq2"}),
    (("ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 89. Current capability: 75.",), "GpuTooOld", {}),
    (("ValueError: Total number of attention heads (32) must be divisible by tensor parallel size (3).",), "GpuCountWrong", {"wanted": "3"}),
    (("RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.",), "GpuOutOfMemory", {}),
    (("KeyError: 'qwen4'", "During handling of the above exception, another exception occurred:", "ValueError: The checkpoint you are trying to load has model type `qwen4` but Transformers does not recognize this architecture."), "ArchitectureUnsupported", {"architecture": "qwen4"}),
    (("torch.distributed.DistBackendError: NCCL error in: NCCLUtils.hpp:268, unhandled system error", "Error while creating shared memory segment /dev/shm/nccl-PGDbPz (size 9637888)"), "SharedMemoryFull", {}),
    (("RuntimeError: DataLoader worker (pid 123) is killed by signal: Bus error. It is possible that dataloader's workers are out of shared memory. Please try to raise your shared memory limit.",), "SharedMemoryFull", {}),
    (("ERROR shard-manager: text_generation_launcher: Shard process was signaled to shutdown with signal 9 rank=0", "Error: ShardCannotStart"), "Killed", {}),
    (("[ERROR] Worker (pid:123) was sent SIGKILL! Perhaps out of memory?",), "Killed", {}),
    (("Error: model requires more system memory (8.4 GiB) than is available (5.6 GiB)",), "OutOfMemory", {}),
    (("ImportError: tokenizers>=0.21,<0.22 is required for a normal functioning of this module, but found tokenizers==0.13.3.",), "ModulesDoNotFit", {}),
    (("AttributeError: _ARRAY_API not found", "ImportError: numpy.core.multiarray failed to import"), "ModulesDoNotFit", {}),
    (("./x: symbol lookup error: ./x: undefined symbol: foo_v2",), "LibraryDoesNotFit", {"symbol": "foo_v2"}),
    (("ImportError: /x/_C.so: undefined symbol: _ZN3c10",), "ModulesDoNotFit", {}),
    (("requests.exceptions.SSLError: HTTPSConnectionPool(host='hub.example.com', port=443): Max retries exceeded with url: /x (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed')))",), "CertificateNotTrusted", {"host": "hub.example.com"}),
    (('psycopg2.OperationalError: connection to server at "10.0.0.4", port 5432 failed: Connection refused',), "OutsideUnreachable", {"host": "10.0.0.4"}),
    (("OSError: We couldn't connect to 'https://hub.example.com' to load the files",), "OutsideUnreachable", {"host": "https://hub.example.com"}),
    (("2026/09/12 dial tcp 10.0.0.4:6379: connect: connection refused",), "OutsideUnreachable", {"host": "10.0.0.4:6379"}),
    (('  File "<frozen os>", line 679, in __getitem__', "KeyError: 'MODEL_NAME'"), "VariableMissing", {"variable": "MODEL_NAME"}),
    (('  File "/usr/lib/python3.10/os.py", line 680, in __getitem__', "    raise KeyError(key) from None", "KeyError: 'MODEL_NAME'"), "VariableMissing", {"variable": "MODEL_NAME"}),
    (("sh: 1: MODEL_NAME: parameter not set",), "VariableMissing", {"variable": "MODEL_NAME"}),
    (('  File "/srv/serve.py", line 9, in __getitem__', "KeyError: 'MODEL_NAME'"), "ProgramError", {}),
    (("EOFError: EOF when reading a line",), "NeedsTerminal", {}),
    (("the input device is not a TTY",), "NeedsTerminal", {}),
    (("UnicodeEncodeError: 'ascii' codec can't encode character '\\u4f60' in position 0",), "EncodingWrong", {"encoding": "ascii"}),
    (("json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",), "ConfigurationBroken", {}),
    (("yaml.scanner.ScannerError: mapping values are not allowed here", '  in "/srv/config.yaml", line 3, column 12'), "ConfigurationBroken", {}),
    (("pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings", "model_path", "  Field required [type=missing, input_value={}, input_type=dict]"), "ConfigurationBroken", {}),
    (("Error: Cannot find module 'express'", "Require stack:", "- /srv/[eval]"), "PartMissing", {"module": "express"}),
    (("Error: Cannot find module '/srv/server.js'",), "FileMissing", {"path": "/srv/server.js"}),
    (("Error: Could not find or load main class com.example.Serve", "Caused by: java.lang.ClassNotFoundException: com.example.Serve"), "PartMissing", {"module": "com.example.Serve"}),
    (('ERROR:    Error loading ASGI app. Could not import module "main".',), "PartMissing", {"module": "main"}),
    (("java.lang.UnsupportedClassVersionError: com/example/Serve has been compiled by a more recent version of the Java Runtime (class file version 65.0), this version of the Java Runtime only recognizes class file versions up to 61.0",), "JavaTooOld", {"needed": "65.0", "most": "61.0"}),
    (('FileNotFoundError: No such file or directory: "/models/model-00002-of-00003.safetensors"',), "FileMissing", {"path": "/models/model-00002-of-00003.safetensors"}),
    (("| resnet | 1 | UNAVAILABLE: Invalid argument: unable to find backend library 'libtriton_onnxruntime.so' for model 'resnet' |", "error: creating server: Internal - failed to load all models"), "LibraryMissing", {"library": "libtriton_onnxruntime.so"}),
    (("OSError: [Errno 99] Cannot assign requested address",), "AddressNotHere", {}),
    (("Error: listen EADDRINUSE: address already in use 127.0.0.1:45617",), "PortTaken", {"port": "45617"}),
    (("RuntimeError: Initialize: NPU function error: aclInit, error code is 500000",), "AcceleratorLost", {}),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "reason", "facts"), SAID, ids=[each[0][0][:40] for each in SAID])
def test_last_words_tell_the_reason(
    lines: tuple[str, ...], reason: str, facts: dict[str, str]
) -> None:
    cause = crash(FAILED, ("loading", *lines))
    assert cause.reason == reason
    assert facts.items() <= cause.facts.items()


@pytest.mark.parametrize(
    ("reason", "problem", "finer"),
    [
        ("NotReadyYet", "GET /health answered 404", "ProbePathWrong"),
        ("NotReadyYet", "GET /health answered 405", "ProbePathWrong"),
        ("NotReadyYet", "GET /health answered 401", "ProbeDenied"),
        ("NotReadyYet", "GET /health answered 500", "ProbeMeetsError"),
        ("NotReadyYet", "GET /health answered 503", "NotReadyYet"),
        ("NotReadyYet", "GET / on port 2: [Errno 104] Connection reset by peer", "ProbeFindsNoHttp"),
        ("NotReadyYet", "GET / on port 2: what answers is no HTTP/1.1", "ProbeFindsNoHttp"),
        ("NotReadyYet", "no answer to the http probe within 2 s", "ProbeUnanswered"),
        ("NotReadyYet", "GET / on port 2: Connect call failed; its processes listen on 18444", "ListensElsewhere"),
        ("NotReadyYet", "GET / on port 2: Connect call failed ('127.0.0.1', 2)", "NotReadyYet"),
        ("ModelFileBroken", "m.gguf is a pointer of Git LFS, not the file itself.", "GitLfsPointer"),
        ("ModelFileBroken", "m.gguf is a web page, no GGUF file.", "WebPageInstead"),
        ("ModelFileBroken", "m.gguf is empty.", "ModelFileEmpty"),
        ("ModelFileBroken", "The header of m.gguf cannot be true: it has the version 1; 2 and 3 are known.", "GgufVersion"),
        ("ModelFileBroken", "m.gguf is no GGUF file.", "ModelFileBroken"),
        ("StorageDenied", "the object is archived: restore it first (403 InvalidObjectState)", "ObjectArchived"),
        ("StorageDenied", "the account is disabled (403 UserDisable)", "AccountDisabled"),
        ("StorageDenied", "the bucket is served by another endpoint, oss-cn-x.aliyuncs.com (403 AccessDenied)", "BucketElsewhere"),
        ("CommandNotFound", "its first line has Windows line ends", "WindowsLineEnds"),
        ("CommandNotFound", "its interpreter /opt/py does not exist", "InterpreterMissing"),
        ("CommandNotFound", "No such file or directory", "CommandNotFound"),
    ],
)  # fmt: skip
def test_what_is_known_gives_a_finer_word(reason: str, problem: str, finer: str) -> None:
    assert explained(Cause(reason, problem, {"problem": problem})).reason == finer
