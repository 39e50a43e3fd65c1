import { afterEach, describe, expect, test, vi } from "vitest";
import { follow } from "../src/client/follow";
import { SseParser } from "../src/client/sse";
import { Lanes } from "../src/client/lanes";

afterEach(() => void vi.useRealTimers());

test.each(["is never answered", "falls silent"])("a stream of events that %s is opened anew", async (how) => {
  vi.useFakeTimers();
  const stopped = new AbortController();
  const open = vi.fn((_last: number, signal: AbortSignal) => {
    const lost = new Promise<never>((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
    if (how === "is never answered") return lost;
    return Promise.resolve(new ReadableStream<Uint8Array>({ pull: () => lost }));
  });
  void follow({ open, lastEventId: 7, signal: stopped.signal, onEvent: () => undefined, onState: () => undefined });
  await vi.advanceTimersByTimeAsync(30_000);
  expect(open.mock.calls.length).toBeGreaterThan(1);
  stopped.abort();
});

describe("server-sent events", () => {
  const text = ': ping\n\nevent: A\nid: 7\ndata: {"a":\ndata: 1}\n\nevent: Live\r\ndata: x\r\n\r\ndata: y\n\n';
  const messages = [
    { type: "A", id: "7", data: '{"a":\n1}' },
    { type: "Live", id: null, data: "x" },
    { type: "message", id: null, data: "y" },
  ];

  test.each([1, 2, 3, 5, 1000])("are read in chunks of %i", (size) => {
    const parser = new SseParser();
    const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, at) => text.slice(at * size, (at + 1) * size));
    expect(chunks.flatMap((chunk) => parser.push(chunk))).toEqual(messages);
  });
});

describe("lanes", () => {
  test("so many things at a time, and one failure is raised after the others that were begun", async () => {
    let most = 0;
    const [waiting, running, done] = [new Set([1, 2, 3, 4, 5]), new Set<number>(), [] as number[]];
    const lanes = new Lanes(2, () => waiting, async (item) => {
      most = Math.max(most, running.add(item).size);
      await Promise.resolve();
      waiting.delete(item);
      running.delete(item);
      if (item === 3) throw new Error("three");
      done.push(item);
    });
    await expect(lanes.run()).rejects.toThrow("three");
    expect([most, done]).toEqual([2, [1, 2, 4]]);
  });

  test("what comes while they run is begun at once, not after them", async () => {
    const [waiting, begun] = [new Set(["slow"]), [] as string[]];
    let release = (): void => undefined;
    const held = new Promise<void>((done) => (release = done));
    const lanes = new Lanes(2, () => waiting, async (item) => {
      begun.push(item);
      if (item === "slow") await held;
      waiting.delete(item);
    });
    const running = lanes.run();
    waiting.add("quick");
    lanes.more();
    expect(begun).toEqual(["slow", "quick"]);
    release();
    await running;
  });

  test("with nothing to do they are through", async () => {
    await new Lanes(2, () => [], () => Promise.resolve()).run();
  });
});
