"""What an update asks for, decided on the newest state: nothing, another count, or a new version. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pierhead.core.errors import Invalid
from pierhead.core.events import Notice
from pierhead.core.services import Service, Version
from pierhead.core.templates import Template
from pierhead.dialects.eas import service_document as documents
from pierhead.dialects.eas.messages import AppRequest, without_effect
from pierhead.dialects.eas.present import APP, DOCUMENT
from pierhead.operations.services import Decision, check_length, scaled, touched, upgraded

Templates = Callable[[str], Template | None]


@dataclass(frozen=True, slots=True)
class Owners:
    """Who a service belongs to, as an update may change it; None = as it is."""

    workspace: str | None = None
    quota: str | None = None

    def of(self, service: Service) -> Service:
        """The service with these owners."""
        workspace = service.workspace if self.workspace is None else self.workspace
        quota = service.quota if self.quota is None else self.quota
        check_length("WorkspaceId", workspace)
        check_length("QuotaId", quota)
        return replace(service, workspace=workspace, quota=quota)


def config(service: Service) -> Mapping[str, Any]:
    """The service JSON of a service: as submitted, or derived for an app service."""
    if service.origin == DOCUMENT:
        return documents.shown(service.current.submitted)
    owners = {"workspace_id": service.workspace, "quota_id": service.quota, "group": service.group}
    return documents.derive(
        service.name,
        service.replicas,
        service.current.template.name,
        service.current.source,
        owners,
    )


def resolve(templates: Templates, known: list[str], spec: str) -> Template:
    """The template that a ServiceSpec names.

    Raises:
        Invalid: there is none; the message lists those that there are.
    """
    template = templates(spec)
    if template is None:
        raise Invalid("ServiceSpec", f"[{spec[:80]}] is not known", ", ".join(known))
    return template


def app(
    service: Service, request: AppRequest, template: Template | None, owners: Owners, now: float
) -> Decision:
    """UpdateAppService: only the count changed = scale, other content = a new version.

    Raises:
        Invalid: the service is no app service, or the count is not legal.
        Conflict: it is being deleted.
    """
    if service.origin != APP:
        raise Invalid(
            "ServiceName", f"[{service.name}] is not an app service", "UpdateService changes it"
        )
    old = service.current
    given = {
        "AppType": request.app_type,
        "AppVersion": request.app_version,
        "ServiceSpec": request.spec,
        "Config": request.config,
    }
    facts = {**old.submitted, **{key: value for key, value in given.items() if value is not None}}
    owned = owners.of(service)
    if facts == old.submitted:
        if request.replicas is None or request.replicas == service.replicas:
            return touched(service, owned, now, request.notices)
        return scaled(owned, request.replicas, now, request.notices)
    source = old.source if request.config is None else request.source
    version = Version(
        number=0,
        template=template or old.template,
        source=source,
        rolling=old.rolling,
        request_timeout=old.request_timeout,
        submitted=facts,
    )
    return upgraded(owned, version, now, request.replicas, request.notices)


def document(
    service: Service, body: Mapping[str, Any], templates: Templates, now: float, *, merge: bool
) -> Decision:
    """UpdateService: merge or put in place; only metadata.instance changed = scale.

    Raises:
        Missing, Invalid, Unsupported: the document that results is not legal.
        Conflict: it is being deleted.
    """
    base = service.current.submitted if service.origin == DOCUMENT else config(service)
    wanted = documents.merge(base, body) if merge else dict(body)
    spec = documents.translate(wanted, templates, name=service.name)
    notices = (*spec.notices,)
    owned = _owned(service, spec)
    if wanted == base:
        return touched(service, owned, now, notices)
    if documents.only_replicas_changed(base, wanted):
        count = service.replicas if spec.instance is None else spec.instance
        current = (
            replace(service.current, submitted=wanted)
            if service.origin == DOCUMENT
            else service.current
        )
        return scaled(replace(owned, current=current), count, now, notices)
    version = Version(
        number=0,
        template=spec.template,
        source=spec.source,
        rolling=spec.rolling,
        request_timeout=spec.request_timeout,
        submitted=wanted,
    )
    return upgraded(replace(owned, origin=DOCUMENT), version, now, spec.instance, notices)


def _owned(service: Service, spec: documents.DocumentSpec) -> Service:
    """Owners, group and token as the document says; what it leaves out stays."""
    return replace(
        Owners(spec.workspace_id or None, spec.quota_id or None).of(service),
        group=spec.group or service.group,
        token=spec.token or service.token,
    )


def unlimited(quota: str) -> tuple[Notice, ...]:
    """What to say of a QuotaId, of which none are defined."""
    if not quota:
        return ()
    return (
        Notice(
            "QuotaWithoutLimit",
            f"The quota [{quota}] is not defined here: it is kept and shown, and limits nothing.",
        ),
    )


def strangers(names: Iterable[str]) -> tuple[Notice, ...]:
    """What to say of fields that the operation does not have."""
    return tuple(without_effect(name, "it is not known, and not kept") for name in names)
