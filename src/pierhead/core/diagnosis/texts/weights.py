"""Weights that are missing, not whole, or not to be read."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "FetchingWeights",
        Text(
            (
                "The weights are on their way: {progress} ({source}).",
                "The weights of {source} are on their way.",
                "The weights are on their way.",
            ),
            (
                "The last try failed: {problem}.",
                "Nothing has come for {silent} s; it tries again.",
                "They are fetched once for all replicas of this machine.",
            ),
            ("Wait; it goes on by itself, also after a restart.",),
        ),
        Text(
            (
                "正在获取权重：{progress}（{source}）。",
                "正在获取 {source} 的权重。",
                "正在获取权重。",
            ),
            (
                "最近一次尝试失败：{problem}。",
                "已有 {silent} 秒没有收到数据，正在重试。",
                "本机的所有副本只获取一次。",
            ),
            ("请等待，会自动继续，重启后也会继续。",),
        ),
        Text(
            (
                "正在取得權重：{progress}（{source}）。",
                "正在取得 {source} 的權重。",
                "正在取得權重。",
            ),
            (
                "最近一次嘗試失敗：{problem}。",
                "已有 {silent} 秒沒有收到資料，正在重試。",
                "本機的所有副本只取得一次。",
            ),
            ("請等待，會自動繼續，重新啟動後也會繼續。",),
        ),
    ),
    Entry(
        "WeightsUnavailable",
        Text(
            (
                "The weights of {source} cannot be fetched now.",
                "The weights cannot be fetched now.",
            ),
            ("{problem}.",),
            (
                "It is tried again by itself; if it stays, check the store and the way to it from this machine.",
            ),
        ),
        Text(
            ("暂时无法获取 {source} 的权重。", "暂时无法获取权重。"),
            ("系统报告：{problem}。",),
            ("会自动重试；如果一直如此，请检查存储以及本机到它的网络。",),
        ),
        Text(
            ("暫時無法取得 {source} 的權重。", "暫時無法取得權重。"),
            ("系統回報：{problem}。",),
            ("會自動重試；如果一直如此，請檢查儲存服務以及本機到它的網路。",),
        ),
    ),
    Entry(
        "WeightsMissing",
        Text(
            (
                "There is no model at {place}.",
                "There are no weights where the service looks for them.",
            ),
            (
                "{problem}.",
                "Nothing was put there yet, or the path is wrong.",
            ),
            (
                "Put one GGUF file, or config.json with its safetensors, there, or correct the path; the service goes on by itself then.",
            ),
        ),
        Text(
            ("{place} 中没有模型。", "服务查找的位置没有权重。"),
            (
                "系统报告：{problem}。",
                "还没有放入文件，或者路径写错。",
            ),
            (
                "放入一个 GGUF 文件，或 config.json 及其 safetensors，或修正路径；之后服务会自动继续。",
            ),
        ),
        Text(
            ("{place} 中沒有模型。", "服務尋找的位置沒有權重。"),
            (
                "系統回報：{problem}。",
                "還沒有放入檔案，或者路徑寫錯。",
            ),
            (
                "放入一個 GGUF 檔案，或 config.json 及其 safetensors，或修正路徑；之後服務會自動繼續。",
            ),
        ),
    ),
    Entry(
        "WeightsIncomplete",
        Text(
            ("The model at {place} is not whole.", "The model is not whole."),
            (
                "{problem}.",
                "Parts of a split model, or the config.json of safetensors, are missing.",
            ),
            ("Bring all files of the model there; the service goes on by itself then.",),
        ),
        Text(
            ("{place} 中的模型不完整。", "模型不完整。"),
            (
                "系统报告：{problem}。",
                "缺少分片模型的某些部分，或 safetensors 的 config.json。",
            ),
            ("把模型的全部文件放到那里；之后服务会自动继续。",),
        ),
        Text(
            ("{place} 中的模型不完整。", "模型不完整。"),
            (
                "系統回報：{problem}。",
                "缺少分片模型的某些部分，或 safetensors 的 config.json。",
            ),
            ("把模型的全部檔案放到那裡；之後服務會自動繼續。",),
        ),
    ),
    Entry(
        "WeightsAmbiguous",
        Text(
            (
                "{place} holds {count} models, and exactly one is needed.",
                "There are several models, and exactly one is needed.",
            ),
            ("Found: {models}.",),
            ("Name the file instead of the folder, or give each model a folder of its own.",),
        ),
        Text(
            ("{place} 中有 {count} 个模型，而只能有一个。", "有多个模型，而只能有一个。"),
            ("找到：{models}。",),
            ("直接指定文件而不是目录，或为每个模型使用单独的目录。",),
        ),
        Text(
            ("{place} 中有 {count} 個模型，而只能有一個。", "有多個模型，而只能有一個。"),
            ("找到：{models}。",),
            ("直接指定檔案而不是資料夾，或為每個模型使用單獨的資料夾。",),
        ),
    ),
    Entry(
        "WeightsUnreadable",
        Text(
            ("{place} cannot be read.", "The weights cannot be read."),
            (
                "{problem}.",
                "The user who runs Pierhead may not read them, or their disk fails.",
            ),
            ("Check owner and mode; the service goes on by itself once they can be read.",),
        ),
        Text(
            ("无法读取 {place}。", "无法读取权重。"),
            (
                "系统报告：{problem}。",
                "运行 Pierhead 的用户无权读取，或者磁盘故障。",
            ),
            ("检查属主和权限；能够读取后服务会自动继续。",),
        ),
        Text(
            ("無法讀取 {place}。", "無法讀取權重。"),
            (
                "系統回報：{problem}。",
                "執行 Pierhead 的使用者無權讀取，或者磁碟故障。",
            ),
            ("檢查擁有者和權限；能夠讀取後服務會自動繼續。",),
        ),
    ),
    Entry(
        "WeightsDamaged",
        Text(
            "What arrived is not what the store says it holds.",
            (
                (
                    "Bytes were changed on the way or in the store, and fetching again did not help: {problem}.",
                    "Bytes were changed on the way or in the store, and fetching again did not help.",
                ),
            ),
            (
                "Upload the object again, and look at proxies in between; nothing damaged is ever loaded.",
            ),
        ),
        Text(
            "收到的内容与存储所声明的不一致。",
            (
                (
                    "数据在传输途中或存储中被改变，重新获取也无济于事：{problem}。",
                    "数据在传输途中或存储中被改变，重新获取也无济于事。",
                ),
            ),
            ("重新上传该对象，并检查中间的代理；损坏的内容绝不会被加载。",),
        ),
        Text(
            "收到的內容與儲存服務所宣告的不一致。",
            (
                (
                    "資料在傳輸途中或儲存服務中被改變，重新取得也無濟於事：{problem}。",
                    "資料在傳輸途中或儲存服務中被改變，重新取得也無濟於事。",
                ),
            ),
            ("重新上傳該物件，並檢查中間的代理；損壞的內容絕不會被載入。",),
        ),
    ),
    Entry(
        "WeightsChanged",
        Text(
            "The weights were changed in the store while they were fetched.",
            (("Somebody writes to the folder: {problem}.", "Somebody writes to the folder."),),
            (
                "Let the upload end, then restart the service; give each version of a model a folder of its own.",
            ),
        ),
        Text(
            "获取期间，存储中的权重被修改。",
            (("有人正在写入该目录：{problem}。", "有人正在写入该目录。"),),
            ("等上传结束后重启服务；为模型的每个版本使用单独的目录。",),
        ),
        Text(
            "取得期間，儲存服務中的權重被修改。",
            (("有人正在寫入該資料夾：{problem}。", "有人正在寫入該資料夾。"),),
            ("等上傳結束後重新啟動服務；為模型的每個版本使用單獨的資料夾。",),
        ),
    ),
    Entry(
        "DatasetMissing",
        Text(
            ("Not there: dataset {datasets}.", "A dataset of the service is not there."),
            ("Its folder was moved or never put there, or its file system is not mounted.",),
            ("Put it there, or deploy without it; the service goes on by itself then.",),
        ),
        Text(
            ("数据集 {datasets} 不存在。", "服务的某个数据集不存在。"),
            ("目录被移走、从未放入，或者它的文件系统没有挂载。",),
            ("放回数据集，或部署时不使用它；之后服务会自动继续。",),
        ),
        Text(
            ("資料集 {datasets} 不存在。", "服務的某個資料集不存在。"),
            ("資料夾被移走、從未放入，或者它的檔案系統沒有掛載。",),
            ("放回資料集，或部署時不使用它；之後服務會自動繼續。",),
        ),
    ),
)
