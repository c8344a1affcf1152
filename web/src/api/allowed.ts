/** May I? Asked together for all that a page shows and offers, and remembered for a minute. */

import { useQueries } from "@tanstack/react-query";
import { queryClient } from "./client";
import { ApiError } from "./error";
import { console_, currentSession, useSession } from "./session";
import type { Answered, Asked } from "./types";

/** `allowed` is undefined as long as it is not known. */
export interface May {
  allowed: boolean | undefined;
  action: string;
  resource: string;
  reason: string;
}

/** What a call needs: one of these is enough. */
export type Right = readonly Asked[];

const MOST = 200;

interface Waiting extends Asked {
  resolve: (answer: Answered) => void;
  reject: (error: unknown) => void;
}

let waiting: Waiting[] = [];

function ask(asked: Asked): Promise<Answered> {
  // To the account itself everything is allowed.
  if (currentSession()?.Principal.Admin) return Promise.resolve({ ...asked, Allowed: true, Reason: "" });
  return new Promise((resolve, reject) => {
    if (!waiting.length) setTimeout(flush, 5);
    waiting.push({ ...asked, resolve, reject });
  });
}

function flush(): void {
  const all = waiting;
  waiting = [];
  for (let from = 0; from < all.length; from += MOST) void together(all.slice(from, from + MOST));
}

async function together(asked: Waiting[]): Promise<void> {
  const Asked = asked.map(({ Action, Resource }) => ({ Action, Resource }));
  try {
    const { Answers } = await console_<{ Answers: Answered[] }>("/allowed", { body: { Asked } });
    const known = new Map(Answers.map((each) => [`${each.Action} ${each.Resource}`, each]));
    for (const each of asked) {
      each.resolve(known.get(`${each.Action} ${each.Resource}`) ?? { ...each, Allowed: false, Reason: "" });
    }
  } catch (error) {
    for (const each of asked) each.reject(error);
  }
}

const question = ({ Action, Resource }: Asked) => ({
  queryKey: ["allowed", Action, Resource],
  queryFn: async () => {
    const { Allowed, Reason } = await ask({ Action, Resource });
    return { Allowed, Reason };
  },
  staleTime: 60_000,
});

/** Go on if the right is there; if it is not, the call is never made. Throws ApiError, which names the right. */
export async function permitted(right: Right): Promise<void> {
  const [first] = right;
  if (!first) return;
  const found = await Promise.all(right.map((each) => queryClient.fetchQuery(question(each))));
  if (found.some(({ Allowed }) => Allowed)) return;
  const message = found[0]?.Reason ?? "";
  throw new ApiError({ status: 403, code: MISSING, message, action: first.Action, resource: first.Resource });
}

/** Code of what was not even asked for, because the right to it is missing. */
export const MISSING = "MissingRight";

/** Rights may be others now: ask again, if somebody wants to know. */
export const forgetRights = (): Promise<void> => queryClient.invalidateQueries({ queryKey: ["allowed"] });

/** Answers in the order of the questions. */
export function useAllowed(asked: readonly Asked[]): May[] {
  return useQueries({
    queries: asked.map(question),
    combine: (found) =>
      found.map(({ data }, index) => ({
        allowed: data?.Allowed,
        action: asked[index]?.Action ?? "",
        resource: asked[index]?.Resource ?? "",
        reason: data?.Reason ?? "",
      })),
  });
}

/** The ARN of something of this account: arn("service", "chat"), arn("service"), arn("model", id, "pierhead"). */
export function useArn(): typeof arnOf {
  useSession();
  return arnOf;
}

function arnOf(kind: string, name = "*", product = "eas"): string {
  return `${realm(product)}:${kind}/${name}`;
}

function realm(product: string): string {
  const { Region = "", Principal } = currentSession() ?? {};
  return `acs:${product}:${product === "ram" ? "" : Region}:${Principal?.Account ?? ""}`;
}

/** The right to an action on a service. */
export const onService = (name: string, action: string): Right => [{ Action: action, Resource: arnOf("service", name) }];

/** The right to an action of one of our own operations, or of RAM's, on a thing of a kind. */
export const onThing = (action: string, kind: string, name = "*"): Right => [
  { Action: action, Resource: arnOf(kind, name, action.split(":")[0]) },
];

/** The right to an action that policies allow for everything of a product together. */
export const onAll = (action: string): Right => [{ Action: action, Resource: `${realm(action.split(":")[0] ?? "")}:*` }];

/** The right to a list, of which the answer leaves out what may not be seen: on anything at all. */
export const toList = (...actions: readonly string[]): Right => actions.map((Action) => ({ Action, Resource: "*" }));
