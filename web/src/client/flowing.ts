/** Whether something arrives at a consumer. Asked in the cheapest way that a browser has, for it is asked while it has much else to do. */

import { wait } from "./waiting";
import type { types } from "mediasoup-client";

const LOOK_MS = 30;

/** A sound is not seen to stand still: it is not waited for any longer than this. */
const SOUND_MS = 300;

/** Resolves when the first picture or sound has come out of `consumer`; also when the consumer closed or `signal` aborts. */
export async function flowing(consumer: types.Consumer, signal: AbortSignal): Promise<void> {
  const until = consumer.kind === "audio" ? Date.now() + SOUND_MS : Infinity;
  while (!signal.aborted && !consumer.closed && Date.now() < until && !arrives(consumer)) await wait(LOOK_MS, signal);
}

/** A source counts when something of it was handed to the track, so after decoding. */
function arrives({ rtpReceiver }: types.Consumer): boolean {
  return (rtpReceiver?.getSynchronizationSources().length ?? 0) > 0;
}
