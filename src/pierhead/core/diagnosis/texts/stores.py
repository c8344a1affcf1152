"""Stores and file systems that do not answer."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "StoreUnreachable",
        Text(
            "The store of the weights cannot be reached from this machine.",
            (
                (
                    "Its name is unknown here, nothing listens at its address, or a firewall is in between: {problem}.",
                    "Its name is unknown here, nothing listens at its address, or a firewall is in between.",
                ),
            ),
            (
                "Check the endpoint (`pierhead storage show`) and the network; it is tried again by itself.",
            ),
        ),
        Text(
            "本机无法连接到存放权重的存储。",
            (
                (
                    "域名无法解析、对方没有监听，或被防火墙拦截：{problem}。",
                    "域名无法解析、对方没有监听，或被防火墙拦截。",
                ),
            ),
            ("检查接入地址（`pierhead storage show`）和网络；会自动重试。",),
        ),
        Text(
            "本機無法連線到存放權重的儲存服務。",
            (
                (
                    "網域名稱無法解析、對方沒有監聽，或被防火牆攔截：{problem}。",
                    "網域名稱無法解析、對方沒有監聽，或被防火牆攔截。",
                ),
            ),
            ("檢查端點位址（`pierhead storage show`）和網路；會自動重試。",),
        ),
    ),
    Entry(
        "StoreTimesOut",
        Text(
            "The store of the weights does not answer in time.",
            (
                (
                    "It is overloaded, or the way to it loses packets: {problem}.",
                    "It is overloaded, or the way to it loses packets.",
                ),
            ),
            ("It is tried again and goes on where it was; look at the store if it stays.",),
        ),
        Text(
            "存放权重的存储没有及时应答。",
            (("它负载过高，或网络丢包：{problem}。", "它负载过高，或网络丢包。"),),
            ("会重试并从中断处继续；如果一直如此，请检查该存储。",),
        ),
        Text(
            "存放權重的儲存服務沒有及時應答。",
            (("它負載過高，或網路封包遺失：{problem}。", "它負載過高，或網路封包遺失。"),),
            ("會重試並從中斷處繼續；如果一直如此，請檢查該儲存服務。",),
        ),
    ),
    Entry(
        "StoreBusy",
        Text(
            "The store of the weights is busy and refuses requests for now.",
            (
                (
                    "It limits the rate of requests, or has a fault of its own: {problem}.",
                    "It limits the rate of requests, or has a fault of its own.",
                ),
            ),
            ("It is tried again by itself; ask the store's operator if it stays.",),
        ),
        Text(
            "存放权重的存储繁忙，暂时拒绝请求。",
            (
                (
                    "它限制了请求速率，或自身发生故障：{problem}。",
                    "它限制了请求速率，或自身发生故障。",
                ),
            ),
            ("会自动重试；如果一直如此，请联系存储的运维人员。",),
        ),
        Text(
            "存放權重的儲存服務繁忙，暫時拒絕請求。",
            (
                (
                    "它限制了請求速率，或自身發生故障：{problem}。",
                    "它限制了請求速率，或自身發生故障。",
                ),
            ),
            ("會自動重試；如果一直如此，請聯絡儲存服務的維運人員。",),
        ),
    ),
    Entry(
        "CertificateRefused",
        Text(
            "The store shows a certificate that is not trusted here.",
            (
                (
                    "It is self-signed, expired, for another name, or of an authority that this machine does not know: {problem}.",
                    "It is self-signed, expired, for another name, or of an authority that this machine does not know.",
                ),
            ),
            (
                "Name the authority to this machine (SSL_CERT_FILE), or correct the endpoint's name.",
            ),
        ),
        Text(
            "存储出示的证书在本机不受信任。",
            (
                (
                    "证书是自签名的、已过期、属于其他域名，或由本机不认识的机构签发：{problem}。",
                    "证书是自签名的、已过期、属于其他域名，或由本机不认识的机构签发。",
                ),
            ),
            ("把签发机构告知本机（SSL_CERT_FILE），或修正接入地址的域名。",),
        ),
        Text(
            "儲存服務出示的憑證在本機不受信任。",
            (
                (
                    "憑證是自簽名的、已過期、屬於其他網域名稱，或由本機不認識的機構簽發：{problem}。",
                    "憑證是自簽名的、已過期、屬於其他網域名稱，或由本機不認識的機構簽發。",
                ),
            ),
            ("把簽發機構告知本機（SSL_CERT_FILE），或修正端點位址的網域名稱。",),
        ),
    ),
    Entry(
        "EgressRefused",
        Text(
            "The platform does not call this address.",
            (
                (
                    "It is a loopback, private or metadata address, which only an operator may open: {problem}.",
                    "It is a loopback, private or metadata address, which only an operator may open.",
                ),
            ),
            (
                "If the store is your own, let the operator allow it: `pierhead storage add ... --allow-private`.",
            ),
        ),
        Text(
            "平台不会访问该地址。",
            (
                (
                    "这是回环、内网或元数据地址，只有管理员可以放行：{problem}。",
                    "这是回环、内网或元数据地址，只有管理员可以放行。",
                ),
            ),
            ("如果是自己的存储，请管理员放行：`pierhead storage add ... --allow-private`。",),
        ),
        Text(
            "平台不會存取該位址。",
            (
                (
                    "這是迴路、內網或中繼資料位址，只有管理員可以放行：{problem}。",
                    "這是迴路、內網或中繼資料位址，只有管理員可以放行。",
                ),
            ),
            ("如果是自己的儲存服務，請管理員放行：`pierhead storage add ... --allow-private`。",),
        ),
    ),
    Entry(
        "BucketMissing",
        Text(
            ("The bucket [{bucket}] does not exist.", "The bucket does not exist."),
            (
                (
                    "Its name is misspelt, it lies in another region, or it was removed: {problem}.",
                    "Its name is misspelt, it lies in another region, or it was removed.",
                ),
            ),
            (
                "Check the bucket's name and the region of the connection (`pierhead storage show`).",
            ),
        ),
        Text(
            ("存储桶 [{bucket}] 不存在。", "存储桶不存在。"),
            (
                (
                    "名称写错、位于其他地域，或已被删除：{problem}。",
                    "名称写错、位于其他地域，或已被删除。",
                ),
            ),
            ("检查存储桶名称和连接的地域（`pierhead storage show`）。",),
        ),
        Text(
            ("儲存桶 [{bucket}] 不存在。", "儲存桶不存在。"),
            (
                (
                    "名稱寫錯、位於其他區域，或已被刪除：{problem}。",
                    "名稱寫錯、位於其他區域，或已被刪除。",
                ),
            ),
            ("檢查儲存桶名稱和連線的區域（`pierhead storage show`）。",),
        ),
    ),
    Entry(
        "StorageHangs",
        Text(
            (
                "No answer from {place} since {since}.",
                "No answer from {place}.",
                "A file system does not answer.",
            ),
            (
                "It is a network mount whose server is gone or hangs; it is asked in a thread of its own, so all else goes on.",
            ),
            ("Look at the mount and its server; it goes on by itself once they answer.",),
        ),
        Text(
            ("{place} 自 {since} 起没有应答。", "{place} 没有应答。", "某个文件系统没有应答。"),
            ("这是网络挂载，其服务器离线或卡住；平台用单独的线程访问它，其他功能不受影响。",),
            ("检查该挂载及其服务器；恢复应答后会自动继续。",),
        ),
        Text(
            ("{place} 自 {since} 起沒有應答。", "{place} 沒有應答。", "某個檔案系統沒有應答。"),
            ("這是網路掛載，其伺服器離線或卡住；平台用單獨的執行緒存取它，其他功能不受影響。",),
            ("檢查該掛載及其伺服器；恢復應答後會自動繼續。",),
        ),
    ),
)
