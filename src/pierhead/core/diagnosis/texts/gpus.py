"""Accelerators that are missing, full, or of another kind."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "GpuOutOfMemory",
        Text(
            (
                "The GPU's memory ran out: {needed} more were asked for.",
                "The GPU's memory ran out.",
            ),
            (
                "Weights and KV cache need more than the device has free; other programs may hold a part of it.",
            ),
            (
                "Use a smaller model, precision or context, a larger share of the GPU, or more GPUs.",
            ),
        ),
        Text(
            ("显存不足：还需要 {needed}。", "显存不足。"),
            ("权重和 KV 缓存所需超过设备的空闲显存；可能有其他程序占用了一部分。",),
            ("使用更小的模型、精度或上下文，更大的显存份额，或更多 GPU。",),
        ),
        Text(
            ("GPU 記憶體不足：還需要 {needed}。", "GPU 記憶體不足。"),
            ("權重和 KV 快取所需超過裝置的空閒 GPU 記憶體；可能有其他程式佔用了一部分。",),
            ("使用更小的模型、精度或上下文，更大的 GPU 記憶體份額，或更多 GPU。",),
        ),
    ),
    Entry(
        "AcceleratorLost",
        Text(
            "The accelerator is missing or failed.",
            (
                (
                    "No device is visible to the engine, or the driver reported a fault: {log_line}.",
                    "No device is visible to the engine, or the driver reported a fault.",
                ),
            ),
            ("Check the driver and the devices of this machine (nvidia-smi, `pierhead doctor`).",),
        ),
        Text(
            "加速设备缺失或发生故障。",
            (
                (
                    "引擎看不到任何设备，或驱动报告了故障：{log_line}。",
                    "引擎看不到任何设备，或驱动报告了故障。",
                ),
            ),
            ("检查本机的驱动和设备（nvidia-smi、`pierhead doctor`）。",),
        ),
        Text(
            "加速裝置缺失或發生故障。",
            (
                (
                    "引擎看不到任何裝置，或驅動報告了故障：{log_line}。",
                    "引擎看不到任何裝置，或驅動報告了故障。",
                ),
            ),
            ("檢查本機的驅動和裝置（nvidia-smi、`pierhead doctor`）。",),
        ),
    ),
    Entry(
        "DriverTooOld",
        Text(
            "The GPU's driver is too old for the engine.",
            ("The engine was built for a newer CUDA than the installed driver supports.",),
            ("Update the driver, or install a build of the engine for the older CUDA.",),
        ),
        Text(
            "GPU 驱动对该引擎来说太旧。",
            ("引擎是为比已安装驱动所支持的更新的 CUDA 编译的。",),
            ("更新驱动，或安装为旧版 CUDA 编译的引擎。",),
        ),
        Text(
            "GPU 驅動對該引擎來說太舊。",
            ("引擎是為比已安裝驅動所支援的更新的 CUDA 編譯的。",),
            ("更新驅動，或安裝為舊版 CUDA 編譯的引擎。",),
        ),
    ),
    Entry(
        "GpuTooOld",
        Text(
            "The GPU lacks what the engine or the model needs.",
            (
                (
                    "Its compute capability is below what was built or asked for: {log_line}.",
                    "Its compute capability is below what was built or asked for.",
                ),
            ),
            (
                "Use another precision (fp16 instead of bfloat16), another build of the engine, or a newer GPU.",
            ),
        ),
        Text(
            "GPU 不具备引擎或模型所需的能力。",
            (
                (
                    "它的计算能力低于编译或请求的要求：{log_line}。",
                    "它的计算能力低于编译或请求的要求。",
                ),
            ),
            ("使用其他精度（以 fp16 代替 bfloat16）、其他版本的引擎或更新的 GPU。",),
        ),
        Text(
            "GPU 不具備引擎或模型所需的能力。",
            (
                (
                    "它的計算能力低於編譯或請求的要求：{log_line}。",
                    "它的計算能力低於編譯或請求的要求。",
                ),
            ),
            ("使用其他精度（以 fp16 代替 bfloat16）、其他版本的引擎或更新的 GPU。",),
        ),
    ),
    Entry(
        "BuiltWithoutGpu",
        Text(
            "The engine was installed without support for GPUs.",
            (
                "The CPU build of the engine or of its library is installed, and a GPU was asked for.",
            ),
            ("Install the build for this GPU, or ask for no GPU.",),
        ),
        Text(
            "安装的引擎不支持 GPU。",
            ("安装的是引擎或其依赖库的 CPU 版本，而服务请求了 GPU。",),
            ("安装适合该 GPU 的版本，或不请求 GPU。",),
        ),
        Text(
            "安裝的引擎不支援 GPU。",
            ("安裝的是引擎或其相依程式庫的 CPU 版本，而服務請求了 GPU。",),
            ("安裝適合該 GPU 的版本，或不請求 GPU。",),
        ),
    ),
    Entry(
        "CudaMissing",
        Text(
            (
                "The engine needs CUDA's library [{library}], which is not on this machine.",
                "The engine needs CUDA, which is not on this machine.",
            ),
            (
                "No NVIDIA driver is installed here, or the container was started without the devices.",
            ),
            (
                "Install the driver, pass the devices through, or use an engine that computes on the CPU.",
            ),
        ),
        Text(
            ("引擎需要的 CUDA 库 [{library}] 不在本机上。", "引擎需要 CUDA，而本机没有。"),
            ("本机没有安装 NVIDIA 驱动，或者容器启动时没有带上设备。",),
            ("安装驱动，把设备传入容器，或使用在 CPU 上计算的引擎。",),
        ),
        Text(
            ("引擎需要的 CUDA 程式庫 [{library}] 不在本機上。", "引擎需要 CUDA，而本機沒有。"),
            ("本機沒有安裝 NVIDIA 驅動，或者容器啟動時沒有帶上裝置。",),
            ("安裝驅動，把裝置傳入容器，或使用在 CPU 上計算的引擎。",),
        ),
    ),
)
