/** The first page: what needs attention, what there is, how it is used, how to begin. */

import { Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useOverview } from "@/api/platform";
import { useUnlisted } from "@/api/live";
import { useServices } from "@/api/queries";
import { useSession } from "@/api/session";
import { Failure, PageHeader } from "@/parts";
import { Attention } from "./Attention";
import { Capacity } from "./Capacity";
import { Counts } from "./Counts";
import "./home.css";
import { QuickStart } from "./QuickStart";
import { Traffic } from "./Traffic";
import { Versions } from "./Versions";

export default function Home() {
  const { t } = useTranslation("home");
  const { Principal, Region } = useSession();
  const { data: rows } = useServices();
  const { data, error, refetch } = useOverview();
  // Whoever has services already looks for them, not for how to begin. It stays where it was first:
  // the service that is made there is followed there.
  const [begun, setBegun] = useState<boolean>();
  const unlisted = useUnlisted();
  if (begun === undefined && (rows || unlisted)) setBegun(!!rows?.length);
  return (
    <>
      <PageHeader title={t("title")} about={t("about", { name: Principal.Name, region: Region })} />
      <div className="home">
        {unlisted && !rows && <Failure error={unlisted} />}
        {!data && (error ? <Failure error={error} retry={() => void refetch()} /> : <Skeleton active paragraph={{ rows: 1 }} title={false} />)}
        {data && <Attention overview={data} />}
        {begun === false && <QuickStart />}
        {(rows || !unlisted) && (
          <>
            <Counts rows={rows} />
            <Traffic rows={rows} gateways={data?.Gateways} />
          </>
        )}
        {(data || !error) && <Capacity overview={data} />}
        {begun && <QuickStart />}
        {data && <Versions versions={data.Versions} />}
      </div>
    </>
  );
}
