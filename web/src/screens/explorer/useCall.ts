/** One call at a time: sent, stopped, remembered. */

import { useEffect, useRef, useState } from "react";
import { cancelled } from "@/api/call";
import { ApiError } from "@/api/error";
import type { Call } from "./Answer";
import { remember } from "./memory";
import type { Plan } from "./plan";
import { send } from "./send";
import type { Operation, Values } from "./types";
import { stripped } from "./values";

interface Asked {
  operation: Operation;
  plan: Plan;
  values: Values;
  mock: boolean;
  /** Of a ZStack login of one's own. */
  login?: string | undefined;
}

export function useCall(): { call: Call | undefined; run: (asked: Asked) => Promise<void>; stop: () => void } {
  const [call, setCall] = useState<Call>();
  const controller = useRef<AbortController>(undefined);
  const streaming = useRef(false);
  // A change that was sent goes on without us; an answer that nobody reads any more is not computed.
  useEffect(() => () => void (streaming.current && controller.current?.abort()), []);
  const run = async ({ operation, plan, values, mock, login }: Asked) => {
    controller.current?.abort();
    const own = new AbortController();
    controller.current = own;
    streaming.current = operation.Style === "openai";
    const tell = (next: Call) => controller.current === own && setCall(next);
    const { Product: product, Id: id } = operation;
    const made = { at: Date.now(), product, id, mock, values: stripped(values) };
    const started = performance.now();
    let come: string | undefined;
    const progress = (text: string) => {
      come = text;
      tell({ mock, busy: true, text });
    };
    tell({ mock, busy: true });
    try {
      const exchange = await send(operation, plan, { mock, signal: own.signal, login, progress });
      tell({ mock, busy: false, exchange });
      const { status, requestId, took, error } = exchange;
      remember({ ...made, status, requestId, took, code: error?.code ?? "" });
    } catch (failure) {
      const code = failure instanceof ApiError ? failure.code : "";
      remember({ ...made, status: 0, requestId: "", took: performance.now() - started, code });
      if (!cancelled(failure)) tell({ mock, busy: false, failed: failure });
      else tell({ mock, busy: false, stopped: true, text: come });
    }
  };
  return { call, run, stop: () => controller.current?.abort() };
}
