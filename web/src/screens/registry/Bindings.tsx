import { Select } from "antd";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Failure, Guarded } from "@/parts";
import { type Model, useBind, useTemplates } from "./calls";

/** The templates that serve a model; more can be bound. */
export function Binding({ model }: { model: Model }) {
  const { t } = useTranslation("registry");
  const arn = useArn();
  const bind = useBind();
  const [chosen, setChosen] = useState<string>();
  const templates = useTemplates().data?.rows ?? [];
  const names = new Map(templates.map((one) => [one.uuid, one.name]));
  const bound = model.modelServiceRefs.map((one) => one.modelServiceUuid);
  const resource = arn("ModelVO", "*", "zstack");
  const change = (template: string, now: boolean) => bind.mutate({ model: model.uuid, template, bound: now }, { onSuccess: () => setChosen(undefined) });
  return (
    <section className="detail-section">
      <h3>{t("model.templates")}</h3>
      {!bound.length && <span className="muted">{t("model.unbound")}</span>}
      <ul className="outcomes">
        {bound.map((uuid) => (
          <li key={uuid}>
            <Link to="/registry" search={{ open: uuid }} style={{ flex: 1 }}>
              {names.get(uuid) ?? uuid}
            </Link>
            <Guarded size="small" type="text" action="zstack:UnbindModelFromService" resource={resource} onClick={() => change(uuid, false)}>
              {t("model.unbind")}
            </Guarded>
          </li>
        ))}
      </ul>
      <div className="row">
        <Select
          aria-label={t("model.choose")}
          placeholder={t("model.choose")}
          style={{ minWidth: 260 }}
          showSearch={{ optionFilterProp: "label" }}
          value={chosen ?? null}
          onChange={(value: string | null) => setChosen(value ?? undefined)}
          options={templates.filter((one) => !bound.includes(one.uuid)).map((one) => ({ value: one.uuid, label: one.name }))}
        />
        <Guarded
          action="zstack:BindModelToService"
          resource={resource}
          off={chosen ? undefined : t("model.chooseFirst")}
          loading={bind.isPending}
          onClick={() => chosen && change(chosen, true)}
        >
          {t("model.bind")}
        </Guarded>
      </div>
      {bind.error && <Failure error={bind.error} />}
    </section>
  );
}
