"""Connections and keys of storage."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "StorageNotConnected",
        Text(
            (
                "No storage connection serves {source}.",
                "No storage connection serves the weights' place.",
            ),
            (
                "The platform was not told where this bucket, mount target or hub is, and with which key.",
                "Or what was told is kept for the services of other workspaces.",
            ),
            (
                (
                    "Add one: `{command}`; the service goes on by itself then.",
                    "Add one with `pierhead storage add`; the service goes on by itself then.",
                ),
            ),
        ),
        Text(
            ("没有存储连接可用于 {source}。", "没有存储连接可用于权重所在的位置。"),
            (
                "还没有告诉平台这个存储桶、挂载点或模型仓库在哪里、使用哪个密钥。",
                "或者已有的连接只供其他工作空间的服务使用。",
            ),
            (
                (
                    "添加一个：`{command}`；之后服务会自动继续。",
                    "用 `pierhead storage add` 添加；之后服务会自动继续。",
                ),
            ),
        ),
        Text(
            ("沒有儲存連線可用於 {source}。", "沒有儲存連線可用於權重所在的位置。"),
            (
                "還沒有告訴平台這個儲存桶、掛載點或模型倉庫在哪裡、使用哪個金鑰。",
                "或者已有的連線只供其他工作空間的服務使用。",
            ),
            (
                (
                    "新增一個：`{command}`；之後服務會自動繼續。",
                    "用 `pierhead storage add` 新增；之後服務會自動繼續。",
                ),
            ),
        ),
    ),
    Entry(
        "HubNotAllowed",
        Text(
            (
                "{source} was not asked for: this platform asks model hubs only where it may.",
                "This platform asks model hubs only where it may.",
            ),
            ("Hubs are off by default, so that nothing leaves this machine unasked.",),
            (
                "Set hubs.online = true in settings.toml, or add a connection with `pierhead storage add`.",
            ),
        ),
        Text(
            ("没有访问 {source}：平台只在允许时才访问模型仓库。", "平台只在允许时才访问模型仓库。"),
            ("默认关闭模型仓库，未经许可不会有任何数据离开本机。",),
            ("在 settings.toml 中设置 hubs.online = true，或用 `pierhead storage add` 添加连接。",),
        ),
        Text(
            ("沒有存取 {source}：平台只在允許時才存取模型倉庫。", "平台只在允許時才存取模型倉庫。"),
            ("預設關閉模型倉庫，未經許可不會有任何資料離開本機。",),
            ("在 settings.toml 中設定 hubs.online = true，或用 `pierhead storage add` 新增連線。",),
        ),
    ),
    Entry(
        "StorageDenied",
        Text(
            ("The store refused the platform's key.", "The store refused access."),
            (
                (
                    "The key may not list or read this place: {problem}.",
                    "The key may not list or read this place.",
                ),
            ),
            (
                "Give the key the right to list and read the bucket (`pierhead storage show` names it).",
            ),
        ),
        Text(
            ("存储拒绝了平台的密钥。", "存储拒绝访问。"),
            (("该密钥无权列出或读取此位置：{problem}。", "该密钥无权列出或读取此位置。"),),
            ("为该密钥授予列出和读取存储桶的权限（`pierhead storage show` 会显示它）。",),
        ),
        Text(
            ("儲存服務拒絕了平台的金鑰。", "儲存服務拒絕存取。"),
            (("該金鑰無權列出或讀取此位置：{problem}。", "該金鑰無權列出或讀取此位置。"),),
            ("為該金鑰授予列出和讀取儲存桶的權限（`pierhead storage show` 會顯示它）。",),
        ),
    ),
    Entry(
        "CredentialsExpired",
        Text(
            "The key of the storage connection has expired.",
            (
                (
                    "It is temporary, and its time is over: {problem}.",
                    "It is temporary, and its time is over.",
                ),
            ),
            (
                "Store a fresh key for the connection (`pierhead storage add` with the same name), better one that does not expire.",
            ),
        ),
        Text(
            "存储连接的密钥已过期。",
            (("这是临时密钥，有效期已过：{problem}。", "这是临时密钥，有效期已过。"),),
            (
                "为该连接保存新的密钥（用相同名称执行 `pierhead storage add`），最好使用不会过期的密钥。",
            ),
        ),
        Text(
            "儲存連線的金鑰已過期。",
            (("這是臨時金鑰，有效期已過：{problem}。", "這是臨時金鑰，有效期已過。"),),
            (
                "為該連線儲存新的金鑰（用相同名稱執行 `pierhead storage add`），最好使用不會過期的金鑰。",
            ),
        ),
    ),
    Entry(
        "KeyUnknown",
        Text(
            "The store does not know the key of the storage connection.",
            (
                (
                    "The id is misspelt, or the key was removed or disabled there: {problem}.",
                    "The id is misspelt, or the key was removed or disabled there.",
                ),
            ),
            ("Check the key's id at the store, and store the right one (`pierhead storage add`).",),
        ),
        Text(
            "存储不认识该连接的密钥。",
            (
                (
                    "密钥 ID 写错，或密钥在那里被删除或停用：{problem}。",
                    "密钥 ID 写错，或密钥在那里被删除或停用。",
                ),
            ),
            ("在存储侧核对密钥 ID，并保存正确的密钥（`pierhead storage add`）。",),
        ),
        Text(
            "儲存服務不認識該連線的金鑰。",
            (
                (
                    "金鑰 ID 寫錯，或金鑰在那裡被刪除或停用：{problem}。",
                    "金鑰 ID 寫錯，或金鑰在那裡被刪除或停用。",
                ),
            ),
            ("在儲存服務側核對金鑰 ID，並儲存正確的金鑰（`pierhead storage add`）。",),
        ),
    ),
    Entry(
        "SecretWrong",
        Text(
            "The secret of the storage connection does not belong to its key.",
            (
                (
                    "The store computed another signature: {problem}.",
                    "The store computed another signature.",
                ),
            ),
            (
                "Store the right secret for the connection (`pierhead storage add` with the same name).",
            ),
        ),
        Text(
            "存储连接的密钥与密钥 ID 不匹配。",
            (("存储计算出的签名不同：{problem}。", "存储计算出的签名不同。"),),
            ("为该连接保存正确的密钥（用相同名称执行 `pierhead storage add`）。",),
        ),
        Text(
            "儲存連線的金鑰與金鑰 ID 不相符。",
            (("儲存服務計算出的簽名不同：{problem}。", "儲存服務計算出的簽名不同。"),),
            ("為該連線儲存正確的金鑰（用相同名稱執行 `pierhead storage add`）。",),
        ),
    ),
    Entry(
        "ClockSkewed",
        Text(
            "This machine's clock differs too much from the store's.",
            (
                (
                    "The store refuses requests whose time is off by more than some minutes: {problem}.",
                    "The store refuses requests whose time is off by more than some minutes.",
                ),
            ),
            ("Set this machine's clock (NTP).",),
        ),
        Text(
            "本机时钟与存储的时钟相差太大。",
            (
                (
                    "请求时间相差超过数分钟时，存储会拒绝：{problem}。",
                    "请求时间相差超过数分钟时，存储会拒绝。",
                ),
            ),
            ("校准本机时钟（NTP）。",),
        ),
        Text(
            "本機時鐘與儲存服務的時鐘相差太大。",
            (
                (
                    "請求時間相差超過數分鐘時，儲存服務會拒絕：{problem}。",
                    "請求時間相差超過數分鐘時，儲存服務會拒絕。",
                ),
            ),
            ("校準本機時鐘（NTP）。",),
        ),
    ),
)
