/** The query client, and when a call is worth another try. */

import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "./error";

const AGAIN = new Set([0, 429, 502, 503, 504]);

/** Another try helps only where the platform was away or busy. */
export function worthwhile(count: number, error: unknown): boolean {
  return error instanceof ApiError && AGAIN.has(error.status) && count < 2;
}

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: worthwhile, staleTime: 5_000, refetchOnWindowFocus: true, networkMode: "always" },
    mutations: { retry: false, networkMode: "always" },
  },
});
