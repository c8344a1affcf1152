/** State that is held in the URL, so that a reload or a link keeps it. */

import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";
import type { Search } from "@/app/router";

/** All of it as texts, and how to change some; undefined or "" takes one out. */
export function useUrl(): [Search, (part: Search) => void] {
  const search: Search = useSearch({ strict: false });
  const navigate = useNavigate();
  const put = useCallback(
    (part: Search) => {
      void navigate({ to: ".", search: (before: Search) => ({ ...before, ...part }), replace: true, resetScroll: false });
    },
    [navigate],
  );
  return [search, put];
}

/** One text of it: a tab, a filter. What is usual is left out of the URL. */
export function useUrlText(name: string, usual = ""): [string, (value: string) => void] {
  const [search, put] = useUrl();
  const set = useCallback((value: string) => put({ [name]: value === usual ? undefined : value }), [name, usual, put]);
  return [search[name] ?? usual, set];
}
