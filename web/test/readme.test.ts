import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** What a reader copies must compile against this client: calls, options, event names and what they carry. */

const WEB = join(dirname(fileURLToPath(import.meta.url)), "..");
const LONGEST = 15;

function snippet(readme: string): string {
  const found = /^```ts\n(import [\s\S]*?)^```/m.exec(readFileSync(join(WEB, readme), "utf8"));
  if (!found?.[1]) throw new Error(`${readme} has no TypeScript that begins with an import`);
  return found[1];
}

function complaints(code: string): string {
  const directory = mkdtempSync(join(WEB, "node_modules", "readme-"));
  try {
    const own = code.replace(/from (["'])\..*?client\1/, `from ${JSON.stringify(join(WEB, "src", "client"))}`);
    writeFileSync(join(directory, "snippet.ts"), `declare const token: string;\n${own}`);
    const options = { extends: join(WEB, "tsconfig.json"), include: ["snippet.ts"] };
    writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(options));
    execFileSync(join(WEB, "node_modules", ".bin", "tsc"), ["-p", directory], { encoding: "utf8" });
    return "";
  } catch (error) {
    return String((error as { stdout?: string }).stdout || error);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test.each(["../README.md", "README.md"])("what %s shows compiles against the client", { timeout: 60_000 }, (readme) => {
  expect(complaints(snippet(readme))).toBe("");
});

test("what does not fit the client is found", { timeout: 60_000 }, () => {
  const wrong = snippet("README.md").replace("trackRemoved", "trackVanished");
  expect(complaints(wrong)).toContain("trackVanished");
});

test("the first README joins a meeting in 15 lines", () => {
  const lines = snippet("../README.md").split("\n").filter((line) => line.trim());
  expect(lines.length).toBeLessThanOrEqual(LONGEST);
});
