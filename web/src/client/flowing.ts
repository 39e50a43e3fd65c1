/**
 * When something arrives at a consumer. A browser says it by itself: a remote track is muted until its first packet. To ask for it again
 * and again (statistics, sources) would hold up the negotiations that are under way at that very moment.
 */

import type { types } from "mediasoup-client";

/** A sound is not seen to stand still: it is not waited for any longer than this. */
const SOUND_MS = 300;

/** Resolves when the first picture or sound comes to `consumer`; also when the consumer closed or `signal` aborts. */
export function flowing(consumer: types.Consumer, signal: AbortSignal): Promise<void> {
  const { track, observer } = consumer;
  if (!track.muted || consumer.closed || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      track.removeEventListener("unmute", done);
      signal.removeEventListener("abort", done);
      observer.off("close", done);
      resolve();
    };
    const timer = consumer.kind === "audio" ? setTimeout(done, SOUND_MS) : undefined;
    track.addEventListener("unmute", done);
    signal.addEventListener("abort", done);
    observer.on("close", done);
  });
}
