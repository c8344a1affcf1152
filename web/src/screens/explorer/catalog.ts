/** The catalogs in the language of the page. Browsers keep them, and ask each time whether they are still good. */

import { skipToken, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ApiError, refusal } from "@/api/error";
import { read } from "@/api/session";
import type { Operation, Product } from "./types";

async function kept<T>(path: string, signal: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/console/api/catalog${path}`, { credentials: "same-origin", signal });
  } catch (failure) {
    if (failure instanceof DOMException && failure.name === "AbortError") throw failure;
    throw new ApiError({ status: 0, code: "Unreachable", message: "No answer came from the platform." });
  }
  const body = await read(response);
  if (!response.ok) throw refusal(response, body);
  return body as T;
}

/** All operations by product; `wanted` = false: not yet. */
export function useCatalog(wanted = true) {
  const { language } = useTranslation().i18n;
  return useQuery({
    queryKey: ["catalog", language],
    queryFn: wanted ? ({ signal }) => kept<{ Products: Product[] }>(`?lang=${language}`, signal) : skipToken,
    staleTime: 600_000,
    select: ({ Products }) => Products,
  });
}

/** One operation with all that there is to say of it. While another language comes, the old one stays. */
export function useOperation(product: string, id: string) {
  const { language } = useTranslation().i18n;
  return useQuery({
    queryKey: ["catalog", language, product, id],
    queryFn: ({ signal }) =>
      kept<Operation>(`/${encodeURIComponent(product)}/${encodeURIComponent(id)}?lang=${language}`, signal),
    staleTime: 600_000,
    placeholderData: (before) => (before?.Id === id && before.Product === product ? before : undefined),
  });
}
