import type { Method } from "./methods";
import { type Fields, field, isObject, isPromise, quietly } from "./read";
import { type ToolRun, toolHooks, tracedCopies } from "./tools";

/** A run, as far as its options are made here. */
interface Run extends ToolRun {
  readonly call: { readonly method: Method; readonly agent: object };
  callbacks(): Callbacks;
}

type Callback = (argument: unknown) => void;

/** Those that Mastra calls as a run goes on. What is added here, `withOurs` must chain. */
export interface Callbacks {
  readonly onStepFinish: Callback;
  readonly onChunk?: Callback;
  readonly onFinish?: Callback;
  readonly onError?: Callback;
  readonly onAbort?: Callback;
}

/**
 * The arguments of the call with our callbacks in its options, chained before the user's own: a callback given with
 * a call replaces the default one, so that is chained, too. A promise where the agent's answers are.
 */
export function tracedArguments(run: Run, args: unknown[]): unknown[] | PromiseLike<unknown[]> {
  const { method, agent } = run.call;
  const options = args[method.optionsAt];
  // A network takes no callbacks; what is no object is Mastra's to refuse.
  if (method.plain || method.gives === "network" || (options !== undefined && !isObject(options)))
    return args;
  const defaults = ask(agent, method.defaultsBy, options);
  const tools = hasHooks(agent) ? undefined : ask(agent, TOOLS, options);
  if (!isPromise(defaults) && !isPromise(tools)) return withOurs(run, args, defaults, tools);
  return Promise.allSettled([defaults, tools]).then(([defaults, tools]) =>
    withOurs(run, args, fulfilled(defaults), fulfilled(tools)),
  );
}

/** What gives the agent's tools, by Mastra's line. */
const TOOLS = ["getTools", "listTools"] as const;

/** Tool hooks came with Mastra 1.50. */
function hasHooks(agent: object): boolean {
  return typeof hooksGetter(agent) === "function";
}

function hooksGetter(agent: object): unknown {
  try {
    return (agent as { getConfiguredToolHooks?: unknown }).getConfiguredToolHooks;
  } catch {
    return undefined;
  }
}

/**
 * What the agent's answers may depend on; for each a scope of its own, since a function of the user's may write into it.
 * A key that is there but undefined would hide Mastra's own default.
 */
function scopeOf(options: unknown): Fields {
  if (options === undefined) return {};
  const requestContext = field(options, "requestContext");
  const runtimeContext = field(options, "runtimeContext");
  return {
    ...(requestContext !== undefined && { requestContext }),
    ...(runtimeContext !== undefined && { runtimeContext }),
  };
}

/** What the first of the methods that the agent has gives; nothing, if it throws. */
function ask(agent: object, methods: readonly string[], options: unknown): unknown {
  for (let i = 0; i < methods.length; i++) {
    const method = field(agent, methods[i] as string);
    if (typeof method === "function") return quietly(() => Reflect.apply(method, agent, [scopeOf(options)]));
  }
  return undefined;
}

function fulfilled(settled: PromiseSettledResult<unknown> | undefined): unknown {
  return settled?.status === "fulfilled" ? settled.value : undefined;
}

/**
 * The arguments, with a copy of the options that has our callbacks and our eyes on the tools.
 *
 * @param defaults what the agent adds to a call's options
 * @param tools the agent's, where they must be copied
 */
function withOurs(run: Run, args: readonly unknown[], defaults: unknown, tools: unknown): unknown[] {
  const { method, agent } = run.call;
  const options = args[method.optionsAt];
  const added: Fields = { ...(options as Fields | undefined) };
  const { onStepFinish, onChunk, onFinish, onError, onAbort } = run.callbacks();
  // By its name, each is read several times as fast as by one that varies.
  const around = (ours: Callback, read: (options: Fields) => unknown) =>
    chained(optionIn(options, read) ?? optionIn(defaults, read), ours);
  added.onStepFinish = around(onStepFinish, (options) => options.onStepFinish);
  if (onChunk) added.onChunk = around(onChunk, (options) => options.onChunk);
  if (onFinish) added.onFinish = around(onFinish, (options) => options.onFinish);
  if (onError) added.onError = around(onError, (options) => options.onError);
  if (onAbort) added.onAbort = around(onAbort, (options) => options.onAbort);
  if (hasHooks(agent)) {
    added.hooks = toolHooks(run, hooksOf(agent, field(options, "hooks") ?? field(defaults, "hooks")));
  } else {
    added.toolsets = toolsets(run, field(options, "toolsets") ?? field(defaults, "toolsets"), tools);
  }
  const next = [...args];
  next[method.optionsAt] = added;
  return next;
}

/** The one that `read` reads, if these are options and it does not throw. */
function optionIn(options: unknown, read: (options: Fields) => unknown): unknown {
  try {
    return isObject(options) ? read(options) : undefined;
  } catch {
    return undefined;
  }
}

/** Those of the call over those that the agent was made with, field by field, as Mastra merges them. */
function hooksOf(agent: object, users: unknown): Fields {
  const { getConfiguredToolHooks } = agent as { getConfiguredToolHooks?: () => unknown };
  const configured = quietly(() => getConfiguredToolHooks?.call(agent));
  return {
    beforeToolCall: field(users, "beforeToolCall") ?? field(configured, "beforeToolCall"),
    afterToolCall: field(users, "afterToolCall") ?? field(configured, "afterToolCall"),
  };
}

/** Same-named copies take the place of the agent's own tools; the user's toolsets come after, as they would. */
function toolsets(run: Run, users: unknown, tools: unknown): Fields {
  const given = Object.entries((isObject(users) ? users : {}) as Fields);
  const copies = given.map(([set, members]) => [set, tracedCopies(run, members)] as const);
  return { fallom: tracedCopies(run, tools), ...Object.fromEntries(copies) };
}

/** Ours first, and quietly; then the user's, whose value and throw are Mastra's to see. */
function chained(users: unknown, ours: (argument: unknown) => void): (...args: unknown[]) => unknown {
  return function (this: unknown, ...args: unknown[]): unknown {
    try {
      ours(args[0]);
    } catch {
      // As `quietly`, without a function of its own.
    }
    return typeof users === "function" ? Reflect.apply(users, this, args) : undefined;
  };
}
