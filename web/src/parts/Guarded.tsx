import { Button, type ButtonProps, Tooltip } from "antd";
import { useTranslation } from "react-i18next";
import { useAllowed } from "@/api/allowed";

/** A button that is off without the right to its action, and says which right that is. */
export function Guarded({
  action,
  resource = "*",
  off,
  ...button
}: ButtonProps & {
  action: string;
  resource?: string;
  /** Another reason, in words, why it is off now. */
  off?: string | undefined;
}) {
  const { t } = useTranslation();
  const [may] = useAllowed([{ Action: action, Resource: resource }]);
  const missing = may?.allowed === false;
  const why = missing ? t("guarded.missing", { action, resource }) : (off ?? "");
  if (!why) return <Button {...button} disabled={button.disabled || may?.allowed === undefined} />;
  const { onClick: _unused, className = "", href: _neither, ...rest } = button;
  // Not `disabled`: a reason that the keyboard cannot reach is no reason.
  return (
    <Tooltip title={why} trigger={["hover", "focus"]}>
      <Button
        {...rest}
        className={`${className} guarded-off`}
        aria-disabled
        htmlType="button"
        data-missing={missing ? action : undefined}
        onClick={(event) => event.preventDefault()}
      />
    </Tooltip>
  );
}
