import { CheckCircleFilled, CloseCircleFilled, InfoCircleFilled } from "@ant-design/icons";
import { useNavigate } from "@tanstack/react-router";
import { Collapse, Form, Input, InputNumber, Modal, Select, Skeleton } from "antd";
import { useTranslation } from "react-i18next";
import { Bytes, Failure, Guarded } from "@/parts";
import { useArn } from "@/api/queries";
import { type Fit, type Template, useDeploy, useMatch, useModels, useTemplateFit, useZones } from "./calls";
import { pairsOf } from "./fields";
import { Gib } from "./Form";
import { YamlFailure } from "./Yaml";

interface Values {
  name: string;
  zone: string;
  model?: string;
  cpu?: number;
  memory?: number;
  environment?: string;
  parameters?: string;
}

/** Make a service of a template. Whether it fits is asked at once, and told before anything is created. */
export function Deploy({ template, close }: { template: Template; close: () => void }) {
  const { t } = useTranslation(["registry", "common"]);
  const navigate = useNavigate();
  const arn = useArn();
  const [form] = Form.useForm<Values>();
  const zones = useZones().data?.rows ?? [];
  const zone = zones.find((one) => one.isDefault)?.uuid ?? zones[0]?.uuid ?? "";
  const deploy = useDeploy();
  const model = Form.useWatch("model", form) ?? "";
  const fit = useTemplateFit(template.name, !model);
  const send = async () => {
    const given = await form.validateFields().catch(() => undefined);
    if (!given) return;
    deploy.mutate(
      { uuid: template.uuid, body: wanted(given, zone) },
      { onSuccess: ({ inventory }) => void navigate({ to: "/services/$name", params: { name: inventory.serviceName || inventory.name } }) },
    );
  };
  const never = !model && fit.data?.Fits === false ? t("deploy.never") : undefined;
  return (
    <Modal
      open
      width={640}
      title={t("deploy.title", { name: template.name })}
      onCancel={close}
      destroyOnHidden
      footer={(_, { CancelBtn }) => (
        <>
          <CancelBtn />
          <Guarded
            type="primary"
            action="zstack:DeployModelService"
            resource={arn("ModelServiceVO", template.uuid, "zstack")}
            off={never}
            loading={deploy.isPending}
            onClick={() => void send()}
          >
            {t("deploy.do")}
          </Guarded>
        </>
      )}
      cancelText={t("common:cancel")}
    >
      <Form form={form} layout="vertical" className="registry-form" onFinish={() => never ?? void send()}>
        <Form.Item name="name" label={t("deploy.name")} rules={[{ required: true, message: t("required") }]}>
          <Input autoFocus autoComplete="off" placeholder="chat" />
        </Form.Item>
        <Form.Item name="model" label={t("deploy.model")} extra={t("deploy.modelAbout")}>
          <ModelChoice template={template} />
        </Form.Item>
        {model ? (
          <Match template={template} model={model} zone={zone} />
        ) : deploy.error && fit.error ? null : (
          <FitLine fit={fit.data} error={fit.error} yaml={template.yaml} />
        )}
        <Collapse
          ghost
          size="small"
          style={{ marginTop: 8 }}
          items={[{ key: "more", label: t("deploy.more"), forceRender: true, children: <More template={template} /> }]}
        />
        <button type="submit" hidden />
      </Form>
      {deploy.error && <YamlFailure error={deploy.error} yaml={template.yaml} />}
    </Modal>
  );
}

function wanted(given: Values, zone: string): Record<string, unknown> {
  const told = {
    name: given.name,
    type: "Container",
    zoneUuid: zone,
    modelUuid: given.model,
    cpuNum: given.cpu,
    memorySize: given.memory,
    environmentVariables: pairsOf(given.environment ?? "").pairs,
    startupParameters: pairsOf(given.parameters ?? "").pairs,
  };
  const filled = Object.entries(told).filter(([, value]) => value !== undefined && value !== null && (typeof value !== "object" || Object.keys(value).length));
  return Object.fromEntries(filled);
}

function More({ template }: { template: Template }) {
  const { t, i18n } = useTranslation("registry");
  const lines = {
    validator: (_rule: unknown, text: string | undefined) => {
      const { bad } = pairsOf(text ?? "");
      return bad === undefined ? Promise.resolve() : Promise.reject(new Error(t("deploy.badLine", { line: bad })));
    },
  };
  const gib = new Intl.NumberFormat(i18n.language, { maximumFractionDigits: 2 }).format(template.requestMemory / 2 ** 30);
  return (
    <>
      <div className="pair">
        <Form.Item name="cpu" label={t("fields.requestCpu")}>
          <InputNumber min={1} precision={0} placeholder={String(template.requestCpu)} style={{ width: "100%" }} />
        </Form.Item>
        <Form.Item name="memory" label={t("fields.requestMemory")}>
          <Gib placeholder={gib} />
        </Form.Item>
      </div>
      <Form.Item name="environment" label={t("deploy.environment")} rules={[lines]}>
        <Input.TextArea autoSize={{ minRows: 2, maxRows: 8 }} className="mono" spellCheck={false} placeholder={"LOG_LEVEL=info"} />
      </Form.Item>
      <Form.Item name="parameters" label={t("deploy.parameters")} rules={[lines]}>
        <Input.TextArea autoSize={{ minRows: 2, maxRows: 8 }} className="mono" spellCheck={false} placeholder={"max-model-len=4096"} />
      </Form.Item>
    </>
  );
}

function ModelChoice({ template, ...rest }: { template: Template; value?: string; onChange?: (value: string) => void; id?: string }) {
  const { t } = useTranslation("registry");
  const { data } = useModels();
  const bound = new Set(template.modelServiceRefs.map((one) => one.modelUuid));
  const rows = [...(data?.rows ?? [])].sort((a, b) => Number(bound.has(b.uuid)) - Number(bound.has(a.uuid)));
  return (
    <Select
      {...rest}
      allowClear
      showSearch={{ optionFilterProp: "label" }}
      loading={!data}
      placeholder={t("deploy.ownModel")}
      options={rows.map((one) => ({ value: one.uuid, label: bound.has(one.uuid) ? t("deploy.bound", { name: one.name }) : one.name }))}
    />
  );
}

/** Verdict, numbers, reason. */
function FitLine({ fit, error, yaml }: { fit: Fit | undefined; error: unknown; yaml: string }) {
  const { t } = useTranslation("registry");
  if (error) return <YamlFailure error={error} yaml={yaml} title={t("fit.failed")} />;
  if (!fit) return <Skeleton active paragraph={{ rows: 1 }} title={false} />;
  const numbers = [
    ["needed", fit.Needed],
    ["limit", fit.MemoryLimit],
    ["total", fit.MemoryLimit ? undefined : fit.Total],
    ["free", fit.Free],
  ] as const;
  const [icon, word] =
    fit.Fits === undefined
      ? [<InfoCircleFilled key="unknown" aria-hidden />, "unknown"]
      : fit.Fits
        ? [<CheckCircleFilled key="yes" className="tone-ok" aria-hidden />, "yes"]
        : [<CloseCircleFilled key="no" className="tone-bad" aria-hidden />, "no"];
  return (
    <section className="fit-line" aria-live="polite" aria-label={t("fit.title")}>
      <strong className="row">
        {icon} {t(`fit.${word}`)}
      </strong>
      <dl className="numbers">
        {numbers.map(
          ([name, value]) =>
            value !== undefined && (
              <div key={name}>
                <dt>{t(`fit.${name}`)}</dt>
                <dd>
                  <Bytes value={value} />
                </dd>
              </div>
            ),
        )}
      </dl>
      {fit.Message && <p className="muted small">{fit.Message}</p>}
    </section>
  );
}

function Match({ template, model, zone }: { template: Template; model: string; zone: string }) {
  const { t } = useTranslation("registry");
  const { data, error } = useMatch(template.uuid, model, zone);
  if (error) return <Failure error={error} title={t("fit.failed")} />;
  if (data === undefined) return <Skeleton active paragraph={{ rows: 1 }} title={false} />;
  return (
    <section className="fit-line" aria-live="polite" aria-label={t("fit.title")}>
      <strong className="row">
        {data ? <CheckCircleFilled className="tone-ok" aria-hidden /> : <CloseCircleFilled className="tone-bad" aria-hidden />}
        {t(data ? "fit.matches" : "fit.matchesNot")}
      </strong>
    </section>
  );
}
