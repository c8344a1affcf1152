/** Everything that can be done or gone to, by its name. */

import { Input, Modal } from "antd";
import { useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "@tanstack/react-router";
import { useServices } from "@/api/queries";
import { useCatalog } from "@/screens/explorer/catalog";
import { type Command, useAllCommands } from "./commands";

const MOST = 30;

function useFound(text: string): Command[] {
  const { t } = useTranslation("shell");
  const navigate = useNavigate();
  const services = useServices().data ?? [];
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = ({ title }: Command) => words.every((word) => title.toLowerCase().includes(word));
  const known = useAllCommands();
  const go = services.map(
    ({ ServiceName }): Command => ({
      id: `service ${ServiceName}`,
      title: t("palette.service", { name: ServiceName }),
      run: () => void navigate({ to: "/services/$name", params: { name: ServiceName } }),
    }),
  );
  const operations = useOperations(words.length > 0);
  return [...known, ...(words.length ? [...go, ...operations] : [])].filter(fits).slice(0, MOST);
}

/** The explorer's operations; asked for with the first letter. */
function useOperations(wanted: boolean): Command[] {
  const { t } = useTranslation("explorer");
  const navigate = useNavigate();
  const { data = [] } = useCatalog(wanted);
  return data.flatMap(({ Product: product, Operations }) =>
    Operations.map(
      ({ Id: op, Title }): Command => ({
        id: `operation ${product} ${op}`,
        title: `${t("palette", { name: op })} · ${Title === op ? product : Title}`,
        run: () => void navigate({ to: "/explorer", search: { product, op } }),
      }),
    ),
  );
}

export default function Palette({ close }: { close: () => void }) {
  const { t } = useTranslation("shell");
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const id = useId();
  const found = useFound(text);
  const at = Math.min(chosen, Math.max(0, found.length - 1));
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const run = (command: Command | undefined) => {
    if (!command) return;
    close();
    command.run();
  };
  const pressed = (event: React.KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setChosen((at + step + found.length) % Math.max(1, found.length));
    }
    if (event.key === "Enter" && !event.nativeEvent.isComposing) {
      event.preventDefault(); // else it also presses what the command puts the focus on
      run(found[at]);
    }
  };
  return (
    <Modal open footer={null} closable={false} onCancel={close} width={560} className="palette" title={<span className="hidden-text">{t("palette.open")}</span>} destroyOnHidden>
      <Input
        autoFocus
        value={text}
        placeholder={t("palette.placeholder")}
        onChange={(event) => (setText(event.target.value), setChosen(0))}
        onKeyDown={pressed}
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-label={t("palette.placeholder")}
        {...(found.length ? { "aria-activedescendant": `${id}-${at}` } : {})}
      />
      <ul id={id} role="listbox" aria-label={t("palette.open")} ref={list}>
        {found.map((command, index) => (
          <li
            key={command.id}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onMouseMove={() => setChosen(index)}
            onClick={() => run(command)}
          >
            {command.title}
            {command.keys && <kbd className="keycap">{command.keys}</kbd>}
          </li>
        ))}
      </ul>
      {!found.length && <p className="muted">{t("palette.nothing")}</p>}
    </Modal>
  );
}
