/** What the page remembers: the name over visits, the seat over a reload of this tab. Private windows may refuse; then nothing. */

export interface Visit {
  meeting: string;
  participantId: string;
  participantToken: string;
  name: string;
  camera: boolean;
  microphone: boolean;
}

const SEAT = "doordarshan.seat";
const NAME = "doordarshan.name";

/** Return the seat that this tab held in `meeting` and did not leave. */
export function seatOf(meeting: string): Visit | undefined {
  try {
    const visit = JSON.parse(sessionStorage.getItem(SEAT) ?? "null") as Visit | null;
    return visit?.meeting === meeting ? visit : undefined;
  } catch {
    return undefined;
  }
}

export function rememberSeat(visit: Visit | null): void {
  remember(() => (visit ? sessionStorage.setItem(SEAT, JSON.stringify(visit)) : sessionStorage.removeItem(SEAT)));
}

export function rememberedName(): string {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

export function rememberName(name: string): void {
  remember(() => localStorage.setItem(NAME, name));
}

function remember(store: () => void): void {
  try {
    store();
  } catch {
    // no storage: a reload then starts at the first screen
  }
}
