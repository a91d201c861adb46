/** What makes a typed function a tool. */

import { readFileSync } from "node:fs";
import type { Tool as McpTool } from "@modelcontextprotocol/server";

import type { Api } from "./api.ts";
import { parseExact } from "./exact.ts";
import { ArgumentError } from "./request.ts";
import { ToolResult } from "./result.ts";
import { Check } from "./validation.ts";

/** The largest answer that is held against the output schema, in bytes: a check holds up all other calls. */
export const MAX_CHECKED_OUTPUT = 256 * 1024;

/** What a tool is made of. */
export interface ToolOptions<Arguments> {
  name: string;
  title?: string;
  description: string;
  /** The stem of the file in `schemas/`: `inputSchema` and, where the API describes an answer, `outputSchema`. */
  schemas: string;
  readOnly: boolean;
  destructive: boolean;
  idempotent: boolean;
  openWorld: boolean;
  /** Arguments without which no request can be made although the schema does not say so. */
  required?: readonly string[];
  /** Makes the request. The arguments have no prototype: what was not given is `undefined`, whatever its name. */
  call: (api: Api, args: Arguments) => Promise<ToolResult>;
}

/** A tool whatever its arguments are. */
export interface AnyTool {
  readonly name: string;
  readonly definition: McpTool;
  run(api: Api, args: Record<string, unknown>): Promise<ToolResult>;
}

/** A function over the API, with what MCP says of it. */
export class Tool<Arguments extends object> implements AnyTool {
  readonly name: string;
  /** As clients see it. */
  readonly definition: McpTool;
  readonly #options: ToolOptions<Arguments>;
  #input: Check | undefined;
  #output: Check | undefined;

  constructor(options: ToolOptions<Arguments>) {
    this.#options = options;
    this.name = options.name;
    this.definition = {
      name: options.name,
      ...(options.title !== undefined && { title: options.title }),
      description: options.description,
      annotations: {
        readOnlyHint: options.readOnly,
        destructiveHint: options.destructive,
        idempotentHint: options.idempotent,
        openWorldHint: options.openWorld,
      },
      ...schemasOf(options.schemas),
    };
  }

  /** Calls the function with arguments of its type. Throws an `ArgumentError` for one that cannot be sent. */
  async call(api: Api, args: Arguments): Promise<ToolResult> {
    return this.#options.call(api, Object.assign(Object.create(null), args) as Arguments);
  }

  /** Checks a client's arguments, calls the function, and checks its result. */
  async run(api: Api, args: Record<string, unknown>): Promise<ToolResult> {
    const wrong = this.#problems(args);
    if (wrong.length > 0) return ToolResult.invalidArguments(this.name, wrong);
    try {
      // The schema was asked; the type says the same.
      return this.#checked(await this.call(api, args as Arguments));
    } catch (error) {
      if (!(error instanceof ArgumentError)) throw error;
      return ToolResult.invalidArguments(this.name, [error.message]);
    }
  }

  #problems(args: Record<string, unknown>): string[] {
    this.#input ??= new Check(this.definition.inputSchema);
    const wrong = this.#input.problems(args);
    if (wrong.length > 0) return wrong;
    const missing = this.#options.required?.filter((name) => !Object.hasOwn(args, name)) ?? [];
    return missing.map((name) => `${name}: is required`);
  }

  /** Clients refuse a result that breaks the tool's output schema, so such a one is flagged instead. */
  #checked(result: ToolResult): ToolResult {
    const schema = this.definition.outputSchema;
    if (!schema || !result.structured || result.answer.body.length > MAX_CHECKED_OUTPUT) return result;
    this.#output ??= new Check(schema);
    const problem = this.#output.firstProblem(result.structured);
    return problem === undefined ? result : result.mismatched(`its document promises something else (${problem})`);
  }
}

/** Makes a function a tool. */
export function tool<Arguments extends object>(options: ToolOptions<Arguments>): Tool<Arguments> {
  return new Tool(options);
}

type Schemas = Pick<McpTool, "inputSchema" | "outputSchema">;

function schemasOf(stem: string): Schemas {
  const file = new URL(`../schemas/${stem}.json`, import.meta.url);
  return parseExact(readFileSync(file, "utf8")) as Schemas;
}
