import { now } from "../../clock";
import { type Context, enter } from "../../context";
import type { SpanEnd } from "../../envelope";
import { describeError } from "../../error";
import { type OpenSpan, startSpan } from "../../span";
import { capture } from "../../values";
import { type ToolPart, toolParts } from "./pick";
import { field, isObject, isPromise, quietly, readable } from "./read";
import type { ToolTime } from "./timings";

/** A tool's execution under way. */
export interface Execution {
  readonly name: string;
  readonly callId: string | undefined;
  readonly span: OpenSpan;
}

/** A call that the model asked for and that has not started yet. */
interface Announced {
  name: string;
  args: unknown;
  atMs: number;
}

/** A sub-agent's run, seen from the tool that it is: its result is told only later. */
interface Adopted {
  execution: Execution;
  endMs: number | undefined;
}

/** The calls of one run, by id. */
class Calls {
  /** Those that have their span. */
  readonly seen: Set<string>;
  /** Those that were asked for and have not started. */
  readonly announced = new Map<string, Announced>();
  readonly adopted = new Map<string, Adopted>();

  constructor(seen?: readonly string[]) {
    this.seen = new Set(seen);
  }
}

/** The tool spans of one run. */
export class ToolSpans {
  /** What ran, for the waterfall. */
  readonly times: ToolTime[] = [];
  /** Made when there is something to hold: most runs call no tool. By the calls' ids. */
  private calls: Calls | undefined;

  /** `seen`: calls that have had their span, by id, before the run was resumed. */
  constructor(
    private readonly session: object,
    private readonly agent: OpenSpan,
    seen: readonly string[],
  ) {
    if (seen.length > 0) this.calls = new Calls(seen);
  }

  /** The model asked for a call. */
  announce({ toolCallId, toolName, args }: ToolPart): void {
    if (toolCallId === undefined || this.hasSeen(toolCallId)) return;
    this.calls ??= new Calls();
    this.calls.announced.set(toolCallId, { name: toolName, args, atMs: now() });
  }

  /** Calls that have their span, by id. */
  get seen(): string[] {
    return this.calls ? [...this.calls.seen] : [];
  }

  /** Calls that were asked for and have not started, by id. */
  get waiting(): string[] {
    return this.calls ? [...this.calls.announced.keys()] : [];
  }

  /** `inside`: what is around it, if not what is current here. */
  start(name: string, callId: string | undefined, args: unknown, inside?: Context): Execution {
    this.see(callId);
    const span = this.open(name, callId, args, { inside });
    return { name, callId, span };
  }

  /** As `start`; what follows in this async scope runs inside the tool's span. */
  enter(name: string, callId: string | undefined, args: unknown): Execution {
    // A tool that was started beside this one is no parent of what follows.
    const execution = this.start(name, callId, args, this.agent.context);
    enter(execution.span.context);
    return execution;
  }

  finish({ name, span }: Execution, outcome: { result?: unknown; error?: unknown }): void {
    const endMs = now();
    this.times.push({ name, startMs: span.startMs, endMs, accurate: true });
    span.finish(endOf(span, outcome, endMs));
  }

  /**
   * A sub-agent was called with this text: the tool call that did it, where Mastra (0.24) offers no other way to see
   * that call run.
   */
  adopt(prompt: string | undefined): OpenSpan | undefined {
    if (this.calls === undefined) return undefined;
    const waiting = [...this.calls.announced].filter(([, { name }]) => name.startsWith("agent-"));
    const same = waiting.find(([, { args }]) => field(args, "prompt") === prompt) ?? waiting[0];
    if (same === undefined) return undefined;
    const [callId, { name, args }] = same;
    const execution = this.start(name, callId, args);
    this.calls.adopted.set(callId, { execution, endMs: undefined });
    return execution.span;
  }

  /** The sub-agent inside an adopted call has ended. */
  adoptedEnded(span: OpenSpan, endMs: number): void {
    for (const adopted of this.calls?.adopted.values() ?? []) {
      if (adopted.execution.span === span) adopted.endMs = endMs;
    }
  }

  /** A step is over: its results end the adopted calls, and show what ran unseen. */
  settle(toolResults: unknown, stepStartMs: number, endMs: number): void {
    const parts = toolParts(toolResults);
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i] as ToolPart;
      const id = part.toolCallId;
      const adopted = id === undefined ? undefined : this.calls?.adopted.get(id);
      if (adopted !== undefined) this.endAdopted(adopted, part.result, endMs);
      else if (id === undefined || !this.hasSeen(id)) this.unseen(part, stepStartMs, endMs);
    }
  }

  /** The run is over. */
  end(endMs: number): void {
    for (const adopted of this.calls?.adopted.values() ?? []) this.endAdopted(adopted, undefined, endMs);
  }

  private endAdopted(adopted: Adopted, result: unknown, stepEndMs: number): void {
    const { execution } = adopted;
    const endMs = adopted.endMs ?? stepEndMs;
    if (execution.callId !== undefined) this.calls?.adopted.delete(execution.callId);
    const { startMs } = execution.span;
    this.times.push({ name: execution.name, startMs, endMs, accurate: adopted.endMs !== undefined });
    execution.span.finish(endOf(execution.span, errorOrResult(result), endMs));
  }

  /** A tool that ran where nothing could time it (one of Mastra's own, or resumed): the times that are known. */
  private unseen({ toolCallId, toolName, args, result }: ToolPart, stepStartMs: number, endMs: number): void {
    const announced = toolCallId === undefined ? undefined : this.calls?.announced.get(toolCallId);
    const startMs = Math.min(announced?.atMs ?? stepStartMs, endMs);
    this.see(toolCallId);
    const span = this.open(toolName, toolCallId, args ?? announced?.args, { startMs });
    this.times.push({ name: toolName, startMs: span.startMs, endMs, accurate: false });
    const end = endOf(span, errorOrResult(result), endMs);
    end.attributes = { "fallom.timing": "approximate" };
    span.finish(end);
  }

  private hasSeen(callId: string): boolean {
    return this.calls?.seen.has(callId) === true;
  }

  /** The call has its span now. */
  private see(callId: string | undefined): void {
    if (callId === undefined) return;
    this.calls ??= new Calls();
    this.calls.seen.add(callId);
    this.calls.announced.delete(callId);
  }

  private open(
    name: string,
    callId: string | undefined,
    args: unknown,
    { startMs, inside }: { startMs?: number; inside?: Context | undefined },
  ): OpenSpan {
    const span = startSpan({
      session: this.session,
      name: `tool.${name}`,
      kind: "tool",
      parent: this.agent.context,
      inside,
      startMs,
    });
    const request = span.capture ? capture(args) : undefined;
    span.known = { method: "tool.execute", toolName: name, toolCallId: callId, request };
    return span;
  }
}

/** Mastra 0.24 gives a tool's error as its result. */
function errorOrResult(result: unknown): { result?: unknown; error?: unknown } {
  return result instanceof Error ? { error: result } : { result };
}

function endOf(span: OpenSpan, outcome: { result?: unknown; error?: unknown }, endMs: number): SpanEnd {
  const { result, error } = outcome;
  if (error === undefined) return { endMs, response: span.capture ? result : undefined };
  return { endMs, status: "ERROR", errorMessage: describeError(thrownBy(error), span.capture) };
}

/** Mastra 1.x wraps what the tool threw into an error of its own; the tool's error may have a cause of its own, too. */
function thrownBy(error: unknown): unknown {
  const isMastras = field(error, "domain") !== undefined && field(error, "category") !== undefined;
  return isMastras ? (field(error, "cause") ?? error) : error;
}

/** Whose a tool's execution is. */
interface ToolOwner {
  readonly tools: ToolSpans;
  lookForEnd(): void;
}

/** A run that gives Mastra tools, or hooks around them. */
export interface ToolRun {
  /** The run that they belong to by now: a resumed run may be given what its first call was. */
  goingOn(): ToolOwner;
}

/** Hooks of Mastra ≥ 1.50 around each tool's execution, the user's own included. */
export function toolHooks(run: ToolRun, users: { beforeToolCall?: unknown; afterToolCall?: unknown }) {
  /** By the context object, which both hooks of one execution are given. */
  let executions: Map<unknown, { tools: ToolSpans; execution: Execution }> | undefined;
  const ended = (context: unknown, outcome: { result?: unknown; error?: unknown }): void => {
    const started = executions?.get(context);
    if (started === undefined) return;
    executions?.delete(context);
    started.tools.finish(started.execution, outcome);
    if (outcome.result === undefined && outcome.error === undefined) run.goingOn().lookForEnd();
  };
  return {
    beforeToolCall(this: unknown, ...args: unknown[]): unknown {
      const { context, toolName, input } = hookCall(args[0]);
      quietly(() => {
        if (!isObject(context)) return;
        const { tools } = run.goingOn();
        const execution = tools.enter(String(toolName), callIdIn(context), input);
        executions ??= new Map();
        executions.set(context, { tools, execution });
      });
      if (typeof users.beforeToolCall !== "function") return undefined;
      const verdict = observed(
        () => Reflect.apply(users.beforeToolCall as () => unknown, this, args),
        (error) => ended(context, { error }),
      );
      // `proceed: false`: the tool does not run, and afterToolCall is not called.
      watch(verdict, (value) => {
        if (field(value, "proceed") === false) ended(context, { result: field(value, "output") });
      });
      return verdict;
    },
    afterToolCall(this: unknown, ...args: unknown[]): unknown {
      quietly(() => {
        const { context, output, error } = hookCall(args[0]);
        ended(context, { result: output, error });
      });
      if (typeof users.afterToolCall !== "function") return undefined;
      return Reflect.apply(users.afterToolCall as () => unknown, this, args);
    },
  };
}

/** What a hook is told of a tool's call. */
interface HookCall {
  readonly context?: unknown;
  readonly toolName?: unknown;
  readonly input?: unknown;
  readonly output?: unknown;
  readonly error?: unknown;
}

const HOOK_CALL = ["context", "toolName", "input", "output", "error"] as const satisfies (keyof HookCall)[];

function hookCall(call: unknown): HookCall {
  if (!isObject(call)) return {};
  try {
    const { context, toolName, input, output, error } = call;
    return { context, toolName, input, output, error };
  } catch {
    // One of them throws: that one is missing.
    return readable(call, HOOK_CALL);
  }
}

/** Calls the user's function and sees its throw go by. */
function observed(call: () => unknown, onThrow: (error: unknown) => void): unknown {
  try {
    const value = call();
    if (isPromise(value)) value.then(undefined, (error) => quietly(() => onThrow(error)));
    return value;
  } catch (error) {
    quietly(() => onThrow(error));
    throw error;
  }
}

/** Sees a value, or what a promise is fulfilled with, without getting in its way. */
function watch(value: unknown, see: (value: unknown) => void): void {
  const seen = (fulfilled: unknown): void => void quietly(() => see(fulfilled));
  if (isPromise(value)) value.then(seen, () => undefined);
  else seen(value);
}

/** Copies of tools, for one call, whose `execute` is traced; the tools themselves are not touched. */
export function tracedCopies(run: ToolRun, originals: unknown): Record<string, unknown> {
  const copies: Record<string, unknown> = {};
  for (const [name, tool] of Object.entries((originals ?? {}) as object)) {
    const execute = field(tool, "execute");
    copies[name] =
      typeof execute === "function" ? copyOf(run, name, tool as object, execute as () => unknown) : tool;
  }
  return copies;
}

function copyOf(run: ToolRun, name: string, tool: object, execute: () => unknown): object {
  const copy = Object.create(Object.getPrototypeOf(tool), Object.getOwnPropertyDescriptors(tool)) as object;
  const traced = (...args: unknown[]): unknown => {
    const call = (): unknown => Reflect.apply(execute, tool, args);
    const tools = quietly(() => run.goingOn().tools);
    const execution = quietly(() => tools?.start(name, callIdIn(args[1]), inputOf(args)));
    if (tools === undefined || execution === undefined) return call();
    const ended = (outcome: { result?: unknown; error?: unknown }): void =>
      void quietly(() => tools.finish(execution, outcome));
    try {
      const result = execution.span.run(call);
      if (isPromise(result)) {
        result.then(
          (value) => ended({ result: value }),
          (error) => ended({ error: error ?? new Error("the tool failed") }),
        );
      } else ended({ result });
      return result;
    } catch (error) {
      ended({ error: error ?? new Error("the tool failed") });
      throw error;
    }
  };
  return Object.defineProperty(copy, "execute", {
    value: traced,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

/** In a hook's context (1.x), or in a tool's second argument (0.24; in a 1.x without hooks, in the agent within it). */
function callIdIn(surroundings: unknown): string | undefined {
  const id = field(surroundings, "toolCallId") ?? field(field(surroundings, "agent"), "toolCallId");
  return typeof id === "string" ? id : undefined;
}

/** 0.24 hands a tool its input as `context`, beside its surroundings. */
function inputOf([first]: unknown[]): unknown {
  const surrounded = field(first, "context") !== undefined && field(first, "runtimeContext") !== undefined;
  return surrounded ? field(first, "context") : first;
}
