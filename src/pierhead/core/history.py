"""Since when operations do real work here, and what came to them since the vendor's first clients.

Only what is known: a release is written beside an operation when it becomes real, and nowhere else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from pierhead.core.reference import Change, Operation, Parameter

#: Kinds of changes: it does real work from a release on; these parameters came with newer clients.
ADDED, CHANGED = "added", "changed"
#: Release -> product -> operations that do real work from it on.
REAL_SINCE: Mapping[str, Mapping[str, str]] = {
    "0.1.0": {
        "eas": """
            CreateAppService CreateService CreateServiceAutoScaler CreateServiceCronScaler
            DeleteService DeleteServiceAutoScaler DeleteServiceCronScaler DeleteServiceLabel
            DescribeGroup DescribeGroupEndpoints DescribeMachineSpec DescribeRegions
            DescribeResource DescribeService DescribeServiceAutoScaler DescribeServiceCronScaler
            DescribeServiceDiagnosis DescribeServiceEndpoints DescribeServiceEvent
            DescribeServiceInstanceDiagnosis DescribeServiceLog ListGroups
            ListResourceInstanceWorker ListResourceInstances ListResourceServices ListResources
            ListServiceInstances ListServiceVersions ListServices ReleaseService RestartService
            StartService StopService UpdateAppService UpdateGroup UpdateService
            UpdateServiceAutoScaler UpdateServiceCronScaler UpdateServiceLabel
            UpdateServiceSafetyLock UpdateServiceVersion
        """,
        "zstack": """
            AddModel AddModelCenter AddModelService BindModelToService CloneModelService
            CreateDataset DeleteDataset DeleteModel DeleteModelCenter DeleteModelService
            DeleteModelServiceInstanceGroup DeleteModelServiceInstanceGroups DeleteModelServices
            DeleteModels DeployDistributedModelService DeployModelService GenerateModelMetadata
            GetMaaSUsage GetModelCenterServices MatchModelServiceTemplateWithModel QueryDataset
            QueryModel QueryModelCenter QueryModelService QueryModelServiceInstanceGroup
            RestartModelServiceGroups UnbindModelFromService UpdateDataset UpdateModel
            UpdateModelCenter UpdateModelService UpdateModelServiceInstanceGroup LogInByAccount
            LogInByUser LogOut ValidateSession RenewSession CreateAccessKey QueryAccessKey
            DeleteAccessKey ChangeAccessKeyState QueryZone CreateZone CreateSystemTag
            QuerySystemTag UpdateSystemTag CreateUserTag QueryUserTag DeleteTag CreateTag
            QueryTag UpdateTag AttachTagToResources DetachTagFromResources QueryPciDeviceSpec
            QueryGpuDevice GetVersion IsReadyToGo GetResourceNames QueryAccount GetApiJob
        """,
        "ram": """
            CreateUser GetUser UpdateUser DeleteUser ListUsers CreateLoginProfile
            GetLoginProfile UpdateLoginProfile DeleteLoginProfile CreateAccessKey
            UpdateAccessKey DeleteAccessKey ListAccessKeys GetAccessKeyLastUsed CreateGroup
            GetGroup UpdateGroup DeleteGroup ListGroups AddUserToGroup RemoveUserFromGroup
            ListGroupsForUser ListUsersForGroup CreatePolicy GetPolicy DeletePolicy ListPolicies
            CreatePolicyVersion GetPolicyVersion DeletePolicyVersion ListPolicyVersions
            SetDefaultPolicyVersion AttachPolicyToUser AttachPolicyToGroup AttachPolicyToRole
            DetachPolicyFromUser DetachPolicyFromGroup DetachPolicyFromRole ListPoliciesForUser
            ListPoliciesForGroup ListPoliciesForRole ListEntitiesForPolicy CreateRole GetRole
            UpdateRole DeleteRole ListRoles SimulatePolicy
        """,
        "sts": """
            AssumeRole GetCallerIdentity
        """,
        "pierhead": """
            CreateQuota GetQuota UpdateQuota DeleteQuota ListQuotas CreateWorkspace GetWorkspace
            UpdateWorkspace DeleteWorkspace ListWorkspaces ListServiceAttempts ListServiceTokens
            ListServiceTraffic GetServiceToken AddServiceToken RotateServiceToken
            UpdateServiceToken RevokeServiceToken GetServiceUsage GetServiceSeries GetOverview
            ExportService ExportServiceSecrets
            ListNodes CheckServiceFit CreateStorageConnection GetStorageConnection
            ListStorageConnections DeleteStorageConnection ListCacheEntries PruneCache
            ListSettings ListAuditEntries
        """,
        "openai": """
            ListModels CreateChatCompletion CreateCompletion CreateEmbedding CreateResponse
            CreateMessage Predict
        """,
    },
}


def with_history(operation: Operation) -> Operation:
    """The operation with what is known of its history, the newest first."""
    return replace(operation, changes=tuple(_changes(operation)))


def _changes(operation: Operation) -> Iterator[Change]:
    for release, products in REAL_SINCE.items():
        if operation.id in products.get(operation.product, "").split():
            yield Change(release, ADDED, "")
    newer: dict[str, list[str]] = {}
    for path, one in _walk(operation.parameters):
        if one.since and one.since != operation.since:
            newer.setdefault(one.since, []).append(f"`{path}`")
    for since, names in newer.items():
        yield Change(since, CHANGED, ", ".join(names))


def _walk(listed: Iterable[Parameter], above: str = "") -> Iterator[tuple[str, Parameter]]:
    for one in listed:
        path = ".".join(part for part in (above, one.name) if part)
        yield path, one
        inner = one.fields if one.items is None else (*one.fields, one.items)
        yield from _walk(inner, path)
