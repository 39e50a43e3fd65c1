/** The meeting as it stands, fetched after a gap in its events. */

import type { Carrier } from "./carrier";
import { asProblem } from "./problem";
import type { Seat } from "./seat";
import { backoff, wait } from "./waiting";
import type { Details } from "./wire";

/** Fetch the meeting until that succeeds, or the seat is over: then it raises Problem. `lost` are own transports that do not stand any more. */
export async function fetchDetails(seat: Seat, carriers: Carrier[], signal: AbortSignal): Promise<Details & { lost: string[] }> {
  for (let tries = 0; ; tries += 1) {
    const used = carriers.flatMap((carrier) => carrier.transport?.id ?? []); // before: one that is made meanwhile is not listed yet
    try {
      const details = await seat.details(signal);
      const standing = new Set(details.ownTransports.map(({ id }) => id));
      return { ...details, lost: used.filter((id) => !standing.has(id)) };
    } catch (error) {
      const { over, code } = asProblem(error);
      if (signal.aborted || over || code === "forbidden") throw error;
      await wait(backoff(tries), signal);
    }
  }
}
