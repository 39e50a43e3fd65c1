import { describe, expect, test } from "vitest";
import { firefoxOnLoopback } from "../src/page/browser";
import { tileSize } from "../src/page/grid";
import { invitationOf } from "../src/page/link";

const DESKTOP = { width: 1280, height: 650 };
const PHONE = { width: 390, height: 760 };
const GAP = 10;

function tokenWith(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.signature`;
}

describe("the grid", () => {
  const counts = Array.from({ length: 16 }, (_, at) => at + 1);

  test.each(counts)("shows %i tiles without scrolling, large enough to see a face", (count) => {
    for (const area of [DESKTOP, PHONE]) {
      const { width, height } = tileSize(count, area, GAP);
      const columns = Math.floor((area.width + GAP) / (width + GAP));
      const rows = Math.ceil(count / columns);
      expect(rows * (height + GAP) - GAP).toBeLessThanOrEqual(area.height);
      expect(Math.min(width, height)).toBeGreaterThanOrEqual(90);
    }
  });

  test("a wide window has no upright tiles", () => {
    for (const count of counts) {
      const { width, height } = tileSize(count, DESKTOP, GAP);
      expect(width).toBeGreaterThan(height);
    }
  });

  test("no room is no tile, and no error", () => {
    expect(tileSize(3, { width: 0, height: 0 }, GAP)).toEqual({ width: 0, height: 0 });
  });
});

describe("the link", () => {
  test("a token that names its meeting is enough", () => {
    const token = tokenWith({ meeting: "demo", grants: ["create", "join"] });
    expect(invitationOf(`#token=${token}&codec=AV1`)).toEqual({ token, meeting: "demo", mayCreate: true, codec: "AV1" });
  });

  test("a token for every meeting needs one named beside it", () => {
    const token = tokenWith({ meeting: "*", grants: ["join"] });
    expect(invitationOf(`#token=${token}&meeting=m1`)).toMatchObject({ meeting: "m1", mayCreate: false });
    expect(invitationOf(`#token=${token}`)).toMatch(/names no meeting/);
  });

  test("without a token there is no invitation", () => {
    expect(invitationOf("")).toMatch(/no invitation/);
  });
});

test("only Firefox on a loopback address is warned", () => {
  const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
  expect(firefoxOnLoopback(firefox, "127.0.0.1")).toBe(true);
  expect(firefoxOnLoopback(firefox, "192.0.2.2")).toBe(false);
  expect(firefoxOnLoopback("Mozilla/5.0 Chrome/156.0.0.0 Safari/537.36", "localhost")).toBe(false);
});
