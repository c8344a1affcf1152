import { useCallback } from "react";
import { logout } from "@/api/session";

/** Sign out; the way to the sign-in page follows from there being no session. */
export function useSignOut(): () => void {
  return useCallback(() => {
    logout().catch(() => undefined); // the session is forgotten here even if the hub is away
  }, []);
}
