import { afterEach, describe, expect, test, vi } from "vitest";
import { follow } from "../src/client/follow";
import { SseParser } from "../src/client/sse";
import { inParallel } from "../src/client/waiting";

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

test("work runs at most so many at a time, and one failure is raised after the others ended", async () => {
  let running = 0;
  let most = 0;
  const done: number[] = [];
  const work = async (item: number): Promise<void> => {
    most = Math.max(most, (running += 1));
    await Promise.resolve();
    running -= 1;
    if (item === 1) throw new Error("one");
    done.push(item);
  };
  await expect(inParallel(2, [1, 2, 3, 4, 5], work)).rejects.toThrow("one");
  expect(most).toBe(2);
  expect(done).toEqual([2, 3, 4, 5]);
});
