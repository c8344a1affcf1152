"""What a Kubernetes cluster says of a replica."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "PodUnschedulable",
        Text(
            (
                "No node of the cluster takes the replica: {problem}.",
                "No node of the cluster takes the replica.",
            ),
            (
                "What it asks for is on no node, others have it, or its labels and taints keep it off.",
            ),
            (
                "Add or uncordon a node, ask for less, or stop what holds the room; it is placed by itself then.",
            ),
        ),
        Text(
            ("集群中没有节点能接收该副本：{problem}。", "集群中没有节点能接收该副本。"),
            ("没有节点具备所需资源，资源已被占用，或标签与污点将其排除。",),
            ("请增加节点或解除其封锁、降低所需资源，或停止占用者；之后会自动调度。",),
        ),
        Text(
            ("叢集中沒有節點能接收該副本：{problem}。", "叢集中沒有節點能接收該副本。"),
            ("沒有節點具備所需資源，資源已被佔用，或標籤與污點將其排除。",),
            ("請增加節點或解除其封鎖、降低所需資源，或停止佔用者；之後會自動排程。",),
        ),
    ),
    Entry(
        "ImagePullFailed",
        Text(
            (
                "The image of the replica cannot be pulled: {problem}.",
                "The image of the replica cannot be pulled.",
            ),
            (
                "Its name or tag is wrong, the registry is not reached from the node, or it demands credentials.",
            ),
            (
                "Check the image's name, and name a pull secret in the settings where the registry demands one.",
            ),
        ),
        Text(
            ("无法拉取副本的镜像：{problem}。", "无法拉取副本的镜像。"),
            ("镜像名称或标签有误、节点无法访问镜像仓库，或仓库要求凭证。",),
            ("请检查镜像名称；如果仓库要求凭证，请在设置中指定拉取密钥。",),
        ),
        Text(
            ("無法拉取副本的映像檔：{problem}。", "無法拉取副本的映像檔。"),
            ("映像檔名稱或標籤有誤、節點無法存取映像檔倉庫，或倉庫要求憑證。",),
            ("請檢查映像檔名稱；如果倉庫要求憑證，請在設定中指定拉取密鑰。",),
        ),
    ),
    Entry(
        "ContainerConfigWrong",
        Text(
            (
                "The container of the replica cannot be made: {problem}.",
                "The container of the replica cannot be made.",
            ),
            (
                "A Secret or a key that it refers to is missing, or its command or user is not one of the image.",
            ),
            ("Put back what is missing, or correct the template; it is tried again by itself.",),
        ),
        Text(
            ("无法创建副本的容器：{problem}。", "无法创建副本的容器。"),
            ("所引用的 Secret 或键不存在，或镜像中没有该命令或用户。",),
            ("请补上缺少的内容或修正模板；会自动重试。",),
        ),
        Text(
            ("無法建立副本的容器：{problem}。", "無法建立副本的容器。"),
            ("所參照的 Secret 或鍵不存在，或映像檔中沒有該命令或使用者。",),
            ("請補上缺少的內容或修正範本；會自動重試。",),
        ),
    ),
    Entry(
        "VolumeNotMounted",
        Text(
            (
                "A volume of the replica is not mounted: {problem}.",
                "A volume of the replica is not mounted.",
            ),
            (
                "The storage is not reached from the node, its credentials are refused, or its CSI driver is not there.",
            ),
            ("Look at the events of the pod, and whether `pierhead doctor` finds the CSI driver.",),
        ),
        Text(
            ("副本的存储卷未能挂载：{problem}。", "副本的存储卷未能挂载。"),
            ("节点无法访问存储、凭证被拒绝，或缺少 CSI 驱动。",),
            ("请查看 Pod 的事件，并用 `pierhead doctor` 检查 CSI 驱动。",),
        ),
        Text(
            ("副本的儲存卷未能掛載：{problem}。", "副本的儲存卷未能掛載。"),
            ("節點無法存取儲存、憑證被拒絕，或缺少 CSI 驅動程式。",),
            ("請檢視 Pod 的事件，並用 `pierhead doctor` 檢查 CSI 驅動程式。",),
        ),
    ),
    Entry(
        "PodNetworkFailed",
        Text(
            (
                "The pod of the replica gets no network: {problem}.",
                "The pod of the replica gets no network.",
            ),
            ("The network plugin of the node is not ready, or has no addresses left.",),
            ("Have the node's network plugin looked at; it is tried again by itself.",),
        ),
        Text(
            ("副本的 Pod 没有网络：{problem}。", "副本的 Pod 没有网络。"),
            ("节点的网络插件未就绪，或地址已用尽。",),
            ("请检查节点的网络插件；会自动重试。",),
        ),
        Text(
            ("副本的 Pod 沒有網路：{problem}。", "副本的 Pod 沒有網路。"),
            ("節點的網路外掛程式未就緒，或位址已用盡。",),
            ("請檢查節點的網路外掛程式；會自動重試。",),
        ),
    ),
    Entry(
        "PodQuotaExceeded",
        Text(
            (
                "A quota of the cluster has no room for the replicas: {problem}.",
                "A quota of the cluster has no room for the replicas.",
            ),
            ("A ResourceQuota or LimitRange of the namespace bounds what its pods may ask for.",),
            ("Raise the quota, ask for less, or stop what uses it; it goes on by itself then.",),
        ),
        Text(
            ("集群的配额无法容纳这些副本：{problem}。", "集群的配额无法容纳这些副本。"),
            ("命名空间的 ResourceQuota 或 LimitRange 限制了 Pod 可请求的资源。",),
            ("请提高配额、降低请求，或停止占用者；之后会自动继续。",),
        ),
        Text(
            ("叢集的配額無法容納這些副本：{problem}。", "叢集的配額無法容納這些副本。"),
            ("命名空間的 ResourceQuota 或 LimitRange 限制了 Pod 可要求的資源。",),
            ("請提高配額、降低要求，或停止佔用者；之後會自動繼續。",),
        ),
    ),
    Entry(
        "PodRefused",
        Text(
            (
                "The cluster does not admit the replicas: {problem}.",
                "The cluster does not admit the replicas.",
            ),
            ("An admission webhook or the pod security of the namespace refuses them.",),
            (
                "Ask who runs the cluster which rule it is; what the template asks for can be changed in it.",
            ),
        ),
        Text(
            ("集群不接纳这些副本：{problem}。", "集群不接纳这些副本。"),
            ("准入 Webhook 或命名空间的 Pod 安全策略拒绝了它们。",),
            ("请向集群管理员了解是哪条规则；模板中的要求可以修改。",),
        ),
        Text(
            ("叢集不接納這些副本：{problem}。", "叢集不接納這些副本。"),
            ("准入 Webhook 或命名空間的 Pod 安全性原則拒絕了它們。",),
            ("請向叢集管理員瞭解是哪條規則；範本中的要求可以修改。",),
        ),
    ),
    Entry(
        "Evicted",
        Text(
            ("The node put the replica out: {problem}.", "The node put the replica out."),
            ("The node ran short of memory or disk; what used more than it asked for goes first.",),
            ("Another replica replaces it. Ask for as much memory and disk as it uses.",),
        ),
        Text(
            ("节点驱逐了该副本：{problem}。", "节点驱逐了该副本。"),
            ("节点内存或磁盘不足；用量超过请求的最先被驱逐。",),
            ("会有另一个副本替换它。请按实际用量请求内存和磁盘。",),
        ),
        Text(
            ("節點驅逐了該副本：{problem}。", "節點驅逐了該副本。"),
            ("節點記憶體或磁碟不足；用量超過要求的最先被驅逐。",),
            ("會有另一個副本取代它。請按實際用量要求記憶體和磁碟。",),
        ),
    ),
    Entry(
        "PodFailed",
        Text(
            (
                "The pod of the replica ended as a whole: {problem}.",
                "The pod of the replica ended as a whole.",
            ),
            (
                "Its node did not admit it, was shut down, or gave its room to something more important.",
            ),
            ("Another replica replaces it; look at the node's events if it happens again.",),
        ),
        Text(
            ("副本的 Pod 整体结束：{problem}。", "副本的 Pod 整体结束。"),
            ("节点未接纳它、节点被关闭，或其资源让给了更重要的任务。",),
            ("会有另一个副本替换它；如果再次发生，请查看节点的事件。",),
        ),
        Text(
            ("副本的 Pod 整體結束：{problem}。", "副本的 Pod 整體結束。"),
            ("節點未接納它、節點被關閉，或其資源讓給了更重要的工作。",),
            ("會有另一個副本取代它；如果再次發生，請檢視節點的事件。",),
        ),
    ),
    Entry(
        "NodeNotReady",
        Text(
            (
                "The node of the replica does not answer: {problem}.",
                "The node of the replica does not answer.",
            ),
            ("The machine is down, cut off from the network, or its kubelet does not run.",),
            ("Another replica is started elsewhere by itself; see to the node.",),
        ),
        Text(
            ("副本所在的节点没有响应：{problem}。", "副本所在的节点没有响应。"),
            ("机器已停机、网络中断，或 kubelet 未运行。",),
            ("会自动在其他节点启动副本；请检查该节点。",),
        ),
        Text(
            ("副本所在的節點沒有回應：{problem}。", "副本所在的節點沒有回應。"),
            ("機器已停機、網路中斷，或 kubelet 未執行。",),
            ("會自動在其他節點啟動副本；請檢查該節點。",),
        ),
    ),
    Entry(
        "MemberMissing",
        Text(
            (
                "A part of the replica is not there: {problem}.",
                "A part of the replica is not there.",
            ),
            ("One of the nodes that it computes on was lost, or its pod was deleted.",),
            (
                "Wait: the cluster makes all pods of the replica anew; look at its nodes if it lasts.",
            ),
        ),
        Text(
            ("副本缺少一部分：{problem}。", "副本缺少一部分。"),
            ("其计算所用的某个节点丢失，或其 Pod 被删除。",),
            ("请等待：集群会重新创建该副本的所有 Pod；如持续存在，请检查其节点。",),
        ),
        Text(
            ("副本缺少一部分：{problem}。", "副本缺少一部分。"),
            ("其計算所用的某個節點遺失，或其 Pod 被刪除。",),
            ("請等待：叢集會重新建立該副本的所有 Pod；如持續存在，請檢查其節點。",),
        ),
    ),
    Entry(
        "TerminatingStuck",
        Text(
            (
                "The replica was told to end and is still there: {problem}.",
                "The replica was told to end and is still there.",
            ),
            ("Its node does not answer, or a volume or a finalizer holds it.",),
            (
                "See to the node; if it is gone for good, delete the pod by force: `kubectl delete pod --force`.",
            ),
        ),
        Text(
            ("副本已被要求结束，但仍然存在：{problem}。", "副本已被要求结束，但仍然存在。"),
            ("节点没有响应，或存储卷、终结器将其阻止。",),
            ("请检查节点；如果节点已永久失效，请强制删除 Pod：`kubectl delete pod --force`。",),
        ),
        Text(
            ("副本已被要求結束，但仍然存在：{problem}。", "副本已被要求結束，但仍然存在。"),
            ("節點沒有回應，或儲存卷、終結器將其阻止。",),
            ("請檢查節點；如果節點已永久失效，請強制刪除 Pod：`kubectl delete pod --force`。",),
        ),
    ),
    Entry(
        "PodFetchesFiles",
        Text(
            (
                "The pod of the replica fetches its files: {problem}.",
                "The pod of the replica fetches its files.",
            ),
            ("Weights are fetched on the node before the engine starts.",),
            ("Wait; with a cache on each node the next replica there finds them at once.",),
        ),
        Text(
            ("副本的 Pod 正在获取文件：{problem}。", "副本的 Pod 正在获取文件。"),
            ("引擎启动之前先在节点上获取权重。",),
            ("请等待；如果节点有缓存，该节点上的下一个副本可立即使用。",),
        ),
        Text(
            ("副本的 Pod 正在取得檔案：{problem}。", "副本的 Pod 正在取得檔案。"),
            ("引擎啟動之前先在節點上取得權重。",),
            ("請等待；如果節點有快取，該節點上的下一個副本可立即使用。",),
        ),
    ),
    Entry(
        "PodWaitsForLeader",
        Text(
            (
                "A member of the replica waits for its leader: {problem}.",
                "A member of the replica waits for its leader.",
            ),
            ("A member fetches its files and starts once its leader has.",),
            (
                "Wait; if the leader runs already, see whether pods reach each other by name and on port 6379.",
            ),
        ),
        Text(
            ("副本的成员正在等待其主 Pod：{problem}。", "副本的成员正在等待其主 Pod。"),
            ("主 Pod 启动之后，成员才会获取文件并启动。",),
            ("请等待；如果主 Pod 已在运行，请检查各 Pod 能否按名称互相访问 6379 端口。",),
        ),
        Text(
            ("副本的成員正在等待其主 Pod：{problem}。", "副本的成員正在等待其主 Pod。"),
            ("主 Pod 啟動之後，成員才會取得檔案並啟動。",),
            ("請等待；如果主 Pod 已在執行，請檢查各 Pod 能否按名稱互相存取 6379 連接埠。",),
        ),
    ),
)
