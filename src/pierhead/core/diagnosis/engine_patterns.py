"""Words of engines that do not load a model, or find no memory or device for it; see patterns."""

from typing import NamedTuple

from pierhead.core.diagnosis.phrases import Phrase, phrase


class Pattern(NamedTuple):
    """A reason, and the words that tell it, any of them."""

    reason: str
    words: tuple[Phrase, ...]


def pattern(reason: str, *words: str) -> Pattern:
    """A reason told by any of these words."""
    return Pattern(reason, tuple(map(phrase, words)))


ENGINES: tuple[Pattern, ...] = (
    # ---- the model
    pattern(
        "ArchitectureUnsupported",
        r"unknown model architecture(?:: '(?P<architecture>[^']*)')?",
        r"unsupported model architecture",
        r"Model architectures? \['?(?P<architecture>\w+)(?!\w)[\w', ]*\] (?:are|is) not supported",
        r"Model architectures? [\w', ]+ (?:are|is) not supported",
        r"model type [`'\"](?P<architecture>[\w.-]+)[`'\"] but \w+ does not recognize",
        r"does not recognize this architecture",
        r"unrecognized model in ",
        r"\b(?P<architecture>\w{1,100}For\w{1,100}) has no \w+ implementation",
    ),
    pattern(
        "RemoteCodeRefused",
        r"trust_remote_code",
        r"requires you to execute the (?:configuration|modeling) file",
    ),
    pattern(
        "TokenizerUnsupported",
        r"unknown pre-tokenizer type",
        r"can't load tokenizer",
        r"untagged enum ModelWrapper",
        r"Tokenizer class \w+ does not exist",
        r"couldn't instantiate the backend tokenizer",
        r"error loading vocabulary",
    ),
    pattern(
        "GpuTooOld",
        r"no kernel image is available for execution",
        r"only supported on GPUs with compute capability",
        r"compute capability .{0,60}(?:not supported|too low)",
        r"minimum capability: \d+\. current capability: \d+",
    ),
    pattern(
        "QuantizationUnsupported",
        r"unknown quantization (?:method|type|config)\w*:? [`'\"]?(?P<method>[\w-]+)",
        r"quantization (?:method|scheme) (?:specified in the model config )?[`'\"(]*(?P<method>[\w-]+)[`'\")]* .{0,40}(?:not supported|does not match)",
        r"unsupported quantization",
    ),
    pattern(
        "GpuCountWrong",
        r"must be divisible by (?:the )?tensor.parallel.size(?: \((?P<wanted>\d+)\))?",
        r"number of required GPUs exceeds",
        r"world size \(?(?P<wanted>\d+)\)? .{0,60}number of available GPUs \(?(?P<there>\d+)",
        r"invalid device ordinal",
    ),
    pattern(
        "ModelFilesMissing",
        r"does not appear to have (?:a file|files) named",
        r"no supported config format found",
        r"not a valid model identifier",
        r"invalid repository id or local directory",
        r"cannot find any model weights",
        r"no file named .{0,200}(?:safetensors|pytorch_model)",
        r"failed to open gguf file",
    ),
    pattern(
        "ModelFileBroken",
        r"invalid magic",
        r"failed to read magic",
        r"tensor .{0,200} data is not within",
        r"not a valid gguf",
        r"gguf_init",
        r"SafetensorError",
        r"error while deserializing header",
        r"invalid load key",
        r"missing tensor '",
        r"size mismatch for \S+: copying a param",
        r"PytorchStreamReader failed",
    ),
    # ---- memory and devices
    pattern(
        "SharedMemoryFull",
        r"no space left on device.{0,40}/dev/shm",
        r"[/]dev/shm.{0,80}no space left",
        r"unable to (?:write to|open) (?:file|shared memory object) </torch_",
        r"out of shared memory.{0,80}shared memory limit",
        r"creating shared memory segment /dev/shm",
    ),
    pattern(
        "GpuOutOfMemory",
        r"CUDA out of memory(?:\. Tried to allocate (?P<needed>[\d.]+ [KMG]iB))?",
        r"cudaMalloc failed: out of memory",
        r"CUDA error: out of memory",
        r"allocating (?P<needed>[\d.]+ MiB) on device \d+: cudaMalloc failed",
        r"no available memory for the cache blocks",
        r"free memory on device .{0,120}less than desired",
        r"not enough memory.{0,40}mem-fraction-static",
        r"(?:CUBLAS|CUDNN)_STATUS_ALLOC_FAILED",
        r"failed to allocate (?:CUDA|ROCm|Vulkan|SYCL)\d* buffer",
        r"HIP out of memory",
        r"NPU out of memory(?:\. Tried to allocate (?P<needed>[\d.]+ [KMG]iB))?",
    ),
    pattern(
        "ContextTooLarge",
        r"failed to create context",
        r"max seq len \((?P<context>\d+)\) is larger than the maximum number of tokens[^(]*\((?P<most>\d+)\)",
        r"max seq len \((?P<context>\d+)\).{0,200}estimated maximum model length is (?P<most>\d+)",
        r"max_model_len \((?P<context>\d+)\) is greater than the derived max_model_len \(\w+=(?P<most>\d+)",
        r"larger than the available KV cache memory",
        r"exceeds? the (?:available|maximum) context",
        r"n_ctx.{0,40}(?:too large|exceed)",
        r"larger than the maximum number of tokens",
        r"max_model_len.{0,80}(?:greater|larger)",
    ),
    pattern(
        "DriverTooOld",
        r"CUDA driver version is insufficient",
        r"NVIDIA driver on your system is too old",
    ),
    pattern(
        "BuiltWithoutGpu",
        r"not compiled with CUDA",
        r"compiled without GPU support",
        r"no GPU support compiled",
    ),
    pattern(
        "AcceleratorLost",
        r"no CUDA-capable device",
        r"CUDA driver version",
        r"CUDA error",
        r"no NVIDIA driver",
        r"No CUDA GPUs are available",
        r"HIP error",
        r"GPU is lost",
        r"NCCL error",
        r"cudaGetDeviceCount\(\)",
        r"failed to infer device type",
        r"NVML Shared Library Not Found",
        r"NPU function error",
        r"aclInit",
    ),
)
