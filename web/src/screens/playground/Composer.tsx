/** Where questions are written. Enter sends; Shift+Enter begins a line. */

import { SendOutlined, StopOutlined } from "@ant-design/icons";
import { Button, Input, type InputRef } from "antd";
import { type KeyboardEvent, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useAllowed, useArn } from "@/api/queries";
import { useKey } from "@/app/keys";
import { Guarded } from "@/parts";
import { stop } from "./store";

export function Composer({
  services,
  busy,
  send,
}: {
  services: readonly string[];
  busy: boolean;
  send: (question: string) => void;
}) {
  const { t } = useTranslation("playground");
  const { action, resource, may } = useSpeaking(services[0]);
  const [text, setText] = useState("");
  const field = useRef<InputRef & HTMLTextAreaElement>(null);
  useKey("Escape", () => (busy ? stop() : false), { typing: true });
  const off = !services.length ? t("off.service") : !text.trim() ? t("off.text") : undefined;
  const go = () => {
    if (off || busy || !may) return;
    send(text.trim());
    setText("");
    field.current?.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    // Enter that ends the choice of a Chinese word is no wish to send.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    go();
  };
  return (
    <div className="talk-composer">
      <Input.TextArea
        ref={field as never}
        data-page-filter
        autoFocus
        aria-label={t("question")}
        placeholder={t("placeholder")}
        autoSize={{ minRows: 2, maxRows: 8 }}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={pressed}
      />
      {busy ? (
        <Button danger icon={<StopOutlined aria-hidden />} onClick={stop}>
          {t("stop")}
          <kbd className="keycap wide" aria-hidden>
            Esc
          </kbd>
        </Button>
      ) : (
        <Guarded
          type="primary"
          icon={<SendOutlined aria-hidden />}
          action={action}
          resource={resource}
          off={off}
          onClick={go}
        >
          {t("send")}
        </Guarded>
      )}
    </div>
  );
}

/** Either action opens a service: to speak to it is to have its token. */
export function useSpeaking(service: string | undefined): { action: string; resource: string; may: boolean } {
  const arn = useArn();
  const resource = service ? arn("service", service) : "*";
  const answers = useAllowed(["pierhead:GetServiceToken", "eas:DescribeServiceEndpoints"].map((Action) => ({ Action, Resource: resource })));
  const granted = answers.find(({ allowed }) => allowed);
  return { action: (granted ?? answers[0])?.action ?? "", resource, may: !!granted };
}
