import { useTranslation } from "react-i18next";
import type { Overview } from "@/api/platform";
import { useSession } from "@/api/session";
import { Copyable } from "@/parts";

/** What runs here, and where it is reached. */
export function Versions({ versions }: { versions: Overview["Versions"] }) {
  const { t } = useTranslation("home");
  const { Endpoint, Gateway } = useSession();
  const addresses = [
    ["endpoint", Endpoint],
    ["gateway", Gateway],
  ] as const;
  return (
    <dl className="versions" aria-label={t("versions.title")}>
      {(["Pierhead", "Python", "Runtime", "Database"] as const).map((part) => (
        <div key={part}>
          <dt>{t(`versions.${part}`)}</dt>
          <dd>{versions[part]}</dd>
        </div>
      ))}
      {addresses.map(([word, address]) => (
        <div key={word}>
          <dt>{t(`versions.${word}`)}</dt>
          <dd>
            <Copyable text={address} what={t(`versions.${word}`)} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
