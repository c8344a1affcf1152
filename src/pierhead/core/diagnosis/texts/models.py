"""Models that an engine does not load."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "ArchitectureUnsupported",
        Text(
            (
                "The engine does not know the model's architecture [{architecture}].",
                "The engine does not know this model's architecture.",
            ),
            ("The model is newer than the engine, or of a kind that this engine never served.",),
            ("Choose another engine or model, or a newer version of the engine.",),
        ),
        Text(
            ("引擎不认识该模型的架构 [{architecture}]。", "引擎不认识该模型的架构。"),
            ("模型比引擎更新，或者属于该引擎从不支持的类型。",),
            ("更换引擎或模型，或使用更新版本的引擎。",),
        ),
        Text(
            ("引擎不認識該模型的架構 [{architecture}]。", "引擎不認識該模型的架構。"),
            ("模型比引擎更新，或者屬於該引擎從不支援的類型。",),
            ("更換引擎或模型，或使用更新版本的引擎。",),
        ),
    ),
    Entry(
        "TokenizerUnsupported",
        Text(
            "The engine cannot load the model's tokenizer.",
            (
                (
                    "Its files are missing or of a newer kind than the engine knows: {log_line}.",
                    "Its files are missing or of a newer kind than the engine knows.",
                ),
            ),
            (
                "Fetch the tokenizer's files beside the weights, or use a newer version of the engine.",
            ),
        ),
        Text(
            "引擎无法加载模型的分词器。",
            (
                (
                    "分词器文件缺失，或类型比引擎更新：{log_line}。",
                    "分词器文件缺失，或类型比引擎更新。",
                ),
            ),
            ("把分词器文件和权重放在一起，或使用更新版本的引擎。",),
        ),
        Text(
            "引擎無法載入模型的分詞器。",
            (
                (
                    "分詞器檔案缺失，或類型比引擎更新：{log_line}。",
                    "分詞器檔案缺失，或類型比引擎更新。",
                ),
            ),
            ("把分詞器檔案和權重放在一起，或使用更新版本的引擎。",),
        ),
    ),
    Entry(
        "RemoteCodeRefused",
        Text(
            "The model brings code of its own, which the engine does not run unasked.",
            (
                "Its architecture is implemented in Python files beside the weights (trust_remote_code).",
            ),
            (
                "Read that code; if you trust it, say so in the command (--trust-remote-code), else use another model.",
            ),
        ),
        Text(
            "模型自带代码，未经许可引擎不会运行。",
            ("它的架构由权重旁的 Python 文件实现（trust_remote_code）。",),
            ("先阅读这些代码；如果信任，在命令中注明（--trust-remote-code），否则换用其他模型。",),
        ),
        Text(
            "模型內附程式碼，未經許可引擎不會執行。",
            ("它的架構由權重旁的 Python 檔案實現（trust_remote_code）。",),
            (
                "先閱讀這些程式碼；如果信任，在命令中註明（--trust-remote-code），否則換用其他模型。",
            ),
        ),
    ),
    Entry(
        "ModelFileBroken",
        Text(
            "The model file is damaged or is no GGUF or safetensors file.",
            (
                "Its header or its size cannot be true: {problem}.",
                "It was cut off while it was copied, or is another kind of file.",
            ),
            ("Fetch it again and check its digest; the service goes on by itself then.",),
        ),
        Text(
            "模型文件已损坏，或者不是 GGUF 或 safetensors 文件。",
            (
                "文件头或大小不可能正确：{problem}。",
                "复制时被截断，或者是其他类型的文件。",
            ),
            ("重新获取并校验摘要；之后服务会自动继续。",),
        ),
        Text(
            "模型檔案已損壞，或者不是 GGUF 或 safetensors 檔案。",
            (
                "檔案頭或大小不可能正確：{problem}。",
                "複製時被截斷，或者是其他類型的檔案。",
            ),
            ("重新取得並驗證摘要；之後服務會自動繼續。",),
        ),
    ),
    Entry(
        "ModelFilesMissing",
        Text(
            "The engine does not find the model where it was told to look.",
            (
                (
                    "The folder lacks a file that belongs to a model: {log_line}.",
                    "The folder lacks a file that belongs to a model.",
                ),
            ),
            ("Check what the mount holds, and that the command names the folder in $MODEL_DIR.",),
        ),
        Text(
            "引擎在指定位置找不到模型。",
            (("目录缺少模型必需的文件：{log_line}。", "目录缺少模型必需的文件。"),),
            ("检查挂载的内容，并确认命令使用 $MODEL_DIR 指定的目录。",),
        ),
        Text(
            "引擎在指定位置找不到模型。",
            (("資料夾缺少模型必需的檔案：{log_line}。", "資料夾缺少模型必需的檔案。"),),
            ("檢查掛載的內容，並確認命令使用 $MODEL_DIR 指定的資料夾。",),
        ),
    ),
    Entry(
        "ModelLoadFailed",
        Text(
            "The engine could not load the weights.",
            (
                "Its own words: {log_line}.",
                "It gave no reason that the rules know.",
            ),
            ("See the log for its own words; try the model with the engine alone.",),
        ),
        Text(
            "引擎无法加载权重。",
            (
                "引擎的说明：{log_line}。",
                "引擎没有给出规则认识的原因。",
            ),
            ("查看日志中引擎的说明；单独用该引擎尝试加载模型。",),
        ),
        Text(
            "引擎無法載入權重。",
            (
                "引擎的說明：{log_line}。",
                "引擎沒有給出規則認識的原因。",
            ),
            ("檢視記錄檔中引擎的說明；單獨用該引擎嘗試載入模型。",),
        ),
    ),
    Entry(
        "ContextTooLarge",
        Text(
            (
                "The context of {context} tokens does not fit: at most {most}.",
                "The context does not fit.",
            ),
            (
                "The KV cache for so many tokens and slots needs more memory than is left, or the model was not made for so many.",
            ),
            (
                "Lower the tokens per request or the slots, or give more memory; `pierhead plan` says what fits.",
            ),
        ),
        Text(
            ("上下文 {context} 个词元放不下：最多 {most} 个。", "上下文放不下。"),
            ("这么多词元和并发槽的 KV 缓存超出剩余内存，或者超过模型的设计长度。",),
            ("减少每个请求的词元数或并发槽数，或增加内存；`pierhead plan` 会给出可行的数值。",),
        ),
        Text(
            ("上下文 {context} 個詞元放不下：最多 {most} 個。", "上下文放不下。"),
            ("這麼多詞元和併發槽的 KV 快取超出剩餘記憶體，或者超過模型的設計長度。",),
            ("減少每個請求的詞元數或併發槽數，或增加記憶體；`pierhead plan` 會給出可行的數值。",),
        ),
    ),
)
