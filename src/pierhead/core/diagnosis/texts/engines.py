"""No engine for these weights, or not as they lie."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "NoEngine",
        Text(
            (
                "No engine here serves {weights} for the spec [{spec}].",
                "No engine here serves these weights.",
            ),
            ("Tried: {tried}.",),
            (
                (
                    "What works: {advice}.",
                    "Mount other weights, install an engine for these, or register a template with a start command.",
                ),
            ),
        ),
        Text(
            ("这里没有引擎能为规格 [{spec}] 提供 {weights}。", "这里没有引擎能提供这些权重。"),
            ("已尝试：{tried}。",),
            (
                (
                    "可行的做法：{advice}。",
                    "挂载其他权重，安装支持它们的引擎，或注册带启动命令的模板。",
                ),
            ),
        ),
        Text(
            ("這裡沒有引擎能為規格 [{spec}] 提供 {weights}。", "這裡沒有引擎能提供這些權重。"),
            ("已嘗試：{tried}。",),
            (
                (
                    "可行的做法：{advice}。",
                    "掛載其他權重，安裝支援它們的引擎，或註冊帶啟動命令的模板。",
                ),
            ),
        ),
    ),
    Entry(
        "ArchitectureNotSupported",
        Text(
            (
                "No engine here serves the architecture [{architecture}].",
                "No engine here serves the model's architecture.",
            ),
            ("Tried: {tried}.",),
            (
                (
                    "What works: {advice}.",
                    "Use another model, or register a template with a start command of your own.",
                ),
            ),
        ),
        Text(
            ("这里没有引擎支持架构 [{architecture}]。", "这里没有引擎支持该模型的架构。"),
            ("已尝试：{tried}。",),
            (("可行的做法：{advice}。", "换用其他模型，或注册带自定义启动命令的模板。"),),
        ),
        Text(
            ("這裡沒有引擎支援架構 [{architecture}]。", "這裡沒有引擎支援該模型的架構。"),
            ("已嘗試：{tried}。",),
            (("可行的做法：{advice}。", "換用其他模型，或註冊帶自訂啟動命令的模板。"),),
        ),
    ),
    Entry(
        "FormatNotSupported",
        Text(
            (
                "The weights of [{place}] are pickled (.bin, .pt), which no engine here reads.",
                "The weights are pickled (.bin, .pt), which no engine here reads.",
            ),
            ("Loading a pickle runs whatever code is in it.",),
            (
                "Convert them to safetensors (save_pretrained of transformers writes those), or mount a GGUF file of the model.",
            ),
        ),
        Text(
            (
                "[{place}] 中的权重是 pickle 格式（.bin、.pt），这里的引擎都不读取。",
                "权重是 pickle 格式（.bin、.pt），这里的引擎都不读取。",
            ),
            ("加载 pickle 会执行其中的任意代码。",),
            (
                "转换为 safetensors（transformers 的 save_pretrained 即可写出），或挂载该模型的 GGUF 文件。",
            ),
        ),
        Text(
            (
                "[{place}] 中的權重是 pickle 格式（.bin、.pt），這裡的引擎都不讀取。",
                "權重是 pickle 格式（.bin、.pt），這裡的引擎都不讀取。",
            ),
            ("載入 pickle 會執行其中的任意程式碼。",),
            (
                "轉換為 safetensors（transformers 的 save_pretrained 即可寫出），或掛載該模型的 GGUF 檔案。",
            ),
        ),
    ),
    Entry(
        "ModelDoesNotFit",
        Text(
            (
                "Each of a replica's {nodes} nodes needs about {needed} of memory, and at most {has} can be had.",
                "One replica needs about {needed} of memory, and at most {has} can be had.",
                "One replica needs more memory than any machine or its limit has.",
            ),
            (
                "Weights {weights}, KV cache {cache} for {slots} x {context} tokens, the rest {rest}.",
            ),
            (
                (
                    "What fits: {advice}.",
                    "Take a smaller model, precision, context or number of slots, or a larger machine; `pierhead plan` does the sum.",
                ),
            ),
        ),
        Text(
            (
                "一个副本的 {nodes} 个节点各需约 {needed} 内存，而最多只有 {has}。",
                "每个副本约需 {needed} 内存，而最多只有 {has}。",
                "每个副本所需内存超过任何机器的容量或它的上限。",
            ),
            ("权重 {weights}，{slots} x {context} 个词元的 KV 缓存 {cache}，其余 {rest}。",),
            (
                (
                    "可行的做法：{advice}。",
                    "使用更小的模型、精度、上下文或并发槽数，或更大的机器；`pierhead plan` 可以计算。",
                ),
            ),
        ),
        Text(
            (
                "一個副本的 {nodes} 個節點各需約 {needed} 記憶體，而最多只有 {has}。",
                "每個副本約需 {needed} 記憶體，而最多只有 {has}。",
                "每個副本所需記憶體超過任何機器的容量或它的上限。",
            ),
            ("權重 {weights}，{slots} x {context} 個詞元的 KV 快取 {cache}，其餘 {rest}。",),
            (
                (
                    "可行的做法：{advice}。",
                    "使用更小的模型、精度、上下文或併發槽數，或更大的機器；`pierhead plan` 可以計算。",
                ),
            ),
        ),
    ),
    Entry(
        "WeightsMismatch",
        Text(
            "The weights are of another model than the spec serves.",
            ("{problem}.",),
            ("Choose the spec of these weights, or mount those of the spec.",),
        ),
        Text(
            "权重不属于该规格所对应的模型。",
            ("系统报告：{problem}。",),
            ("选择与这些权重对应的规格，或挂载该规格的权重。",),
        ),
        Text(
            "權重不屬於該規格所對應的模型。",
            ("系統回報：{problem}。",),
            ("選擇與這些權重對應的規格，或掛載該規格的權重。",),
        ),
    ),
    Entry(
        "ConvertingWeights",
        Text(
            (
                "The weights are being converted to {kind}: {share}.",
                "The weights are being converted to {kind}.",
                "The weights are being converted.",
            ),
            (
                "They do not lie in the precision that the spec asks for; it is done once and kept for all replicas.",
            ),
            ("Wait; it goes on by itself.",),
        ),
        Text(
            ("正在把权重转换为 {kind}：{share}。", "正在把权重转换为 {kind}。", "正在转换权重。"),
            ("权重不是规格要求的精度；转换只做一次，供所有副本使用。",),
            ("请等待，会自动继续。",),
        ),
        Text(
            ("正在把權重轉換為 {kind}：{share}。", "正在把權重轉換為 {kind}。", "正在轉換權重。"),
            ("權重不是規格要求的精度；轉換只做一次，供所有副本使用。",),
            ("請等待，會自動繼續。",),
        ),
    ),
    Entry(
        "ConversionFailed",
        Text(
            ("[{file}] cannot be converted to {kind}.", "The weights cannot be converted."),
            ("{problem}.",),
            (
                "Install the extra `convert` if it is missing; else mount weights of the spec's precision, or use a spec of theirs.",
            ),
        ),
        Text(
            ("[{file}] 无法转换为 {kind}。", "权重无法转换。"),
            ("系统报告：{problem}。",),
            (
                "如果缺少附加组件 `convert`，请安装；否则挂载规格所需精度的权重，或使用与权重精度一致的规格。",
            ),
        ),
        Text(
            ("[{file}] 無法轉換為 {kind}。", "權重無法轉換。"),
            ("系統回報：{problem}。",),
            (
                "如果缺少附加元件 `convert`，請安裝；否則掛載規格所需精度的權重，或使用與權重精度一致的規格。",
            ),
        ),
    ),
    Entry(
        "ReadingHeaders",
        Text(
            "The headers of the weights are being read.",
            (
                "What model it is and how much memory it needs is found out before anything is fetched.",
            ),
            ("Wait; it takes seconds.",),
        ),
        Text(
            "正在读取权重的文件头。",
            ("在下载之前先确认是什么模型、需要多少内存。",),
            ("请等待，只需几秒。",),
        ),
        Text(
            "正在讀取權重的檔案頭。",
            ("在下載之前先確認是什麼模型、需要多少記憶體。",),
            ("請等待，只需幾秒。",),
        ),
    ),
)
