import { Link } from "@tanstack/react-router";
import { Skeleton } from "antd";
import { useTranslation } from "react-i18next";
import { type Overview, useNodes } from "@/api/platform";
import { Failure, Meter } from "@/parts";
import { number, size } from "@/parts/format";

/** How much of the machines is taken. */
export function Capacity({ overview }: { overview: Overview | undefined }) {
  const { t } = useTranslation("home");
  return (
    <section className="panel third last" aria-labelledby="home-capacity">
      <h2 id="home-capacity">
        {t("capacity.title")}
        {overview && (
          <Link to="/infrastructure">{t("capacity.nodes", { count: overview.Capacity.Nodes })}</Link>
        )}
      </h2>
      {overview ? <Meters overview={overview} /> : <Skeleton active paragraph={{ rows: 3 }} title={false} />}
    </section>
  );
}

function Meters({ overview }: { overview: Overview }) {
  const { t, i18n } = useTranslation("home");
  const { Capacity: has } = overview;
  const taken = has.Reserved;
  const bytes = (value: number) => size(value, i18n.language);
  const of = (used: string, whole: string) => t("capacity.of", { used, whole });
  const plain = (value: number) => number(value, i18n.language, 1);
  return (
    <div className="stack" style={{ gap: 12 }}>
      <Meter label={t("capacity.cpu")} used={taken.Cpu} whole={has.Cpu} told={of(plain(taken.Cpu), plain(has.Cpu))} />
      <Meter
        label={t("capacity.memory")}
        used={taken.Memory}
        whole={has.Memory}
        told={of(bytes(taken.Memory), bytes(has.Memory))}
        more={t("capacity.free", { free: bytes(has.MemoryFree) })}
      />
      {has.Gpus > 0 ? (
        <Meter
          label={t("capacity.gpus")}
          used={taken.Gpus}
          whole={has.Gpus}
          // An accelerator that is in use is no reason to worry.
          warn={1.01}
          told={of(plain(taken.Gpus), plain(has.Gpus))}
          more={t("capacity.free", { free: bytes(has.GpuMemoryFree) })}
        />
      ) : (
        <div className="row tight" style={{ justifyContent: "space-between" }}>
          {t("capacity.gpusNone")} <span className="muted">{t("capacity.noGpus")}</span>
        </div>
      )}
      <Disk />
    </div>
  );
}

function Disk() {
  const { t, i18n } = useTranslation("home");
  const { data, error } = useNodes();
  if (error && !data) return <Failure error={error} />;
  if (!data) return <Skeleton active paragraph={{ rows: 1 }} title={false} />;
  const { DiskTotal, DiskFree } = data.Cache;
  const bytes = (value: number) => size(value, i18n.language);
  const used = DiskTotal - DiskFree;
  return <Meter label={t("capacity.disk")} used={used} whole={DiskTotal} told={t("capacity.of", { used: bytes(used), whole: bytes(DiskTotal) })} />;
}
