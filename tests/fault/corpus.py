"""The injected faults of the diagnosis corpus, as data: what is broken, and which cause is the right one.

process   a real program that really fails in this way, run as a replica
engine    the embedded engine itself, given a model that it cannot load
said      a program that only says what the real one would: what it needs is not on every machine
weights   files in the place of a spec's weights, judged by the real preflight
store     a bucket on the store double, fetched by the real client
nas       a network file system that hangs or refuses: a real NFS server, and FUSE without an answer
platform  what is asked for cannot be had from this machine or platform
later     something happens to a service that runs, or to what it waits for
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["process", "engine", "said", "weights", "store", "nas", "platform", "later"]
Json = dict[str, Any]

#: Seconds in which a fault must be told, beyond those that it takes by its nature.
PROMPT = 5.0


@dataclass(frozen=True, slots=True)
class Case:
    """One fault."""

    name: str
    injected: str  #: for the table in the docs
    reason: str  #: the right top cause
    kind: Kind
    command: tuple[str, ...] = ()
    container: Mapping[str, Any] = field(default_factory=dict[str, Any])  #: more of the document
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: float = 0.0  #: seconds that the fault itself takes, such as a deadline
    needs: str = ""  #: program without which it cannot be played


def _py(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def _sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def _said(name: str, injected: str, reason: str, line: str) -> Case:
    env = {"env": [{"name": "LINE", "value": line}]}
    return Case(name, injected, reason, "said", _sh('echo "$LINE" >&2; exit 1'), env)


def _signal(name: str, injected: str, reason: str, number: str) -> Case:
    return Case(name, injected, reason, "process", _sh(f"kill -{number} $$"))


#: A server that answers every path with the status in STATUS, on the port that it is given.
SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(os.environ["STATUS"])); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"]) + int(os.environ.get("OFF", "0"))), Handler).serve_forever()
"""


def _serving(status: int, **env: str) -> Json:
    named = {"STATUS": str(status), **env}
    return {"env": [{"name": key, "value": value} for key, value in named.items()]}


def _probed(path: str = "/", tries: int = 3) -> Json:
    get = {"http_get": {"path": path}, "period_seconds": 0.5}
    return {"startup_check": {**get, "failure_threshold": tries}, "readiness_check": get}


_NO_MEMORY = "held = []\nwhile True: held.append(bytearray(1 << 24))"
_MAPPED = (
    "import mmap, tempfile; f = tempfile.TemporaryFile(); f.truncate(8192);"
    "m = mmap.mmap(f.fileno(), 8192); f.truncate(0); m[5000]"
)
_NO_THREAD = (
    "import resource, threading, time\n"
    "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
    "resource.setrlimit(resource.RLIMIT_AS, (used + (24 << 20),) * 2)\n"
    "for _ in range(64): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
)
_NO_FILE = (
    "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16));"
    "held = [open('/dev/null') for _ in range(64)]"
)
_DENIED = (
    "import os, tempfile; folder = tempfile.mkdtemp(); path = folder + '/secret';"
    "open(path, 'w').close(); os.chmod(path, 0); os.getuid() or os.setuid(65534); open(path)"
)
_TAKEN = "import socket; a = socket.create_server(('127.0.0.1', 0)); socket.create_server(a.getsockname())"
_UNLINKED = "import ctypes; ctypes.CDLL('libnowhere.so.7')"

PROCESSES: tuple[Case, ...] = (
    Case("crash", "the program ends with exit code 3 and words that nobody knows", "Crashed", "process", _sh("echo what now; exit 3")),
    Case("silent", "the program ends with exit code 42 and writes nothing", "Crashed", "process", _sh("exit 42")),
    Case("returns", "the command does its work and returns", "Exited", "process", _sh("echo done")),
    Case("no_command", "the command does not exist", "CommandNotFound", "process", ("/nowhere/at/all",)),
    Case("no_command_in_shell", "a shell's command does not exist", "CommandNotFound", "process", _sh("frobnicate --serve")),
    Case("not_executable", "the command is a file without the right to be executed", "CommandNotExecutable", "process", ("{folder}/plain.txt",)),
    Case("other_machine", "the command was built for another CPU", "WrongProgramFormat", "process", ("{folder}/other-machine",)),
    Case("no_interpreter_line", "the command is a text without a first line that names its program", "WrongProgramFormat", "process", ("{folder}/no-first-line",)),
    Case("too_long", "a variable of 200 KiB", "CommandTooLong", "process", _sh("exit 0"), {"env": [{"name": "LONG", "value": "x" * 200_000}]}),
    Case("python_syntax", "a Python command with a syntax error", "CommandBroken", "process", _py("def serve(:")),
    Case("shell_syntax", "a shell command with a syntax error", "CommandBroken", "process", _sh("if true; then")),
    Case("argument", "an argument that the program does not know", "BadArguments", "process", _py("import argparse; argparse.ArgumentParser().parse_args(['--max-modle-len=1'])")),
    Case("module", "a Python module that is not installed", "ModuleMissing", "process", _py("import no_such_engine")),
    Case("module_version", "a Python module of another version than is needed", "ModulesDoNotFit", "process", _py("from json import lods")),
    Case("library", "a shared library that is not installed", "LibraryMissing", "process", _py(_UNLINKED)),
    Case("linked_library", "a program linked with a library that is gone", "LibraryMissing", "process", ("{folder}/linked",), needs="cc"),
    Case("file", "a file that does not exist", "FileMissing", "process", _py("open('/nowhere/tokens.txt')")),
    Case("script_file", "a script that does not exist", "FileMissing", "process", (sys.executable, "/nowhere/serve.py")),
    Case("permission", "a file that the user may not read", "PermissionDenied", "process", _py(_DENIED)),
    Case("disk_full", "a write to a full device", "DiskFull", "process", _py("f = open('/dev/full', 'w'); f.write('x' * 99999); f.flush()")),
    Case("open_files", "more open files than the limit", "TooManyOpenFiles", "process", _py(_NO_FILE)),
    Case("threads", "more threads than there is room for", "ProcessLimit", "process", _py(_NO_THREAD)),
    Case("file_size", "a file beyond the file size limit", "FileSizeLimit", "process", _sh("ulimit -f 1; cat /dev/zero > big")),
    Case("cpu_time", "more CPU time than the limit", "CpuTimeLimit", "process", _sh("ulimit -St 1; while :; do :; done"), after=3.0),
    Case("memory_limit", "more memory than the replica's limit of 256 MiB", "OutOfMemory", "process", _py(_NO_MEMORY), metadata={"memory": 256, "cpu": 1}, after=2.0),
    Case("port_taken", "a port that another socket has", "PortTaken", "process", _py(_TAKEN)),
    _signal("kill", "SIGKILL from outside", "Killed", "KILL"),
    _signal("term", "SIGTERM from outside", "Terminated", "TERM"),
    _signal("ill", "SIGILL", "IllegalInstruction", "ILL"),
    _signal("fpe", "SIGFPE", "ArithmeticFault", "FPE"),
    _signal("sys", "SIGSYS", "SystemCallRefused", "SYS"),
    Case("abort", "the program aborts itself", "Aborted", "process", _py("import os; os.abort()")),
    Case("segv", "a read at address 0", "SegmentationFault", "process", _py("import ctypes; ctypes.string_at(0)")),
    Case("bus", "a mapped file that became shorter", "BusError", "process", _py(_MAPPED)),
    Case("shell_kill", "SIGKILL of a program that a shell waits for", "Killed", "process", _sh("sh -c 'kill -9 $$'; exit $?")),
    Case("unknown_host", "a name that does not resolve", "OutsideUnreachable", "process", _py("import socket; socket.create_connection(('no-such-host.invalid', 80))")),
    Case("refused", "a service elsewhere that does not listen", "OutsideUnreachable", "process", _py("import socket; socket.create_connection(('127.0.0.1', 1))")),
    Case("never_listens", "a program that listens nowhere", "NeverListened", "process", _sh("sleep 600"), _probed(), after=4.0),
    Case("other_port", "a program that listens on another port", "NeverListened", "process", _py(SERVER), {**_serving(200, OFF="9000"), **_probed()}, after=4.0),
    Case("probe_path", "a readiness probe with a wrong path", "ProbePathWrong", "process", _py(SERVER), {**_serving(404), **_probed("/helth", 6)}, after=6.0),
    Case("probe_denied", "a readiness probe that lacks a key", "ProbeDenied", "process", _py(SERVER), {**_serving(401), **_probed("/", 6)}, after=6.0),
    Case("slow", "a program that says 503 for longer than it may", "StartDeadlineExceeded", "process", _py(SERVER), {**_serving(503), **_probed("/", 6)}, after=6.0),
    Case("exec_probe", "a readiness probe whose command fails", "ProbeCommandFailed", "process", _py(SERVER), {**_serving(200), "startup_check": {"exec": {"command": ["false"]}, "period_seconds": 0.5, "failure_threshold": 6}, "readiness_check": {"exec": {"command": ["false"]}}}, after=6.0),
    Case("liveness", "a liveness probe that fails", "LivenessFailed", "process", _py(SERVER), {**_serving(200), "liveness_check": {"exec": {"command": ["false"]}, "period_seconds": 0.3, "failure_threshold": 2}}, after=4.0),
)  # fmt: skip


def _engine(model: str, context: int = 512, before: str = "") -> tuple[str, ...]:
    run = f"exec {sys.executable} -m pierhead.engines.llama_cpp_server --model {{folder}}/{model}"
    return _sh(f"{before}{run} --alias x --port $PORT --context {context} --slots 2")


ENGINES: tuple[Case, ...] = (
    Case("engine_architecture", "a model of an architecture that the embedded engine does not know", "ArchitectureUnsupported", "engine", _engine("architecture.gguf")),
    Case("engine_cut", "a model that was cut off", "ModelFileBroken", "engine", _engine("cut.gguf")),
    Case("engine_garbage", "a file that is no model", "ModelFileBroken", "engine", _engine("garbage.gguf")),
    Case("engine_missing", "a model that is not there", "ModelFilesMissing", "engine", _engine("nowhere.gguf")),
    Case("engine_context", "a context of 4 million tokens in 4 GB of address space", "ContextTooLarge", "engine", _engine("whole.gguf", 1 << 22, "ulimit -v 4000000; ")),
)  # fmt: skip

SAID: tuple[Case, ...] = (
    _said("gpu_memory", "PyTorch runs out of GPU memory", "GpuOutOfMemory", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 23.68 GiB"),
    _said("gpu_memory_llama", "llama.cpp runs out of GPU memory", "GpuOutOfMemory", "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: cudaMalloc failed: out of memory"),
    _said("vllm_memory", "vLLM finds no room for its cache", "GpuOutOfMemory", "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine."),
    _said("vllm_context", "vLLM's context is larger than its cache", "ContextTooLarge", "ValueError: The model's max seq len (131072) is larger than the maximum number of tokens that can be stored in KV cache (26064)."),
    _said("driver_old", "a driver that is too old", "DriverTooOld", "RuntimeError: The NVIDIA driver on your system is too old (found version 11040)."),
    _said("no_device", "no CUDA device", "AcceleratorLost", "RuntimeError: No CUDA GPUs are available"),
    _said("gpu_lost", "a GPU that fell off the bus", "AcceleratorLost", "RuntimeError: CUDA error: unspecified launch failure"),
    _said("gpu_old", "a GPU that is too old for bfloat16", "GpuTooOld", "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5."),
    _said("cpu_build", "PyTorch without CUDA", "BuiltWithoutGpu", "AssertionError: Torch not compiled with CUDA enabled"),
    _said("cuda", "no CUDA library", "CudaMissing", "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"),
    _said("glibc", "a program of a newer Linux", "LibraryTooOld", "./server: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by ./server)"),
    _said("architecture", "an architecture that vLLM does not know", "ArchitectureUnsupported", "ValueError: Model architectures ['FooForCausalLM'] are not supported for now."),
    _said("architecture_llama", "an architecture that llama.cpp does not know", "ArchitectureUnsupported", "llama_model_load: error loading model: unknown model architecture: 'foo3'"),
    _said("remote_code", "a model with code of its own", "RemoteCodeRefused", "ValueError: The repository contains custom code which must be executed. Please pass the argument `trust_remote_code=True` to allow custom code to be run."),
    _said("tokenizer", "a tokenizer of a newer kind", "TokenizerUnsupported", "llama_model_load: error loading model vocabulary: unknown pre-tokenizer type: 'foo-bpe'"),
    _said("config", "a folder without config.json", "ModelFilesMissing", "OSError: /models does not appear to have a file named config.json."),
    _said("safetensors", "a safetensors file with a broken header", "ModelFileBroken", "safetensors_rust.SafetensorError: Error while deserializing header: InvalidHeaderDeserialization"),
    _said("gated", "a gated model of a hub", "HubDenied", "huggingface_hub.errors.GatedRepoError: 401 Client Error. Access to model meta/llama is restricted."),
    _said("read_only", "a write into read-only files", "ReadOnlyFileSystem", "OSError: [Errno 30] Read-only file system: '/models/cache'"),
    _said("disk_quota", "a user's disk quota", "DiskQuotaExceeded", "OSError: [Errno 122] Disk quota exceeded"),
    _said("shared_memory", "a full /dev/shm", "SharedMemoryFull", "RuntimeError: unable to write to file </torch_133_0>: No space left on device (28)"),
)  # fmt: skip

WEIGHTS: tuple[Case, ...] = (
    Case("weights_none", "no file where the weights should be", "WeightsMissing", "weights"),
    Case("weights_two", "two models in one folder", "WeightsAmbiguous", "weights"),
    Case("weights_format", "safetensors where no engine reads them", "NoEngine", "weights"),
    Case("weights_pickled", "weights that are a Python pickle", "FormatNotSupported", "weights"),
    Case("weights_garbage", "a GGUF file that is none", "ModelFileBroken", "weights"),
    Case("weights_cut", "a GGUF file that was cut off", "ModelFileBroken", "weights"),
    Case("weights_other", "the weights of another model", "WeightsMismatch", "weights"),
    Case("weights_part", "a split model without its second part", "WeightsIncomplete", "weights"),
    Case("weights_first_chatglm", "a model that no engine here serves", "ArchitectureNotSupported", "weights"),
)  # fmt: skip

STORES: tuple[Case, ...] = (
    Case("store_unknown", "a bucket that no connection serves", "StorageNotConnected", "store"),
    Case("store_no_bucket", "a bucket that does not exist", "BucketMissing", "store"),
    Case("store_empty", "a folder without objects", "WeightsMissing", "store"),
    Case("store_no_config", "safetensors without config.json", "WeightsIncomplete", "store"),
    Case("store_two", "two models in one folder of a bucket", "WeightsAmbiguous", "store"),
    Case("store_key", "a key that the store does not know", "KeyUnknown", "store"),
    Case("store_secret", "a secret that is wrong", "SecretWrong", "store"),
    Case("store_expired", "a temporary key that has expired", "CredentialsExpired", "store"),
    Case("store_forbidden", "an object that the key may not read", "StorageDenied", "store"),
    Case("store_private", "an endpoint on loopback that nobody allowed", "EgressRefused", "store"),
    Case("store_closed", "an endpoint at which nothing listens", "StoreUnreachable", "store"),
    Case("store_busy", "a store that answers 503", "StoreBusy", "store"),
    Case("store_hub", "a model hub that may not be asked", "HubNotAllowed", "store"),
    Case("store_tls", "a store with a self-signed certificate", "CertificateRefused", "store", needs="openssl"),
    Case("store_clock", "a store whose clock is an hour ahead", "ClockSkewed", "store"),
    Case("store_damaged", "an object with a bit that flips on the way, every time", "WeightsDamaged", "store", after=2.0),
    Case("store_changed", "an object that is another one whenever it is read", "WeightsChanged", "store"),
)  # fmt: skip

NAS: tuple[Case, ...] = (
    Case("nas_refuses", "an NFS server that does not listen", "StoreUnreachable", "nas"),
    Case("nas_no_export", "a folder that an NFS server does not have", "WeightsMissing", "nas"),
    Case("nas_hangs", "an NFS server that is stopped by SIGSTOP", "StorageHangs", "nas", after=8.0),
    Case("mount_hangs", "a mounted file system that does not answer", "StorageHangs", "nas", after=5.0),
)  # fmt: skip

PLATFORM: tuple[Case, ...] = (
    Case("memory", "more memory than any machine has", "InsufficientResources", "platform", _sh("sleep 9"), metadata={"memory": 1 << 30, "cpu": 1}),
    Case("cores", "more cores than any machine has", "InsufficientResources", "platform", _sh("sleep 9"), metadata={"memory": 64, "cpu": 4096}),
    Case("gpu", "a GPU on a machine without one", "Unschedulable", "platform", _sh("sleep 9"), metadata={"gpu": 1}),
    Case("nothing_to_run", "a template without a command", "NoCommand", "platform"),
    Case("no_package", "a requirement that does not exist", "PackageNotFound", "platform", after=10.0),
    Case("conflict", "requirements that contradict each other", "DependencyConflict", "platform", after=10.0),
    Case("no_python", "a Python version that is not here", "PythonUnavailable", "platform", after=10.0),
    Case("no_index", "a package index that does not answer", "PackageIndexUnreachable", "platform", after=25.0),
    Case("dependency", "a service that depends on one that failed", "DependencyNotRunning", "platform"),
    Case("quota_full", "a quota that others have used up", "QuotaExceeded", "platform", _sh("sleep 600"), metadata={"quota_id": "corpus-full", "memory": 600, "cpu": 1}),
    Case("quota_small", "more than a quota allows to anybody", "QuotaExceeded", "platform", _sh("sleep 9"), metadata={"quota_id": "corpus-full", "memory": 4000, "cpu": 1}),
    Case("quota_limits", "no limit where a quota counts", "QuotaNeedsLimits", "platform", _sh("sleep 9"), metadata={"quota_id": "corpus-full"}),
)  # fmt: skip

#: On a platform of its own: one GPU, which its driver's double tells, and a cache on a small disk.
SMALL: tuple[Case, ...] = (
    Case("gpu_taken", "a GPU that another service has", "WaitingForGpu", "platform", _sh("sleep 9"), metadata={"gpu": 1}, needs="cc"),
    Case("disk_small", "weights that do not fit on the cache's disk", "DiskFull", "platform"),
)  # fmt: skip

#: What happens to a service of the same name that runs, or waits; see `later.py`.
LATER: tuple[Case, ...] = (
    Case("later_hangs", "an engine that hangs (SIGSTOP) after it was ready", "ProbeUnanswered", "later", after=8.0),
    Case("later_keeper", "the keeper of a replica is killed", "Lost", "later"),
    Case("later_engine", "the engine of a replica is killed", "Killed", "later"),
    Case("later_weights", "weights that vanish from the NAS; then the engine ends", "WeightsMissing", "later", after=2.0),
    Case("later_workspace", "a connection that is given to another workspace", "StorageNotConnected", "later"),
    Case("later_dependency", "a dependency that is stopped before its dependent starts again", "DependencyNotRunning", "later"),
    Case("later_drained", "a replica whose stream outlasts its grace", "DrainOverdue", "later", after=1.0),
)  # fmt: skip

CASES = (*PROCESSES, *ENGINES, *SAID, *WEIGHTS, *STORES, *NAS, *PLATFORM, *SMALL, *LATER)


def document(case: Case, folder: str) -> Json:
    """The service JSON of a case that runs a command."""
    container: Json = {
        "command": [part.replace("{folder}", folder) for part in case.command],
        **case.container,
    }
    return {
        "metadata": {"name": case.name, "instance": 1, **case.metadata},
        "containers": [container],
    }
