"""Which keys a service JSON has, for those who write one by a form: the parts that have an effect here."""

from dataclasses import replace

from pierhead.core.reference import Parameter


def _text(name: str, example: str = "", values: tuple[str, ...] = ()) -> Parameter:
    return Parameter(name, "string", values=values, example=example or None)


def _whole(name: str, low: int, unit: str = "", example: int | None = None) -> Parameter:
    return Parameter(name, "integer", minimum=low, unit=unit, example=example)


_OSS = Parameter(
    "oss", "object", fields=(_text("path", "oss://examplebucket/xxxx/"), _text("endpoint"))
)
_NFS = Parameter("nfs", "object", fields=(_text("server", "10.0.0.20"), _text("path", "/models")))
_METADATA = Parameter(
    "metadata",
    "object",
    required=True,
    fields=(
        replace(_text("name", "foo"), required=True),
        _whole("instance", 1, example=1),
        Parameter("cpu", "number", minimum=0, unit="cores", example=2),
        _whole("memory", 0, "MiB", 4096),
        _whole("gpu", 0, example=0),
        _text("workspace_id", "123456"),
        _text("quota_id", "abcdef"),
        _text("group", "chat"),
        Parameter(
            "rpc",
            "object",
            fields=(
                _whole("keepalive", 1, "ms", 60_000),
                _whole("max_queue_size", 0, example=100),
                _whole("rate_limit", 0, "requests/s", 50),
                _whole("worker_threads", 1, example=4),
            ),
        ),
        Parameter(
            "rolling_strategy",
            "object",
            fields=(
                Parameter("max_surge", "any", type_text="integer or percentage", example=1),
                Parameter("max_unavailable", "any", type_text="integer or percentage", example=0),
            ),
        ),
    ),
)
_CONTAINER = Parameter(
    "",
    "object",
    fields=(
        _text("image", "llama_7b_fp16"),
        _text("script", "python3 -m http.server 8000"),
        Parameter("command", "any", type_text="String or List<String>", example="python3"),
        Parameter("port", "integer", minimum=1, maximum=65535, example=8000),
        Parameter(
            "env",
            "array",
            items=Parameter(
                "", "object", fields=(_text("name", "LOG_LEVEL"), _text("value", "info"))
            ),
        ),
    ),
)
_STORAGE = Parameter("", "object", fields=(_text("mount_path", "/mnt/model"), _OSS, _NFS))
_OWN = Parameter(
    "pierhead",
    "object",
    fields=(
        _text("affinity", values=("prefix", "none")),
        Parameter("repeats", "boolean", default=True),
    ),
)
_SCALER = Parameter(
    "autoscaler",
    "object",
    fields=(
        _whole("min", 0, example=1),
        _whole("max", 1, example=3),
        Parameter(
            "scaleStrategies",
            "array",
            items=Parameter(
                "",
                "object",
                fields=(_text("metricName", "qps"), Parameter("threshold", "number", example=10)),
            ),
        ),
    ),
)
_SERVICE = (
    _METADATA,
    Parameter("containers", "array", items=_CONTAINER),
    Parameter("storage", "array", items=_STORAGE),
    _SCALER,
    _text("token"),
    _OWN,
)


def _loose(parameter: Parameter) -> Parameter:
    """The same where any part may be left out."""
    return replace(
        parameter,
        required=False,
        fields=tuple(replace(one, required=False) for one in parameter.fields),
    )


_PART = tuple(_loose(one) for one in _SERVICE)
#: Operation -> keys at the top of its document.
DOCUMENTS: dict[str, tuple[Parameter, ...]] = {
    "CreateService": _SERVICE,
    "UpdateService": _PART,
    "CloneService": _PART,
    "CreateFaultInjection": (_text("FaultType", "CpuFullLoad"),),
    "MigrateResourceInstance": (
        Parameter("InstanceIds", "array", items=_text("", "i-bp1****")),
        _text("DestResourceId", "eas-r-asdasdasd****"),
    ),
    "UpdateGatewayLabel": (Parameter("Labels", "map", items=_text("", "chat")),),
}
