"""Files, devices and stores that are not what they should be, told from what they hold or answer."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "GitLfsPointer",
        Text(
            "The model file is only a pointer of Git LFS, not the weights.",
            ("The repository was cloned without its large files: {problem}.",),
            (
                "Fetch the files themselves (`git lfs pull`), and bring those there; the service goes on by itself then.",
            ),
        ),
        Text(
            "模型文件只是 Git LFS 指针，不是权重。",
            ("克隆仓库时没有获取大文件：{problem}。",),
            ("获取真正的文件（`git lfs pull`）并放到该处；之后服务会自动继续。",),
        ),
        Text(
            "模型檔案只是 Git LFS 指標，不是權重。",
            ("複製倉庫時沒有取得大檔案：{problem}。",),
            ("取得真正的檔案（`git lfs pull`）並放到該處；之後服務會自動繼續。",),
        ),
    ),
    Entry(
        "WebPageInstead",
        Text(
            "The model file is a web page, not the weights.",
            (
                "It was downloaded from an address that answers with a page, often one for logging in: {problem}.",
            ),
            (
                "Download the file itself, with a key if its site wants one; the service goes on by itself then.",
            ),
        ),
        Text(
            "模型文件是网页，不是权重。",
            ("下载地址返回的是网页，通常是登录页：{problem}。",),
            ("下载真正的文件，网站需要时提供密钥；之后服务会自动继续。",),
        ),
        Text(
            "模型檔案是網頁，不是權重。",
            ("下載位址傳回的是網頁，通常是登入頁：{problem}。",),
            ("下載真正的檔案，網站需要時提供金鑰；之後服務會自動繼續。",),
        ),
    ),
    Entry(
        "ModelFileEmpty",
        Text(
            "The model file is empty.",
            ("It was created and never written, or its upload failed: {problem}.",),
            (
                "Bring the file there again and compare its size; the service goes on by itself then.",
            ),
        ),
        Text(
            "模型文件是空的。",
            ("文件创建后没有写入，或者上传失败：{problem}。",),
            ("重新放置文件并核对大小；之后服务会自动继续。",),
        ),
        Text(
            "模型檔案是空的。",
            ("檔案建立後沒有寫入，或者上傳失敗：{problem}。",),
            ("重新放置檔案並核對大小；之後服務會自動繼續。",),
        ),
    ),
    Entry(
        "GgufVersion",
        Text(
            "The model file is a GGUF file of a kind that no engine here reads.",
            (
                "It is of an old version, or was made for machines of the other byte order: {problem}.",
            ),
            ("Take a newer file of the same model, or convert it again with a current llama.cpp.",),
        ),
        Text(
            "此处没有引擎能读取这种 GGUF 文件。",
            ("它的版本过旧，或者是为另一种字节序的机器制作的：{problem}。",),
            ("使用同一模型的较新文件，或用当前的 llama.cpp 重新转换。",),
        ),
        Text(
            "此處沒有引擎能讀取這種 GGUF 檔案。",
            ("它的版本過舊，或者是為另一種位元組順序的機器製作的：{problem}。",),
            ("使用同一模型的較新檔案，或用目前的 llama.cpp 重新轉換。",),
        ),
    ),
    Entry(
        "QuantizationUnsupported",
        Text(
            (
                "The engine does not know the model's quantization [{method}].",
                "The engine does not know the model's quantization.",
            ),
            (
                "The model was quantized by a method that this version of the engine lacks, or the command names another one: {log_line}.",
            ),
            (
                "Leave the option --quantization out, or use another version of the model or of the engine.",
            ),
        ),
        Text(
            ("引擎不认识模型的量化方式 [{method}]。", "引擎不认识模型的量化方式。"),
            ("该版本的引擎没有模型所用的量化方法，或者命令指定了别的方法：{log_line}。",),
            ("去掉 --quantization 选项，或更换模型或引擎的版本。",),
        ),
        Text(
            ("引擎不認識模型的量化方式 [{method}]。", "引擎不認識模型的量化方式。"),
            ("該版本的引擎沒有模型所用的量化方法，或者命令指定了別的方法：{log_line}。",),
            ("去掉 --quantization 選項，或更換模型或引擎的版本。",),
        ),
    ),
    Entry(
        "GpuCountWrong",
        Text(
            "The command spreads the model over a number of GPUs that does not fit.",
            (
                "There are fewer GPUs than that, or the model cannot be cut into so many parts: {log_line}.",
            ),
            (
                "Set --tensor-parallel-size to the GPUs of a replica; it must divide the attention heads (1, 2, 4, 8).",
            ),
        ),
        Text(
            "命令把模型分布到的 GPU 数量不合适。",
            ("GPU 没有那么多，或者模型不能切成那么多份：{log_line}。",),
            (
                "把 --tensor-parallel-size 设为每个副本的 GPU 数；它必须整除注意力头数（1、2、4、8）。",
            ),
        ),
        Text(
            "命令把模型分散到的 GPU 數量不合適。",
            ("GPU 沒有那麼多，或者模型不能切成那麼多份：{log_line}。",),
            (
                "把 --tensor-parallel-size 設為每個副本的 GPU 數；它必須整除注意力頭數（1、2、4、8）。",
            ),
        ),
    ),
    Entry(
        "ObjectArchived",
        Text(
            "The weights are archived in the store and cannot be read there now.",
            (
                "The storage class of an object (Archive, Cold Archive, Glacier) asks for a restore before it is read: {problem}.",
            ),
            (
                "Restore the objects at the store, or keep the model in the standard class; the service goes on by itself then.",
            ),
        ),
        Text(
            "权重在存储中处于归档状态，现在无法读取。",
            ("对象的存储类型（归档、冷归档、Glacier）要求先解冻才能读取：{problem}。",),
            ("在存储端解冻对象，或把模型改存为标准类型；之后服务会自动继续。",),
        ),
        Text(
            "權重在儲存服務中處於封存狀態，現在無法讀取。",
            ("物件的儲存類型（封存、冷封存、Glacier）要求先還原才能讀取：{problem}。",),
            ("在儲存端還原物件，或把模型改存為標準類型；之後服務會自動繼續。",),
        ),
    ),
    Entry(
        "AccountDisabled",
        Text(
            "The account at the store is disabled.",
            ("It has bills to be paid, or its owner or the store stopped it: {problem}.",),
            ("Look at the account's state and balance at the store.",),
        ),
        Text(
            "存储的账号已被停用。",
            ("账号欠费，或被所有者或存储方停用：{problem}。",),
            ("在存储端查看账号的状态和余额。",),
        ),
        Text(
            "儲存服務的帳號已被停用。",
            ("帳號欠費，或被擁有者或儲存方停用：{problem}。",),
            ("在儲存端檢視帳號的狀態和餘額。",),
        ),
    ),
    Entry(
        "BucketElsewhere",
        Text(
            "The bucket is served by another endpoint than the connection names.",
            ("It lies in another region: {problem}.",),
            (
                "Store the endpoint and the region of the bucket (`pierhead storage add` with the same name).",
            ),
        ),
        Text(
            "存储桶由另一个接入地址提供服务，与连接所写的不同。",
            ("它位于其他地域：{problem}。",),
            ("保存该存储桶的接入地址和地域（用相同名称执行 `pierhead storage add`）。",),
        ),
        Text(
            "儲存桶由另一個端點位址提供服務，與連線所寫的不同。",
            ("它位於其他地域：{problem}。",),
            ("儲存該儲存桶的端點位址和地域（用相同名稱執行 `pierhead storage add`）。",),
        ),
    ),
)
