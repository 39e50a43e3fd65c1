/** Whether something arrives at a consumer, as the browser's own statistics tell. */

import { wait } from "./waiting";
import type { types } from "mediasoup-client";

const LOOK_MS = 60;

/** Resolves when the first picture was decoded, or the first sound has arrived; also when the consumer closed or `signal` aborts. */
export async function flowing(consumer: types.Consumer, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !consumer.closed && !(await arrives(consumer))) await wait(LOOK_MS, signal);
}

async function arrives(consumer: types.Consumer): Promise<boolean> {
  const stats = await consumer.getStats().catch(() => new Map<string, RTCInboundRtpStreamStats>());
  const inbound = [...stats.values()].filter((one): one is RTCInboundRtpStreamStats => one.type === "inbound-rtp");
  return inbound.some((one) => ((consumer.kind === "video" ? one.framesDecoded : one.packetsReceived) ?? 0) > 0);
}
