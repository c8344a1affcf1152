/** All routes. A screen is loaded when it is first gone to; all state of a page is text in its URL. */

import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
  type ErrorComponentProps,
} from "@tanstack/react-router";
import { Skeleton } from "antd";
import { loadSession } from "@/api/session";
import { Failure } from "@/parts/Failure";
import { Missing } from "./missing";

export type Search = Record<string, string | undefined>;

const asText = (search: Record<string, unknown>): Search => {
  const given = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
};

function Broken({ error, reset }: ErrorComponentProps) {
  return (
    <div className="main">
      <Failure error={error} retry={() => void router.invalidate().then(reset)} />
    </div>
  );
}

const root = createRootRoute({ validateSearch: asText, errorComponent: Broken, notFoundComponent: Missing });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  component: lazyRouteComponent(() => import("@/screens/login")),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: lazyRouteComponent(() => import("./shell")),
  beforeLoad: async ({ location }) => {
    if (!(await loadSession())) throw redirect({ to: "/login", search: { to: location.href } });
  },
});

const child = { getParentRoute: () => shell } as const;
const home = createRoute({ ...child, path: "/", component: lazyRouteComponent(() => import("@/screens/home")) });
const services = createRoute({
  ...child,
  path: "/services",
  component: lazyRouteComponent(() => import("@/screens/services")),
});
const create = createRoute({
  ...child,
  path: "/services/new",
  component: lazyRouteComponent(() => import("@/screens/create")),
});
const service = createRoute({
  ...child,
  path: "/services/$name",
  component: lazyRouteComponent(() => import("@/screens/service")),
});
const registry = createRoute({
  ...child,
  path: "/registry",
  component: lazyRouteComponent(() => import("@/screens/registry")),
});
const playground = createRoute({
  ...child,
  path: "/playground",
  component: lazyRouteComponent(() => import("@/screens/playground")),
});
const explorer = createRoute({
  ...child,
  path: "/explorer",
  component: lazyRouteComponent(() => import("@/screens/explorer")),
});
const access = createRoute({ ...child, path: "/access", component: lazyRouteComponent(() => import("@/screens/access")) });
const infrastructure = createRoute({
  ...child,
  path: "/infrastructure",
  component: lazyRouteComponent(() => import("@/screens/infrastructure")),
});
const settings = createRoute({
  ...child,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/screens/settings")),
});

const inside = [home, services, create, service, registry, playground, explorer, access, infrastructure, settings];

export const router = createRouter({
  routeTree: root.addChildren([login, shell.addChildren(inside)]),
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch: (search: Record<string, unknown>) => {
    const given = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
    const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return text && `?${text}`;
  },
  scrollRestoration: true,
  defaultPreload: "intent",
  defaultPendingMs: 300,
  defaultPendingComponent: () => <Skeleton active paragraph={{ rows: 6 }} />,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
