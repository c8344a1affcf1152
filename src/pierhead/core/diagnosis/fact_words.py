"""The platform's own words within facts, in other languages.

Facts are made where something is noticed, in English. What a program, a store or a person wrote stays
as it is; the clauses that the platform itself puts together are few, and told anew here.
"""

import re
from functools import lru_cache

from pierhead.core.causes import Facts
from pierhead.core.languages import Language

#: Facts that hold such clauses.
_CLAUSES = frozenset(
    {"problem", "missing", "advice", "tried", "phase", "progress", "holders", "weights"}
)
_SIZE = r"(\d[\d.]* (?:[KMGT]i)?B)"
#: Pattern -> (simplified, traditional); a longer clause before those that are parts of it.
_TABLE: tuple[tuple[str, str, str], ...] = (
    # How far a fetch or an environment is.
    (r"^waiting for lock\b", "等待其他进程获取", "等待其他程序取得"),
    (r"^downloading\b", "正在下载", "正在下載"),
    (r"^listing\b", "正在列出文件", "正在列出檔案"),
    (r"^verifying\b", "正在校验", "正在驗證"),
    (r"^converting to (\S+)", r"正在转换为 \1", r"正在轉換為 \1"),
    (r"^converting\b", "正在转换", "正在轉換"),
    (r"^connecting$", "正在连接", "正在連線"),
    (r"^starting$", "正在启动", "正在啟動"),
    (rf"{_SIZE} of {_SIZE}(?=,|$)", r"\1 / \2", r"\1 / \2"),
    (r"(\d+) s left", r"还需 \1 秒", r"還需 \1 秒"),
    (
        r"^waiting for another process that builds the same environment$",
        "等待另一个进程构建同一环境",
        "等待另一個程序建置同一環境",
    ),
    (r"^making an environment with (.+)$", r"正在用 \1 创建环境", r"正在用 \1 建立環境"),
    (r"^installing (\d+) requirements?$", r"正在安装 \1 个依赖", r"正在安裝 \1 個相依套件"),
    (
        r"^installing (\d+) conda packages$",
        r"正在安装 \1 个 conda 包",
        r"正在安裝 \1 個 conda 套件",
    ),
    (r"^looking for Python (\S+)$", r"正在查找 Python \1", r"正在尋找 Python \1"),
    (r"^no answer from (.+)$", r"\1 没有应答", r"\1 沒有回應"),
    # What a node lacks.
    (r"^there is no node$", "没有任何节点", "沒有任何節點"),
    (
        rf"{_SIZE} memory wanted, (\S+) has {_SIZE}",
        r"需要 \1 内存，\2 有 \3",
        r"需要 \1 記憶體，\2 有 \3",
    ),
    (
        r"([\d.]+) cores wanted, (\S+) has (\d+)",
        r"需要 \1 个核，\2 有 \3 个",
        r"需要 \1 個核心，\2 有 \3 個",
    ),
    (
        r"architecture (.+?) wanted, (\S+) is of an unknown one",
        r"需要架构 \1，\2 的架构未知",
        r"需要架構 \1，\2 的架構未知",
    ),
    (
        r"architecture (.+?) wanted, (\S+) is (\S+)",
        r"需要架构 \1，\2 是 \3",
        r"需要架構 \1，\2 是 \3",
    ),
    (
        r"(\d+) GPU with compute capability (\S+) or more wanted, (\S+) has ",
        r"需要 \1 个计算能力不低于 \2 的 GPU，\3 有 ",
        r"需要 \1 個運算能力不低於 \2 的 GPU，\3 有 ",
    ),
    (
        r"(\d+) GPU of (.+?) wanted, (\S+) has ",
        r"需要 \1 个 \2 的 GPU，\3 有 ",
        r"需要 \1 個 \2 的 GPU，\3 有 ",
    ),
    (
        r"(\d+) undivided GPU wanted, (\S+) has (\d+)",
        r"需要 \1 个未切分的 GPU，\2 有 \3 个",
        r"需要 \1 個未切分的 GPU，\2 有 \3 個",
    ),
    (
        r"(\d+) GPU wanted, (\d+) of (\d+)(?: that would do)? is free",
        r"需要 \1 个 GPU，合适的 \3 个中有 \2 个空闲",
        r"需要 \1 個 GPU，合適的 \3 個中有 \2 個空閒",
    ),
    (
        r"(\d+) GPU wanted, (\S+) has (\d+)",
        r"需要 \1 个 GPU，\2 有 \3 个",
        r"需要 \1 個 GPU，\2 有 \3 個",
    ),
    (
        rf"{_SIZE} of one GPU wanted, the largest one of (\S+) has {_SIZE}",
        r"需要一个 GPU 的 \1，\2 最大的有 \3",
        r"需要一個 GPU 的 \1，\2 最大的有 \3",
    ),
    (
        rf"{_SIZE} of one GPU wanted, at most {_SIZE} is free on one of (\d+)(?: that would do)?",
        r"需要一个 GPU 的 \1，合适的 \3 个中最多空闲 \2",
        r"需要一個 GPU 的 \1，合適的 \3 個中最多空閒 \2",
    ),
    (r"(\d+) other service\(s\)", r"另外 \1 个服务", r"另外 \1 個服務"),
    # Which engine, and what to do instead.
    (
        r"it computes on the CPU, and a GPU is asked for",
        "它在 CPU 上计算，而要求的是 GPU",
        "它在 CPU 上運算，而要求的是 GPU",
    ),
    (
        r"it needs a GPU, and none is asked for",
        "它需要 GPU，而没有要求 GPU",
        "它需要 GPU，而沒有要求 GPU",
    ),
    (
        r"it reads ([^()]+?), the weights are (\w+)",
        r"它读取 \1，而权重是 \2",
        r"它讀取 \1，而權重是 \2",
    ),
    (
        r"it cannot make (\w+) of weights that are (\w+)",
        r"它不能由 \2 的权重得到 \1",
        r"它不能由 \2 的權重得到 \1",
    ),
    (
        r"it is not installed \(the setting (\S+) names its program\)",
        r"未安装（由设置项 \1 指定其程序）",
        r"未安裝（由設定項 \1 指定其程式）",
    ),
    (
        r"its 2D positions are in no graph of llama\.cpp; ChatGLM2 and later are",
        "llama.cpp 没有它的二维位置编码；ChatGLM2 及以后的版本可用",
        "llama.cpp 沒有它的二維位置編碼；ChatGLM2 及以後的版本可用",
    ),
    (
        r"it exists only as remote code, which was written for an older version",
        "它只有为旧版本编写的远程代码",
        "它只有為舊版本撰寫的遠端程式碼",
    ),
    (
        r"only ChatGLM2 and later are in vLLM",
        "vLLM 只包含 ChatGLM2 及以后的版本",
        "vLLM 只包含 ChatGLM2 及以後的版本",
    ),
    (
        r"vLLM (\S+) was the last version that knew it",
        r"vLLM \1 是最后一个支持它的版本",
        r"vLLM \1 是最後一個支援它的版本",
    ),
    (
        r"^(?:(\w+) )?weights of the architecture (\[.*\])$",
        r"架构为 \2 的 \1 权重",
        r"架構為 \2 的 \1 權重",
    ),
    (r"^(\w+) weights$", r"\1 权重", r"\1 權重"),
    (r"^these weights$", "这些权重", "這些權重"),
    (
        r"mount ChatGLM2-6B and use the spec (\S+),",
        r"挂载 ChatGLM2-6B 并使用规格 \1，",
        r"掛載 ChatGLM2-6B 並使用規格 \1，",
    ),
    (
        r"or register a template with a start command of your own",
        "或注册带自定义启动命令的模板",
        "或註冊帶自訂啟動命令的模板",
    ),
    (r"mount other weights,", "挂载其他权重，", "掛載其他權重，"),
    (
        r"mount weights that are (\w+), or use a spec of their precision",
        r"挂载 \1 的权重，或使用与其精度相同的规格",
        r"掛載 \1 的權重，或使用與其精度相同的規格",
    ),
    (r"mount a GGUF file of the model", "挂载该模型的 GGUF 文件", "掛載該模型的 GGUF 檔案"),
    (
        r", or install (.+?) \(the setting (.+?)\)$",
        r"，或安装 \1（设置项 \2）",
        r"，或安裝 \1（設定項 \2）",
    ),
    (
        r"correct the setting (\S+), or leave it out for the embedded engine",
        r"更正设置项 \1，或去掉它以使用内置引擎",
        r"更正設定項 \1，或去掉它以使用內建引擎",
    ),
    (
        r"ask for no GPU, or name a llama-server for GPUs \(the setting (\S+)\)",
        r"不要求 GPU，或指定支持 GPU 的 llama-server（设置项 \1）",
        r"不要求 GPU，或指定支援 GPU 的 llama-server（設定項 \1）",
    ),
    (r"(\d+) x (\d+) tokens", r"\1 x \2 个词元", r"\1 x \2 個詞元"),
    # What probes and gateways met.
    (
        r"^no answer to the (\S+) probe within (\S+) s$",
        r"\1 探测在 \2 秒内没有应答",
        r"\1 探測在 \2 秒內沒有回應",
    ),
    (
        r"^nothing listens on port (\d+) yet",
        r"端口 \1 上还没有进程监听",
        r"連接埠 \1 上還沒有程序監聽",
    ),
    (r"^no connection to port (\d+):", r"无法连接端口 \1：", r"無法連線到連接埠 \1："),
    (r"^(GET|POST) (\S+) answered (\d+)$", r"\1 \2 返回 \3", r"\1 \2 傳回 \3"),
    (
        r"^(GET|POST) (\S+) on port (\d+): what answers is no HTTP/1\.1$",
        r"端口 \3 的 \1 \2：应答的不是 HTTP/1.1",
        r"連接埠 \3 的 \1 \2：回應的不是 HTTP/1.1",
    ),
    (r"^(GET|POST) (\S+) on port (\d+): ", r"端口 \3 的 \1 \2：", r"連接埠 \3 的 \1 \2："),
    (r"^the exec probe has no command$", "exec 探测没有命令", "exec 探測沒有命令"),
    (r"^(\S+) ended with exit code (\d+)$", r"\1 以退出码 \2 结束", r"\1 以結束代碼 \2 結束"),
    (
        r"^the engine serves (\[.*\]), not (\[.*\])$",
        r"引擎提供的是 \1，而不是 \2",
        r"引擎提供的是 \1，而不是 \2",
    ),
    (r"^it could not be connected to$", "无法与它建立连接", "無法與它建立連線"),
    (
        r"^it closed the connection before its answer began$",
        "它在开始应答之前关闭了连接",
        "它在開始回應之前關閉了連線",
    ),
    (r"^it broke off its answer$", "它的应答中途断开", "它的回應中途斷開"),
    (
        r"^it gave no sign of life before a request's time was over$",
        "直到请求超时它都没有任何动静",
        "直到請求逾時它都沒有任何動靜",
    ),
    (
        r"^several requests in a row ran out of time at it, although it was alive$",
        "它虽然在运行，但连续多个请求超时",
        "它雖然在執行，但連續多個請求逾時",
    ),
    (
        r"^it answered several requests in a row with 500, 502, 503 or 504$",
        "它对连续多个请求返回 500、502、503 或 504",
        "它對連續多個請求傳回 500、502、503 或 504",
    ),
    (r" or (?=\d|transformers\b|engines\.)", " 或 ", " 或 "),
)


def retold(facts: Facts, language: Language) -> Facts:
    """The facts, with the platform's own clauses in a language."""
    if language is Language.EN:
        return facts
    named = {name: _clause(facts[name], language) for name in sorted(_CLAUSES) if facts.get(name)}
    return {**facts, **named} if named else facts


@lru_cache(512)  # what is not as wanted is told again whenever its service is looked at
def _clause(text: str, language: Language) -> str:
    at = 0 if language is Language.ZH_CN else 1
    for words, *own in _TABLE:
        text = re.sub(words, own[at], text[:2000])
    return text
