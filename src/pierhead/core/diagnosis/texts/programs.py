"""Programs that end by an error of their own, and what their words ask for."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "ProgramError",
        Text(
            (
                "The program ended by an error of its own: {log_line}.",
                "The program ended by an error of its own.",
            ),
            (
                "Its code raised an error that nothing in it handled; no rule knows a cause outside it.",
            ),
            (
                "Read its whole log (`pierhead logs --previous`): the lines above the error name the place in its code.",
                "Run the same command by hand on this machine, and correct the program or what it is given.",
            ),
        ),
        Text(
            ("程序因自身的错误而结束：{log_line}。", "程序因自身的错误而结束。"),
            ("程序代码抛出了没有处理的错误；没有规则指向程序之外的原因。",),
            (
                "查看完整日志（`pierhead logs --previous`）：错误上面的几行指出代码中的位置。",
                "在本机手动运行同一命令，修正程序或它的输入。",
            ),
        ),
        Text(
            ("程式因自身的錯誤而結束：{log_line}。", "程式因自身的錯誤而結束。"),
            ("程式碼拋出了沒有處理的錯誤；沒有規則指向程式之外的原因。",),
            (
                "檢視完整記錄檔（`pierhead logs --previous`）：錯誤上面的幾行指出程式碼中的位置。",
                "在本機手動執行同一命令，修正程式或它的輸入。",
            ),
        ),
    ),
    Entry(
        "VariableMissing",
        Text(
            (
                "The program needs the environment variable [{variable}], which is not set.",
                "The program needs an environment variable that is not set.",
            ),
            (
                "The template or the service does not give it; replicas do not inherit the variables of a login shell.",
            ),
            ("Name it in containers[].env of the service, or in the template's environment.",),
        ),
        Text(
            ("程序需要环境变量 [{variable}]，但没有设置。", "程序需要的某个环境变量没有设置。"),
            ("模板或服务没有提供它；副本不会继承登录 shell 的变量。",),
            ("在服务的 containers[].env 或模板的环境变量中设置它。",),
        ),
        Text(
            ("程式需要環境變數 [{variable}]，但沒有設定。", "程式需要的某個環境變數沒有設定。"),
            ("範本或服務沒有提供它；副本不會繼承登入 shell 的變數。",),
            ("在服務的 containers[].env 或範本的環境變數中設定它。",),
        ),
    ),
    Entry(
        "ConfigurationBroken",
        Text(
            (
                "The program cannot read its configuration: {log_line}.",
                "The program cannot read its configuration.",
            ),
            (
                "A file or a value that it reads at its start is not valid JSON, YAML or TOML, or lacks a field.",
            ),
            (
                "Correct the place that the error names; check the file with a linter before it is mounted.",
            ),
        ),
        Text(
            ("程序无法读取自己的配置：{log_line}。", "程序无法读取自己的配置。"),
            ("启动时读取的文件或值不是有效的 JSON、YAML 或 TOML，或者缺少字段。",),
            ("修正错误所指的位置；挂载之前先用检查工具验证文件。",),
        ),
        Text(
            ("程式無法讀取自己的設定：{log_line}。", "程式無法讀取自己的設定。"),
            ("啟動時讀取的檔案或值不是有效的 JSON、YAML 或 TOML，或者缺少欄位。",),
            ("修正錯誤所指的位置；掛載之前先用檢查工具驗證檔案。",),
        ),
    ),
    Entry(
        "PartMissing",
        Text(
            (
                "The command needs [{module}], which is not there.",
                "The command needs a part that is not there.",
            ),
            (
                "The part is not installed beside the program, its name is misspelt, or the command runs in another folder than it expects.",
            ),
            (
                "Check the name and the working folder of the command (the template's install path); install the part there.",
            ),
        ),
        Text(
            ("命令需要 [{module}]，但它不存在。", "命令需要的某个组件不存在。"),
            ("该组件没有和程序安装在一起，名称写错，或者命令运行的目录与预期不同。",),
            ("检查名称和命令的工作目录（模板的安装路径），并在那里安装该组件。",),
        ),
        Text(
            ("命令需要 [{module}]，但它不存在。", "命令需要的某個元件不存在。"),
            ("該元件沒有和程式安裝在一起，名稱寫錯，或者命令執行的資料夾與預期不同。",),
            ("檢查名稱和命令的工作資料夾（範本的安裝路徑），並在那裡安裝該元件。",),
        ),
    ),
    Entry(
        "NeedsTerminal",
        Text(
            "The program asks a person for input, and nobody is there.",
            ("It reads its standard input or wants a terminal; a replica has neither.",),
            (
                "Give the answer as an argument, a variable or a file; look for an option such as --yes or --no-input.",
            ),
        ),
        Text(
            "程序要求人工输入，但无人应答。",
            ("它读取标准输入或需要终端，而副本两者都没有。",),
            ("用参数、环境变量或文件给出答案；寻找 --yes、--no-input 之类的选项。",),
        ),
        Text(
            "程式要求人工輸入，但無人回應。",
            ("它讀取標準輸入或需要終端機，而副本兩者都沒有。",),
            ("用參數、環境變數或檔案給出答案；尋找 --yes、--no-input 之類的選項。",),
        ),
    ),
    Entry(
        "EncodingWrong",
        Text(
            (
                "The program cannot write text in the encoding [{encoding}].",
                "The program cannot write text in its encoding.",
            ),
            ("Its locale or an encoding set in it has no such characters.",),
            (
                "Set PYTHONUTF8=1 or LANG=C.UTF-8 in the environment, or correct the encoding in its code.",
            ),
        ),
        Text(
            ("程序无法用编码 [{encoding}] 输出文本。", "程序无法用当前编码输出文本。"),
            ("它的区域设置或代码指定的编码没有这些字符。",),
            ("在环境变量中设置 PYTHONUTF8=1 或 LANG=C.UTF-8，或修正代码中的编码。",),
        ),
        Text(
            ("程式無法用編碼 [{encoding}] 輸出文字。", "程式無法用目前的編碼輸出文字。"),
            ("它的地區設定或程式碼指定的編碼沒有這些字元。",),
            ("在環境變數中設定 PYTHONUTF8=1 或 LANG=C.UTF-8，或修正程式碼中的編碼。",),
        ),
    ),
    Entry(
        "AddressNotHere",
        Text(
            "The program wants to listen on an address that this machine does not have.",
            ("The address is of another machine or container: {log_line}.",),
            ("Let it listen on $HOST and $PORT.",),
        ),
        Text(
            "程序要监听的地址不属于本机。",
            ("该地址属于其他机器或容器：{log_line}。",),
            ("让它监听 $HOST 和 $PORT。",),
        ),
        Text(
            "程式要監聽的位址不屬於本機。",
            ("該位址屬於其他機器或容器：{log_line}。",),
            ("讓它監聽 $HOST 和 $PORT。",),
        ),
    ),
    Entry(
        "CertificateNotTrusted",
        Text(
            (
                "The program does not trust the certificate of [{host}].",
                "The program does not trust the certificate of a service that it calls.",
            ),
            (
                "The certificate is self-signed, expired, for another name, or of a proxy or authority that the program does not know.",
            ),
            (
                "Give the program the authority's file (SSL_CERT_FILE, REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS), and check this machine's clock.",
            ),
        ),
        Text(
            ("程序不信任 [{host}] 的证书。", "程序不信任它所访问的服务的证书。"),
            ("证书是自签名的、已过期、属于其他域名，或由程序不认识的代理或机构签发。",),
            (
                "把签发机构的文件告诉程序（SSL_CERT_FILE、REQUESTS_CA_BUNDLE、NODE_EXTRA_CA_CERTS），并检查本机时钟。",
            ),
        ),
        Text(
            ("程式不信任 [{host}] 的憑證。", "程式不信任它所存取的服務的憑證。"),
            ("憑證是自簽名的、已過期、屬於其他網域名稱，或由程式不認識的代理或機構簽發。",),
            (
                "把簽發機構的檔案告訴程式（SSL_CERT_FILE、REQUESTS_CA_BUNDLE、NODE_EXTRA_CA_CERTS），並檢查本機時鐘。",
            ),
        ),
    ),
    Entry(
        "LibraryDoesNotFit",
        Text(
            (
                "A shared library lacks [{symbol}], which the program needs.",
                "A shared library lacks what the program needs.",
            ),
            (
                "The library that was found is of another version than the program was built with: {log_line}.",
            ),
            (
                "Check LD_LIBRARY_PATH and which library is found (ldd); install the version that belongs to the program.",
            ),
        ),
        Text(
            ("共享库缺少程序需要的 [{symbol}]。", "共享库缺少程序需要的内容。"),
            ("找到的库与编译程序时所用的版本不同：{log_line}。",),
            ("检查 LD_LIBRARY_PATH 以及实际找到的库（ldd）；安装与程序匹配的版本。",),
        ),
        Text(
            ("共享函式庫缺少程式需要的 [{symbol}]。", "共享函式庫缺少程式需要的內容。"),
            ("找到的函式庫與編譯程式時所用的版本不同：{log_line}。",),
            ("檢查 LD_LIBRARY_PATH 以及實際找到的函式庫（ldd）；安裝與程式相符的版本。",),
        ),
    ),
    Entry(
        "JavaTooOld",
        Text(
            (
                "The program was built for a newer Java: class files {needed}, this one reads up to {most}.",
                "The program was built for a newer Java.",
            ),
            (
                "The java that the command finds is older than the one that the program was compiled with.",
            ),
            ("Install a newer Java, and name it in the command or in PATH (java -version tells).",),
        ),
        Text(
            (
                "程序需要更新的 Java：类文件版本 {needed}，当前最高支持 {most}。",
                "程序需要更新的 Java。",
            ),
            ("命令找到的 java 比编译程序时所用的版本旧。",),
            ("安装更新的 Java，并在命令或 PATH 中指定它（用 java -version 查看）。",),
        ),
        Text(
            (
                "程式需要更新的 Java：類別檔版本 {needed}，目前最高支援 {most}。",
                "程式需要更新的 Java。",
            ),
            ("命令找到的 java 比編譯程式時所用的版本舊。",),
            ("安裝更新的 Java，並在命令或 PATH 中指定它（用 java -version 檢視）。",),
        ),
    ),
)
