import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Empty } from "@/parts/Empty";

/** There is no such page. */
export function Missing() {
  const { t } = useTranslation("shell");
  return <Empty title={t("missing.title")} about={t("missing.about")} action={<Link to="/">{t("missing.home")}</Link>} />;
}
