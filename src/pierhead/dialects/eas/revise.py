"""What an update asks for, decided on the newest state: nothing, another count, or a new version. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pierhead.core.errors import Invalid
from pierhead.core.events import Notice
from pierhead.core.ids import fixed_id
from pierhead.core.scalers import AutoScaler
from pierhead.core.services import Registration, Service, Version
from pierhead.core.templates import Template
from pierhead.dialects.eas import service_document as documents
from pierhead.dialects.eas.containers import named
from pierhead.dialects.eas.document_part import Part
from pierhead.dialects.eas.messages import AppRequest, without_effect
from pierhead.dialects.eas.present import APP, DOCUMENT
from pierhead.dialects.eas.scalers import autoscaler
from pierhead.operations.regrouping import layers_of
from pierhead.operations.resolving import Resolved
from pierhead.operations.services import (
    GROUP,
    Decision,
    check_length,
    scaled,
    touched,
    upgraded,
)
from pierhead.operations.wishes import Layers, one_layer


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
    """The service JSON of a service: as submitted, or derived where none was."""
    if service.origin == DOCUMENT:
        return documents.shown(_base(service))
    owners = {"workspace_id": service.workspace, "quota_id": service.quota, "group": service.group}
    name = reference(service)
    if service.origin == GROUP:
        return documents.synthesized(service, name, owners)
    return documents.derive(service.name, service.replicas, name, service.current.source, owners)


def _submitted(service: Service) -> Mapping[str, Any]:
    """What the client submitted; a token in it is the present one, which may have been rotated since."""
    document = service.current.submitted
    if not document.get("token"):
        return document
    return {**document, "token": service.token}


def reference(service: Service) -> str:
    """What names a service's template in its service JSON: the uuid of one that can be looked up."""
    name, uuid = service.current.template.name, service.registration.template
    return name if uuid in {"", fixed_id("spec", name)} else uuid


def is_own(service: Service, name: str) -> bool:
    """Does `name`, in a service JSON, mean the snapshot that the service has already?

    A document that a client submitted means what is registered now.
    """
    return service.origin != DOCUMENT and name == reference(service)


def app(
    service: Service, request: AppRequest, found: Resolved | None, owners: Owners, now: float
) -> Decision:
    """UpdateAppService: only the count changed = scale, other content = a new version.

    `found` is what the ServiceSpec of the request names, if it has one.

    Raises:
        Invalid: the service was made from a service JSON, or the count is not legal.
        Conflict: it is being deleted.
    """
    if service.origin == GROUP:
        return _group(service, request, found, owners, now)
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
        return _sized(service, owned, request, now)
    owned = replace(owned, registration=_registered(owned.registration, found))
    version = _version(old, request, found, facts)
    return upgraded(owned, version, now, request.replicas, _told(request, found))


def _group(
    service: Service, request: AppRequest, found: Resolved | None, owners: Owners, now: float
) -> Decision:
    """An update of a deployment that the other door made: it has a template and weights, no app."""
    given = {"AppType": request.app_type, "AppVersion": request.app_version}
    why = "the service was made from a registered template"
    odd = tuple(without_effect(name, why) for name, value in given.items() if value is not None)
    request = replace(request, notices=(*request.notices, *odd))
    old, owned = service.current, owners.of(service)
    if found is not None:
        layers = found.layers or one_layer(found.template)
        owned = replace(owned, registration=_registered(owned.registration, found))
    else:
        layers = layers_of(service)
    version = _version(old, request, found, layers.document())
    if (version.template, version.source) == (old.template, old.source):
        return _sized(service, owned, request, now)
    return upgraded(owned, version, now, request.replicas, _told(request, found))


def _sized(service: Service, owned: Service, request: AppRequest, now: float) -> Decision:
    if request.replicas is None or request.replicas == service.replicas:
        return touched(service, owned, now, request.notices)
    return scaled(owned, request.replicas, now, request.notices)


def _version(
    old: Version, request: AppRequest, found: Resolved | None, submitted: Mapping[str, Any]
) -> Version:
    return replace(
        old,
        number=0,
        template=found.template if found else old.template,
        source=old.source if request.config is None else request.source,
        submitted=submitted,
    )


def _told(request: AppRequest, found: Resolved | None) -> tuple[Notice, ...]:
    return (*request.notices, *(found.notices if found else ()))


def _registered(held: Registration, found: Resolved | None) -> Registration:
    """Where a service's template is registered, after it was changed for another one."""
    if found is None:
        return held
    made = found.registration
    return replace(held, template=made.template, model=made.model, type=made.type, yaml="")


@dataclass(frozen=True, slots=True)
class Names:
    """The templates that a service JSON may mean by the names in it.

    An update finds the service's own template first: it keeps its snapshot, whatever has become of
    the registered template since.
    """

    found: Mapping[str, Resolved]
    service: Service | None = None

    def __call__(self, name: str) -> Template | None:
        """The template called so."""
        own = self._own(name)
        if own is not None:
            return own
        resolved = self.found.get(name)
        if resolved is None and self._is_named(name):
            return self.service.current.template if self.service else None
        return resolved.template if resolved else None

    def fresh(self, document: Mapping[str, Any]) -> Resolved | None:
        """What a document's image was looked up to, unless that is the service's own snapshot."""
        for name in named(document):
            if self._own(name) is not None:
                return None
            if name in self.found:
                return self.found[name]
        return None

    def _own(self, name: str) -> Template | None:
        service = self.service
        if service is None or not is_own(service, name):
            return None
        template = service.current.template
        # Its variables stand in the document, where they can be taken out.
        return replace(template, env={}) if service.origin == GROUP else template

    def _is_named(self, name: str) -> bool:
        """Does the present document mean it by this name, though it is registered no more?"""
        present = named(config(self.service)) if self.service else ()
        return name in present and not any(one in self.found for one in present)


def document(
    service: Service,
    body: Mapping[str, Any],
    found: Mapping[str, Resolved],
    now: float,
    *,
    merge: bool,
    here: documents.Here = documents.NOWHERE,
) -> Decision:
    """UpdateService: merge or put in place; only metadata.instance changed = scale.

    `found` holds the templates that the document's names were looked up to.

    Raises:
        Missing, Invalid, Unsupported: the document that results is not legal.
        Conflict: it is being deleted.
    """
    base = _base(service)
    wanted = documents.merge(base, body) if merge else dict(body)
    names = Names(found, service)
    spec = documents.translate(wanted, names, name=service.name, here=here)
    owned = _owned(service, spec)
    if wanted == base:
        return touched(service, owned, now, spec.notices)
    if documents.only_replicas_changed(base, wanted):
        count = service.replicas if spec.instance is None else spec.instance
        current = (
            replace(service.current, submitted=wanted)
            if service.origin == DOCUMENT
            else service.current
        )
        owned = replace(owned, current=current)
        if count == service.replicas:
            return touched(service, owned, now, spec.notices)
        return scaled(owned, count, now, spec.notices)
    fresh = names.fresh(wanted)
    version = Version(
        number=0,
        template=spec.template,
        source=spec.source,
        rolling=spec.rolling,
        request_timeout=spec.request_timeout,
        relaying=spec.relaying,
        intake=spec.intake,
        submitted=wanted,
    )
    notices = (*spec.notices, *(fresh.notices if fresh else ()))
    if service.origin == GROUP:
        version = replace(version, submitted=_layers(service, spec.template).document())
        held = replace(_registered(owned.registration, fresh), yaml="")
        return upgraded(replace(owned, registration=held), version, now, spec.instance, notices)
    if reference(service) not in named(wanted):
        # A document of one's own is made from nothing that is registered.
        owned = replace(owned, registration=replace(owned.registration, template="", model=""))
    return upgraded(replace(owned, origin=DOCUMENT), version, now, spec.instance, notices)


def _base(service: Service) -> Mapping[str, Any]:
    """The document that an update changes."""
    if service.origin == DOCUMENT:
        return documents.counted(_submitted(service), service.replicas)
    return config(service)


@dataclass(frozen=True, slots=True)
class Scaling:
    """What an update by document says of the auto-scaler."""

    told: bool = False  #: False: nothing, it stays as it is
    autoscaler: AutoScaler | None = None  #: None = there shall be none


def scaling(service: Service, body: Mapping[str, Any], *, merge: bool) -> Scaling:
    """What UpdateService says of the auto-scaler: one that it leaves out was taken out, or is not its own.

    Raises:
        Missing, Invalid: it is not complete, or cannot be followed.
    """
    base = _base(service)
    before = base.get("autoscaler")
    after = (documents.merge(base, body) if merge else body).get("autoscaler")
    if not after:
        return Scaling(told=bool(before))
    if body.get("autoscaler") is None:
        return Scaling()
    part = Part("", {"autoscaler": after}, []).part("autoscaler")
    return Scaling(told=True, autoscaler=autoscaler(part))


def _layers(service: Service, template: Template) -> Layers:
    """The layers after an update by document, which names all variables."""
    old = layers_of(service)
    if template.flags != service.current.template.flags:
        return Layers({}, dict(template.env), {}, {})
    return replace(old, environment={}, variables=dict(template.env))


def _owned(service: Service, spec: documents.DocumentSpec) -> Service:
    """Owners, group and token as the document says; what it leaves out stays."""
    return replace(
        Owners(spec.workspace_id or None, spec.quota_id or None).of(service),
        group=spec.group or service.group,
        token=spec.token or service.token,
    )


def strangers(names: Iterable[str]) -> tuple[Notice, ...]:
    """What to say of fields that the operation does not have."""
    return tuple(without_effect(name, "it is not known, and not kept") for name in names)
