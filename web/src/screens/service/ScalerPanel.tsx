/** A scaler of one kind: what it is set to, changed in place, taken away. */

import { PlusOutlined } from "@ant-design/icons";
import { Button, Skeleton } from "antd";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Confirm, Failure, Guarded, useDeed } from "@/parts";
import { useChange, useScaler } from "./asked";

const KINDS = { autoscaler: "ServiceAutoScaler", cronscaler: "ServiceCronScaler" } as const;

export interface Words {
  title: string;
  none: string;
  add: string;
  removeTitle: string;
  removeAbout: string;
}

export function ScalerPanel<Told, Form>({
  name,
  kind,
  every,
  words,
  usual,
  formOf,
  bodyOf,
  wrong,
  primary = false,
  children,
}: {
  name: string;
  kind: keyof typeof KINDS;
  /** Milliseconds between two looks. */
  every?: number;
  words: Words;
  /** What a new one begins with. */
  usual: Form;
  formOf: (told: Told) => Form;
  bodyOf: (form: Form, before: Told | undefined) => unknown;
  /** Why it cannot be saved as it is. */
  wrong: (form: Form) => string | undefined;
  primary?: boolean;
  children: (form: Form, change: (next: Form) => void, told: Told | undefined) => ReactNode;
}) {
  const { t } = useTranslation("service");
  const { data, error, refetch } = useScaler<Told>(name, kind, every);
  const { part } = useChange(name);
  const arn = useArn()("service", name);
  const [form, setForm] = useState<Form>();
  const [removing, setRemoving] = useState(false);
  const deed = useDeed();
  const back = () => setForm(undefined);
  // What is being typed is not overwritten by what the platform tells meanwhile.
  const shown = form ?? (data ? formOf(data) : undefined);
  const save = (whole: Form) => void deed.go(() => part(data ? "PUT" : "POST", kind, bodyOf(whole, data ?? undefined)), back);
  return (
    <section className="panel" aria-label={words.title}>
      <h2>{words.title}</h2>
      {error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : data === undefined ? (
        <Skeleton active paragraph={{ rows: 3 }} title={false} />
      ) : !shown ? (
        <div className="row">
          <span className="muted">{words.none}</span>
          <Guarded action={`eas:Create${KINDS[kind]}`} resource={arn} type={primary ? "primary" : "default"} icon={<PlusOutlined aria-hidden />} onClick={() => setForm(usual)}>
            {words.add}
          </Guarded>
        </div>
      ) : (
        <div className="stack">
          {children(shown, setForm, data ?? undefined)}
          {deed.failed !== undefined && <Failure error={deed.failed} />}
          <div className="row">
            <Guarded
              type="primary"
              action={`eas:${data ? "Update" : "Create"}${KINDS[kind]}`}
              resource={arn}
              loading={deed.busy}
              disabled={!form}
              off={wrong(shown)}
              onClick={() => save(shown)}
            >
              {t("scaling.save")}
            </Guarded>
            {form && <Button onClick={back}>{t("scaling.undo")}</Button>}
            {data && (
              <Guarded danger action={`eas:Delete${KINDS[kind]}`} resource={arn} onClick={() => setRemoving(true)}>
                {t("scaling.remove")}
              </Guarded>
            )}
          </div>
        </div>
      )}
      {removing && (
        <Confirm
          title={words.removeTitle}
          object={name}
          about={words.removeAbout}
          action={t("scaling.remove")}
          danger
          run={async () => {
            await part("DELETE", kind);
            back();
          }}
          close={() => setRemoving(false)}
        />
      )}
    </section>
  );
}
