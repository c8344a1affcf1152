"""The policies that are shipped: the vendor's names, with contents for what this platform has."""

import json
from collections.abc import Mapping

from pierhead.core.policy import Policy, parse


def _allow(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "1", "Statement": [statement]})


#: Name -> (description, document).
DOCUMENTS: Mapping[str, tuple[str, str]] = {
    "AdministratorAccess": ("Everything", _allow("*")),
    "AliyunPAIEASFullAccess": ("Everything of PAI-EAS", _allow("eas:*")),
    "AliyunPAIEASReadOnlyAccess": (
        "Looking at everything of PAI-EAS",
        _allow("eas:Describe*", "eas:List*"),
    ),
    "AliyunRAMFullAccess": ("Users, groups, roles, keys and policies", _allow("ram:*")),
    "AliyunRAMReadOnlyAccess": (
        "Looking at users, groups, roles, keys and policies",
        _allow("ram:Get*", "ram:List*"),
    ),
    "AliyunSTSAssumeRoleAccess": ("Becoming roles that allow it", _allow("sts:AssumeRole")),
    "PierheadZStackFullAccess": ("Everything of the ZStack dialect", _allow("zstack:*")),
    "PierheadZStackReadOnlyAccess": (
        "Looking at everything of the ZStack dialect",
        _allow("zstack:Query*", "zstack:Get*", "zstack:IsReadyToGo"),
    ),
    "PierheadAuditReadOnlyAccess": ("Reading the audit log", _allow("pierhead:*Audit*")),
    "PierheadQuotaFullAccess": (
        "Quotas and workspaces",
        _allow(
            "pierhead:*Quota", "pierhead:*Quotas", "pierhead:*Workspace", "pierhead:*Workspaces"
        ),
    ),
    "PierheadQuotaReadOnlyAccess": (
        "Looking at quotas and workspaces",
        _allow(
            "pierhead:GetQuota",
            "pierhead:ListQuotas",
            "pierhead:GetWorkspace",
            "pierhead:ListWorkspaces",
        ),
    ),
}

SYSTEM: Mapping[str, Policy] = {
    name: parse(name, document, system=True) for name, (_, document) in DOCUMENTS.items()
}
