/**
 * Follow the meeting's events: read the stream, resume it from the last id seen, come back after a loss with growing pauses.
 * It ends only by its signal or when the server says that the seat is over.
 */

import { asProblem, type Problem } from "./problem";
import { SseParser, type Message } from "./sse";
import { backoff, wait } from "./waiting";
import type { MeetingEvent } from "./wire";

export interface Following {
  /** Open the stream after the event `lastEventId`. */
  open: (lastEventId: number, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>;
  lastEventId: number;
  signal: AbortSignal;
  onEvent: (event: MeetingEvent) => void;
  /** The stream is open (true) or lost (false). */
  onState: (open: boolean) => void;
}

/** A silent stream is a lost one: the gateway sends a comment every 10 s, so this is two and a half of them. */
const SILENCE_MS = 25_000;

/** The gateway answers within 4.5 s; a stream that takes longer to begin is lost. */
const OPENING_MS = 6_000;

/** Return the problem that ended it, or undefined when the signal did. */
export async function follow(following: Following): Promise<Problem | undefined> {
  let last = following.lastEventId;
  for (let tries = 0; !following.signal.aborted; tries += 1) {
    const attempt = new AbortController();
    const signal = AbortSignal.any([following.signal, attempt.signal]);
    try {
      const late = setTimeout(() => attempt.abort(), OPENING_MS);
      const stream = await following.open(last, signal).finally(() => clearTimeout(late));
      following.onState(true);
      for await (const message of messages(stream, () => attempt.abort())) {
        tries = 0;
        const event = eventOf(message);
        last = Math.max(last, event.id ?? 0);
        following.onEvent(event);
      }
    } catch (error) {
      const problem = asProblem(error);
      if ((problem.over || problem.code === "forbidden") && !following.signal.aborted) return problem;
    } finally {
      attempt.abort();
    }
    if (!following.signal.aborted) following.onState(false);
    await wait(backoff(tries), following.signal);
  }
  return undefined;
}

async function* messages(stream: ReadableStream<Uint8Array>, onSilence: () => void): AsyncGenerator<Message> {
  const parser = new SseParser();
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  for (;;) {
    const timer = setTimeout(onSilence, SILENCE_MS);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    yield* parser.push(decoder.decode(value, { stream: true }));
  }
}

function eventOf(message: Message): MeetingEvent {
  const body: unknown = message.data ? JSON.parse(message.data) : {};
  return { type: message.type, id: message.id === null ? null : Number(message.id), body } as MeetingEvent;
}
