import { CloudUploadOutlined } from "@ant-design/icons";
import { Link } from "@tanstack/react-router";
import { Segmented, type TableProps, Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Amount, Bytes, CodeBlock, Copyable, Guarded, StatusTag } from "@/parts";
import { type Template, useCenters, useGroups, useModels, useTemplates } from "./calls";
import { Deploy } from "./Deploy";
import { Facts, List, nameColumn, useOrigin } from "./List";
import { YamlEditor } from "./Yaml";

/** Model services: what can be deployed many times. */
export function Templates() {
  const { t } = useTranslation("registry");
  const [origin, setOrigin] = useOrigin();
  const [deploying, setDeploying] = useState<Template>();
  const found = useTemplates();
  const columns = useColumns(setDeploying);
  return (
    <>
      <List<Template>
        kind="template"
        found={found}
        columns={columns}
        scrollX={980}
        text={(row) => [row.name, row.description ?? "", row.framework, row.type, row.uuid].join("\n")}
        keep={(row) => origin === "all" || row.system === (origin === "system")}
        beside={
          <Segmented
            aria-label={t("origin.label")}
            value={origin}
            onChange={setOrigin}
            options={(["all", "system", "own"] as const).map((value) => ({ value, label: t(`origin.${value}`) }))}
          />
        }
        detail={(row) => <Detail row={row} />}
        more={(row) => <DeployButton row={row} onClick={() => setDeploying(row)} primary />}
        fixed={(row) => (row.system ? t("template.system") : undefined)}
      />
      {deploying && <Deploy template={deploying} close={() => setDeploying(undefined)} />}
    </>
  );
}

function DeployButton({ row, onClick, primary = false }: { row: Template; onClick: () => void; primary?: boolean }) {
  const { t } = useTranslation("registry");
  const arn = useArn();
  return (
    <Guarded
      {...(primary ? { type: "primary" as const } : { size: "small" as const })}
      icon={<CloudUploadOutlined aria-hidden />}
      action="zstack:DeployModelService"
      resource={arn("ModelServiceVO", row.uuid, "zstack")}
      aria-label={t("deploy.label", { name: row.name })}
      onClick={onClick}
    >
      {t("deploy.do")}
    </Guarded>
  );
}

function useColumns(deploy: (row: Template) => void): NonNullable<TableProps<Template>["columns"]> {
  const { t } = useTranslation(["registry", "common"]);
  return [
    nameColumn(t("common:name"), (row) => ({ marks: row.system && <Tag>{t("origin.system")}</Tag>, about: row.description || row.startCommand })),
    { title: t("fields.framework"), key: "framework", width: 120, sorter: (a, b) => a.framework.localeCompare(b.framework), dataIndex: "framework" },
    { title: t("fields.type"), key: "type", width: 110, sorter: (a, b) => a.type.localeCompare(b.type), dataIndex: "type" },
    { title: t("fields.requestCpu"), key: "cpu", width: 116, align: "end", sorter: (a, b) => a.requestCpu - b.requestCpu, render: (_, row) => <Amount value={row.requestCpu} /> },
    { title: t("fields.requestMemory"), key: "memory", width: 110, align: "end", sorter: (a, b) => a.requestMemory - b.requestMemory, render: (_, row) => <Bytes value={row.requestMemory} /> },
    { title: t("template.models"), key: "models", width: 100, align: "end", sorter: (a, b) => a.modelServiceRefs.length - b.modelServiceRefs.length, render: (_, row) => row.modelServiceRefs.length },
    { title: <span className="hidden-text">{t("deploy.do")}</span>, key: "do", width: 130, align: "end", render: (_, row) => <DeployButton row={row} onClick={() => deploy(row)} /> },
  ];
}

function Detail({ row }: { row: Template }) {
  const { t } = useTranslation(["registry", "common"]);
  const center = useCenters().data?.rows.find((one) => one.uuid === row.modelCenterUuid);
  const models = new Map(useModels().data?.rows.map((one) => [one.uuid, one.name]));
  return (
    <div className="stack">
      <Facts
        facts={[
          ["UUID", <Copyable key="uuid" text={row.uuid} what="UUID" />],
          [t("fields.description"), row.description],
          [t("fields.framework"), row.framework],
          [t("fields.type"), row.type],
          [t("fields.source"), row.source],
          [t("fields.requestCpu"), <Amount key="cpu" value={row.requestCpu} />],
          [t("fields.requestMemory"), <Bytes key="memory" value={row.requestMemory} />],
          [t("fields.pythonVersion"), row.pythonVersion],
          [t("fields.gpuComputeCapability"), row.gpuComputeCapability],
          [t("fields.modelCenterUuid"), center?.name ?? row.modelCenterUuid],
          [t("fields.installPath"), <span key="path" className="mono">{row.installPath}</span>],
          [t("fields.version"), row.version],
          [
            t("fields.modelUuids"),
            row.modelServiceRefs.length
              ? row.modelServiceRefs.map((one) => (
                  <div key={one.uuid}>
                    <Link to="/registry" search={{ tab: "models", open: one.modelUuid }}>
                      {models.get(one.modelUuid) ?? one.modelUuid}
                    </Link>{" "}
                    {one.isDefault && <Tag>{t("template.usual")}</Tag>}
                  </div>
                ))
              : null,
          ],
          [t("created"), row.createDate],
          [t("changed"), row.lastOpDate],
        ]}
      />
      {row.startCommand && (
        <section className="detail-section">
          <h3>{t("fields.startCommand")}</h3>
          <CodeBlock code={row.startCommand} label={t("fields.startCommand")} wrap />
        </section>
      )}
      {row.yaml && (
        <section className="detail-section">
          <h3>{t("fields.yaml")}</h3>
          <YamlEditor value={row.yaml} readOnly height={260} />
        </section>
      )}
      <Users template={row.uuid} />
    </div>
  );
}

/** The services that were made of it. */
function Users({ template }: { template: string }) {
  const { t } = useTranslation("registry");
  const { data } = useGroups();
  const rows = data?.rows.filter((one) => one.modelServiceUuid === template) ?? [];
  if (!data) return null;
  return (
    <section className="detail-section">
      <h3>{t("template.users")}</h3>
      {!rows.length && <span className="muted">{t("template.nobody")}</span>}
      <ul className="outcomes">
        {rows.map((one) => (
          <li key={one.uuid}>
            <Link to="/services/$name" params={{ name: one.serviceName || one.name }}>
              {one.name}
            </Link>
            <StatusTag status={one.status} />
          </li>
        ))}
      </ul>
    </section>
  );
}
