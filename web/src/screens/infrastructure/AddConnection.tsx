import { Checkbox, Form, Input, Modal, Select } from "antd";
import { useTranslation } from "react-i18next";
import type { Values } from "@/api/call";
import { Failure } from "@/parts";
import { KINDS, type Kind, useAddConnection } from "./calls";

interface Field {
  name: string;
  required?: boolean;
  example?: string;
  secret?: boolean;
}

const BUCKET: Field[] = [
  { name: "Bucket", required: true, example: "my-models" },
  { name: "Endpoint", required: true, example: "https://oss-cn-shanghai.aliyuncs.com" },
  { name: "StorageRegion", required: true, example: "cn-shanghai" },
  { name: "StorageAccessKeyId" },
  { name: "AccessKeySecret", secret: true },
  { name: "SecurityToken", secret: true },
];
const HUB: Field[] = [
  { name: "Endpoint", required: true, example: "https://huggingface.co" },
  { name: "SecurityToken", secret: true },
];

/** What a connection of each kind needs. */
const FIELDS: Record<Kind, Field[]> = {
  oss: BUCKET,
  s3: BUCKET.map((field) => (field.name === "Endpoint" ? { ...field, example: "http://10.0.0.5:9000" } : field)),
  nas: [
    { name: "MountTarget", required: true, example: "317d14-abc.cn-shanghai.nas.aliyuncs.com" },
    { name: "LocalPath", example: "/mnt/nas" },
    { name: "Nfs", example: "10.0.0.5:/export/models" },
  ],
  hf: HUB,
  modelscope: HUB.map((field) => (field.name === "Endpoint" ? { ...field, example: "https://modelscope.cn" } : field)),
};

/** A form for a new connection; its fields follow its kind. Secrets go in, and are never shown again. */
export function AddConnection({ close }: { close: () => void }) {
  const { t } = useTranslation(["infrastructure", "common"]);
  const [form] = Form.useForm<Values>();
  const kind = (Form.useWatch("Kind", form) as Kind | undefined) ?? "s3";
  const add = useAddConnection();
  const send = async () => {
    const given = await form.validateFields().catch(() => undefined);
    if (!given) return;
    const filled = Object.entries(given).filter(([, value]) => value !== "" && value !== undefined && value !== false);
    add.mutate(Object.fromEntries(filled), { onSuccess: close });
  };
  return (
    <Modal
      open
      title={t("storage.add")}
      okText={t("storage.add")}
      cancelText={t("common:cancel")}
      okButtonProps={{ loading: add.isPending }}
      onOk={() => void send()}
      onCancel={close}
      width={620}
      style={{ top: 40 }}
      destroyOnHidden
    >
      <Form form={form} layout="vertical" className="wide-form" initialValues={{ Kind: "s3" }} onFinish={() => void send()} preserve={false}>
        <Form.Item name="ConnectionName" label={t("common:name")} rules={[{ required: true, message: t("required") }]}>
          <Input autoFocus autoComplete="off" placeholder="models" />
        </Form.Item>
        <Form.Item name="Kind" label={t("storage.kind")}>
          <Select options={KINDS.map((value) => ({ value, label: t(`storage.kinds.${value}`) }))} />
        </Form.Item>
        {FIELDS[kind].map(({ name, required, example, secret }) => (
          <Form.Item
            key={`${kind} ${name}`}
            className={name === "Endpoint" || name === "MountTarget" ? "whole" : ""}
            name={name}
            label={t(`storage.fields.${name}`)}
            rules={required ? [{ required: true, message: t("required") }] : []}
          >
            {secret ? <Input.Password autoComplete="new-password" /> : <Input autoComplete="off" {...(example ? { placeholder: example } : {})} />}
          </Form.Item>
        ))}
        <Form.Item name="Workspaces" className="whole" label={t("storage.workspaces")} extra={t("storage.workspacesAbout")}>
          <Input autoComplete="off" />
        </Form.Item>
        {kind !== "nas" && (
          <Form.Item name="AllowPrivate" className="whole" valuePropName="checked">
            <Checkbox>{t("storage.private")}</Checkbox>
          </Form.Item>
        )}
        <button type="submit" hidden />
      </Form>
      {add.error && <Failure error={add.error} />}
    </Modal>
  );
}
