import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

/** The hub that `npm run dev` passes requests on to. */
const hub = (globalThis as { process?: { env: Record<string, string | undefined> } }).process?.env[
  "PIERHEAD_DEV_HUB"
];
const passed = ["/console/api", "/api", "/audit", "/zstack", "/openapi", "/healthz"];

/** A `POST /?Action=...` is an RPC call; everything else at `/` is the page. */
const isRpc = (url: string | undefined) => /^\/\?(?:.*&)?Action=/.test(url ?? "");

export default defineConfig({
  base: "/",
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: "dist",
    assetsDir: "assets",
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy has no data: scripts or fonts
    reportCompressedSize: true,
    license: { fileName: "licences.json" }, // what the page carries, for Settings
    chunkSizeWarningLimit: 650,
    rolldownOptions: {
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/, priority: 30 },
            { name: "tanstack", test: /node_modules[\\/]@tanstack[\\/](react-router|router-core|history|react-query|query-core|store|react-store)/, priority: 20 },
            { name: "editor", test: /node_modules[\\/](@codemirror|@lezer|@marijn|crelt|style-mod|w3c-keyname)[\\/]/, priority: 20 },
          ],
        },
      },
    },
  },
  server: {
    proxy: hub
      ? {
          ...Object.fromEntries(passed.map((path) => [path, { target: hub, changeOrigin: false }])),
          "^/\\?": { target: hub, changeOrigin: false, bypass: (request) => (isRpc(request.url) ? undefined : request.url) },
        }
      : {},
  },
});
