"""Quotas that have no room."""

from pierhead.core.diagnosis.wording import Entry, Text, entries

ENTRIES = entries(
    Entry(
        "QuotaExceeded",
        Text(
            (
                "Quota [{quota}] allows {limit}, and this service alone wants {whole}.",
                "Quota [{quota}] allows {limit}: in use {used}, wanted besides {wanted}.",
                "Quota [{quota}] allows {limit}: in use {used}, and all of what is to be replaced must fit.",
                "What is free of quota [{quota}] is kept for services that have waited longer.",
                "The quota has no room for another replica.",
            ),
            (
                (
                    "It asks for {whole}, more than the quota allows to all services together.",
                    "Services of the same quota use what it allows: {holders}.",
                    "Services of the same quota use what it allows.",
                ),
            ),
            (
                (
                    "Waiting does not help to have {whole}: raise the quota, scale the service down, or let it ask for less.",
                    "It starts when others of the quota let go; raise the quota, or scale something down.",
                ),
            ),
        ),
        Text(
            (
                "配额 [{quota}] 允许 {limit}，而仅此服务就需要 {whole}。",
                "配额 [{quota}] 允许 {limit}：已用 {used}，还需要 {wanted}。",
                "配额 [{quota}] 允许 {limit}：已用 {used}，而将被替换的部分必须全部容纳得下。",
                "配额 [{quota}] 的余量留给了等待更久的服务。",
                "配额没有余量容纳新的副本。",
            ),
            (
                (
                    "它要求 {whole}，超过了该配额给所有服务的总额度。",
                    "同一配额的服务用完了额度：{holders}。",
                    "同一配额的服务用完了额度。",
                ),
            ),
            (
                (
                    "等待也得不到 {whole}：请提高配额、缩减该服务，或减少它的要求。",
                    "同一配额的其他服务释放后会自动启动；也可以提高配额，或缩减其他服务。",
                ),
            ),
        ),
        Text(
            (
                "配額 [{quota}] 允許 {limit}，而僅此服務就需要 {whole}。",
                "配額 [{quota}] 允許 {limit}：已用 {used}，還需要 {wanted}。",
                "配額 [{quota}] 允許 {limit}：已用 {used}，而將被替換的部分必須全部容納得下。",
                "配額 [{quota}] 的餘量留給了等待更久的服務。",
                "配額沒有餘量容納新的副本。",
            ),
            (
                (
                    "它要求 {whole}，超過了該配額給所有服務的總額度。",
                    "同一配額的服務用完了額度：{holders}。",
                    "同一配額的服務用完了額度。",
                ),
            ),
            (
                (
                    "等待也得不到 {whole}：請提高配額、縮減該服務，或減少它的要求。",
                    "同一配額的其他服務釋放後會自動啟動；也可以提高配額，或縮減其他服務。",
                ),
            ),
        ),
    ),
    Entry(
        "QuotaNeedsLimits",
        Text(
            (
                "The template [{template}] does not say how much {wanted} a replica takes, which quota {quotas} bounds.",
                "The template does not say how much a replica takes of what a quota bounds.",
            ),
            ("What has no limit cannot be counted, and would slip past the quota.",),
            (
                (
                    "Give the template a limit for {wanted}, or name a quota that does not bound it.",
                    "Give the template limits, or name a quota that does not bound what has none.",
                ),
            ),
        ),
        Text(
            (
                "模板 [{template}] 没有说明一个副本占用多少 {wanted}，而配额 {quotas} 对此有限制。",
                "模板没有说明一个副本占用多少受配额限制的资源。",
            ),
            ("没有上限的资源无法计数，会绕过配额。",),
            (
                (
                    "为模板设置 {wanted} 的上限，或改用不限制它的配额。",
                    "为模板设置上限，或改用不限制这些资源的配额。",
                ),
            ),
        ),
        Text(
            (
                "模板 [{template}] 沒有說明一個副本佔用多少 {wanted}，而配額 {quotas} 對此有限制。",
                "模板沒有說明一個副本佔用多少受配額限制的資源。",
            ),
            ("沒有上限的資源無法計數，會繞過配額。",),
            (
                (
                    "為模板設定 {wanted} 的上限，或改用不限制它的配額。",
                    "為模板設定上限，或改用不限制這些資源的配額。",
                ),
            ),
        ),
    ),
)
