import { SearchOutlined } from "@ant-design/icons";
import { Input } from "antd";
import { useTranslation } from "react-i18next";
import { useUrl } from "./url";

/** The filter of a page: `/` leads to it, Esc empties and leaves it. Its text is in the URL as `q`. */
export function PageFilter({ label, name = "q" }: { label: string; name?: string }) {
  const { t } = useTranslation();
  const [search, put] = useUrl();
  // A filter that was changed begins again at the first page.
  const set = (value: string) => put({ [name]: value, page: undefined });
  return (
    <Input
      data-page-filter
      allowClear={{ clearIcon: <span aria-label={t("clear")}>×</span> }}
      prefix={<SearchOutlined aria-hidden />}
      suffix={<kbd className="keycap wide">/</kbd>}
      style={{ maxWidth: 320 }}
      aria-label={label}
      placeholder={label}
      value={search[name] ?? ""}
      onChange={(event) => set(event.target.value)}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        set("");
        event.currentTarget.blur();
      }}
    />
  );
}
