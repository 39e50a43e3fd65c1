import { defineConfig } from "vitest/config";

// The gateway serves dist/ at "/"; `npm run dev` serves the page itself and sends the API to a gateway that runs beside it.
export default defineConfig({
  build: { target: "es2022", sourcemap: true },
  server: { proxy: { "/v1": process.env["DOORDARSHAN_URL"] ?? "http://127.0.0.1:8480" } },
  test: { environment: "node", include: ["test/**/*.test.ts"] },
});
