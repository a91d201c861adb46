/** MCP over standard input and output: a message on each line, with exact numbers. */

import type { Readable, Writable } from "node:stream";
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/server";

import { readMessage } from "./exact.ts";

/** The longest message that is read, in bytes. A longer one ends the connection. */
export const MAX_MESSAGE = 10 * 1024 * 1024;

/** A connection over a pair of streams; it ends with its input. */
export class LineTransport implements Transport {
  onmessage?: NonNullable<Transport["onmessage"]>;
  onerror?: (error: Error) => void;
  onclose?: () => void;
  readonly #input: Readable;
  readonly #output: Writable;
  #waiting: Buffer[] = [];
  #size = 0;
  #closed = false;

  constructor(input: Readable = process.stdin, output: Writable = process.stdout) {
    this.#input = input;
    this.#output = output;
  }

  start(): Promise<void> {
    this.#input.on("data", this.#receive);
    this.#input.on("end", this.#end);
    this.#input.on("error", this.#end);
    this.#output.on("error", this.#end);
    return Promise.resolve();
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed) return Promise.reject(new Error("the connection is closed"));
    return new Promise((resolve, reject) => {
      this.#output.write(`${JSON.stringify(message)}\n`, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#input.off("data", this.#receive);
      this.#input.pause();
      this.onclose?.();
    }
    return Promise.resolve();
  }

  readonly #end = (): void => void this.close();

  readonly #receive = (chunk: Buffer): void => {
    let start = 0;
    for (let end = chunk.indexOf("\n"); end !== -1; end = chunk.indexOf("\n", start)) {
      this.#waiting.push(chunk.subarray(start, end));
      this.#deliver(Buffer.concat(this.#waiting).toString());
      this.#waiting = [];
      this.#size = 0;
      start = end + 1;
    }
    const rest = chunk.subarray(start);
    this.#size += rest.length;
    if (this.#size > MAX_MESSAGE) {
      this.onerror?.(new Error("a message is too long"));
      this.#end();
      return;
    }
    if (rest.length > 0) this.#waiting.push(rest);
  };

  #deliver(line: string): void {
    if (line.trim() === "") return;
    try {
      this.onmessage?.(readMessage(line));
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error("a message cannot be read"));
    }
  }
}
