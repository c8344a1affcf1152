/** The API explorer: every operation of every API, tried out and explained. */

import { Link, useNavigate } from "@tanstack/react-router";
import { Button, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Search } from "@/app/router";
import { Empty, Failure, PageHeader, useTitle, useUrl } from "@/parts";
import { CredentialChip } from "./Credential";
import { useOperation } from "./catalog";
import "./explorer.css";
import { keep, type Made } from "./memory";
import { Operations } from "./Operations";
import { Workbench } from "./Workbench";

/** Where most people begin. */
const FIRST = [
  ["eas", "ListServices"],
  ["eas", "CreateService"],
  ["eas", "DescribeService"],
  ["openai", "CreateChatCompletion"],
  ["zstack", "QueryModelService"],
  ["ram", "CreateUser"],
] as const;

export default function Explorer() {
  const { t } = useTranslation("explorer");
  const [search] = useUrl();
  const { product, op } = search;
  const [listing, setListing] = useState(!op);
  return (
    <div className="explorer-page">
      <PageHeader title={t("title")} about={t("about")} actions={<CredentialChip />} />
      <Title op={op} />
      <Button className="narrow-only" aria-expanded={listing} onClick={() => setListing(!listing)}>
        {t("operations")}
      </Button>
      <div className={listing ? "explorer listing" : "explorer"}>
        <Operations chosen={() => setListing(false)} />
        {product && op ? <Chosen product={product} id={op} /> : <Start />}
      </div>
    </div>
  );
}

/** The window has the operation's name: of ten open ones each is found again. */
function Title({ op }: { op: string | undefined }) {
  const { t } = useTranslation("explorer");
  useTitle(op ? `${op} · ${t("title")}` : t("title"));
  return null;
}

function Chosen({ product, id }: { product: string; id: string }) {
  const navigate = useNavigate();
  const { data, error, refetch } = useOperation(product, id);
  const [fresh, setFresh] = useState(0);
  const again = (made: Made) => {
    keep(made.product, made.id, made.values);
    setFresh((before) => before + 1);
    void navigate({
      to: "/explorer",
      search: (before: Search) => ({ ...before, product: made.product, op: made.id, p: undefined }),
      resetScroll: false,
    });
  };
  if (error && !data) {
    return (
      <div className="wide-pane">
        <Failure error={error} retry={() => void refetch()} />
      </div>
    );
  }
  if (!data) {
    return (
      <div className="wide-pane">
        <Skeleton active paragraph={{ rows: 10 }} />
      </div>
    );
  }
  return <Workbench key={`${product} ${id} ${fresh}`} operation={data} again={again} />;
}

function Start() {
  const { t } = useTranslation("explorer");
  return (
    <div className="wide-pane">
      <Empty
        title={t("start.title")}
        about={t("start.about")}
        action={
          <div className="row first">
            {FIRST.map(([product, op]) => (
              <Link key={op} to="/explorer" search={(before: Search) => ({ ...before, product, op, p: undefined })} className="first-link mono">
                {op}
              </Link>
            ))}
          </div>
        }
      />
    </div>
  );
}
