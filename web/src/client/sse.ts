/** Server-sent events as text: the parser of the HTML standard's `text/event-stream` (section 9.2.6), fed with chunks. */

export interface Message {
  type: string;
  id: string | null;
  data: string;
}

export class SseParser {
  #rest = "";
  #type = "";
  #id: string | null = null;
  #data: string[] = [];

  /** Return the messages that `chunk` completes. */
  push(chunk: string): Message[] {
    const text = this.#rest + chunk;
    const held = text.endsWith("\r") ? 1 : 0; // the "\n" of a "\r\n" may be in the next chunk
    const lines = text.slice(0, text.length - held).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + (held ? "\r" : "");
    return lines.flatMap((line) => this.#line(line) ?? []);
  }

  #line(line: string): Message | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#type = value;
    if (field === "data") this.#data.push(value);
    if (field === "id" && !value.includes("\0")) this.#id = value;
    return undefined;
  }

  #dispatch(): Message | undefined {
    const message = { type: this.#type || "message", id: this.#id, data: this.#data.join("\n") };
    const empty = this.#data.length === 0 && this.#type === "";
    this.#type = "";
    this.#id = null; // unlike EventSource: an event without an id of its own has no place in the log
    this.#data = [];
    return empty ? undefined : message;
  }
}
