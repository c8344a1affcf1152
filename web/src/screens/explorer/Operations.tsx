/** All operations: by product and noun, searched, walked through by the arrow keys. */

import { CaretDownOutlined, CaretRightOutlined, StopOutlined } from "@ant-design/icons";
import { Link } from "@tanstack/react-router";
import { Checkbox, Skeleton } from "antd";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Search } from "@/app/router";
import { Failure, PageFilter, useUrl, useUrlText } from "@/parts";
import { useCatalog } from "./catalog";
import type { Listed, Product } from "./types";

/** Those that fit: each word somewhere in id, title, noun, product or path. */
export function fitting(products: readonly Product[], text: string, supported: boolean): Product[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return products
    .map((product) => ({
      ...product,
      Operations: product.Operations.filter((each) => {
        if (supported && !each.Supported) return false;
        const told = [each.Id, each.Title, each.Group, each.GroupTitle, product.Product, product.Title, each.Path];
        const all = told.join(" ").toLowerCase();
        return words.every((word) => all.includes(word));
      }),
    }))
    .filter(({ Operations }) => Operations.length);
}

function grouped(operations: readonly Listed[]): [string, Listed[]][] {
  const groups = new Map<string, Listed[]>();
  for (const each of operations) {
    const name = each.GroupTitle || each.Group;
    groups.set(name, [...(groups.get(name) ?? []), each]);
  }
  return [...groups].sort(([a], [b]) => a.localeCompare(b));
}

export function Operations({ chosen }: { chosen: () => void }) {
  const { t } = useTranslation("explorer");
  const { data, error, refetch } = useCatalog();
  const [search] = useUrl();
  const [all, setAll] = useUrlText("all");
  const [opened, setOpened] = useState<ReadonlySet<string>>(() => new Set([search["product"] ?? "eas"]));
  const q = search["q"] ?? "";
  const found = useMemo(() => data && fitting(data, q, !all), [data, q, all]);
  const frame = useRef<HTMLElement>(null);
  const product = search["product"];
  useEffect(() => {
    if (product) setOpened((before) => new Set([...before, product]));
  }, [product]);
  useEffect(() => {
    frame.current?.querySelector("[aria-current=page]")?.scrollIntoView({ block: "nearest" });
  }, [search["op"], !data]);
  const turn = (id: string) =>
    setOpened((before) => new Set(before.has(id) ? [...before].filter((each) => each !== id) : [...before, id]));
  return (
    <nav className="operations" aria-label={t("operations")} ref={frame} onKeyDown={(event) => walk(event, frame.current)}>
      <div className="operations-head">
        <PageFilter label={t("search")} />
        <Checkbox checked={!!all} onChange={(event) => setAll(event.target.checked ? "1" : "")}>
          {t("withUnsupported")}
        </Checkbox>
      </div>
      {error && <Failure error={error} retry={() => void refetch()} />}
      {!found && !error && <Skeleton active paragraph={{ rows: 8 }} title={false} />}
      {found && !found.length && <p className="muted">{all ? t("nothing") : t("nothingSupported")}</p>}
      {found?.map((each) => (
        <Section key={each.Product} product={each} open={!!q || opened.has(each.Product)} turn={() => turn(each.Product)} chosen={chosen} />
      ))}
    </nav>
  );
}

function Section({ product, open, turn, chosen }: { product: Product; open: boolean; turn: () => void; chosen: () => void }) {
  const { Product: id, Title, Operations: listed } = product;
  return (
    <section>
      <button type="button" className="operations-product" aria-expanded={open} onClick={turn} data-walk>
        {open ? <CaretDownOutlined aria-hidden /> : <CaretRightOutlined aria-hidden />}
        <span>{Title}</span>
        <span className="muted count">{listed.length}</span>
      </button>
      {open &&
        grouped(listed).map(([group, operations]) => (
          <div key={group}>
            <h3>{group}</h3>
            <ul>
              {operations.map((each) => (
                <Row key={each.Id} product={id} operation={each} chosen={chosen} />
              ))}
            </ul>
          </div>
        ))}
    </section>
  );
}

function Row({ product, operation, chosen }: { product: string; operation: Listed; chosen: () => void }) {
  const { t } = useTranslation("explorer");
  const [search] = useUrl();
  const { Id, Title, Supported, Deprecated, Method, Style, Access } = operation;
  const current = search["product"] === product && search["op"] === Id;
  const word = Style === "rpc" ? Access : Method;
  const title = Title === Id ? "" : Title;
  return (
    <li>
      <Link
        to="/explorer"
        search={(before: Search) => ({ ...before, product, op: Id, p: undefined })}
        resetScroll={false}
        preload={false}
        className={Supported ? "operation" : "operation off"}
        {...(current ? { "aria-current": "page" as const } : {})}
        onClick={chosen}
        data-walk
        activeProps={{}}
      >
        <span className="operation-id">
          {Id}
          {!Supported && <StopOutlined role="img" aria-label={t("unsupported")} title={t("unsupported")} />}
          {Deprecated && <span className="muted"> {t("deprecated")}</span>}
        </span>
        {title && <span className="operation-title">{title}</span>}
        <span className={`method ${word.toLowerCase()}`}>{word}</span>
      </Link>
    </li>
  );
}

/** Arrow keys go from line to line; from the search down into the list. */
function walk(event: React.KeyboardEvent, frame: HTMLElement | null): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !frame) return;
  const lines = [...frame.querySelectorAll<HTMLElement>("[data-walk]")];
  const now = lines.indexOf(document.activeElement as HTMLElement);
  const inSearch = now < 0;
  if (inSearch && step < 0) return;
  event.preventDefault();
  const to = inSearch ? lines[0] : now + step < 0 ? frame.querySelector<HTMLElement>("input") : lines[now + step];
  to?.focus();
}
