/**
 * A new release under an open page: parts of the page that were not loaded yet are gone from the hub. The page loads
 * itself anew, once, and says why; a second failure right after that is no new release and shows as an error.
 */

const KEY = "pierhead.renewed";
/** Milliseconds within which a second failure is another trouble. */
const SOON = 60_000;

/** Reload once when a part of the page cannot be loaded. */
export function startRenewing(): void {
  window.addEventListener("vite:preloadError", (event) => {
    if (Date.now() - last() < SOON) return;
    try {
      sessionStorage.setItem(KEY, String(Date.now()));
    } catch {
      return; // who cannot remember would reload for ever
    }
    event.preventDefault(); // else the router shows the failure, and the page that comes is another
    location.reload();
  });
}

const fresh = Date.now() - last() < SOON;

/** Was the page loaded anew just now, because of a new release? */
export const wasRenewed = (): boolean => fresh;

function last(): number {
  try {
    return Number(sessionStorage.getItem(KEY)) || 0;
  } catch {
    return 0;
  }
}
