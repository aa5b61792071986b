import type { Method } from "./methods";
import { type Fields, field, isObject, isPromise, quietly } from "./read";
import { type ToolOwner, toolHooks, tracedCopies } from "./tools";

/** A run, as far as its options are made here. */
interface Run {
  readonly call: { readonly method: Method; readonly agent: object };
  callbacks(): Record<string, (argument: unknown) => void>;
  /** The run that the tools belong to by now. */
  goingOn(): ToolOwner;
}

/** What must be asked of the agent before its options can be made. */
interface Asked {
  /** What the agent adds to a call's options. */
  defaults: unknown;
  /** The agent's tools, where they must be copied. */
  tools: unknown;
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
  const scope = scopeOf(options);
  const defaults = ask(agent, method.defaultsBy, scope);
  const tools = hasHooks(agent) ? undefined : ask(agent, ["getTools", "listTools"], scope);
  const build = (asked: Asked): unknown[] => {
    const next = [...args];
    next[method.optionsAt] = withOurs({ ...(options as Fields | undefined) }, run, options, asked);
    return next;
  };
  if (!isPromise(defaults) && !isPromise(tools)) return build({ defaults, tools });
  return Promise.allSettled([defaults, tools]).then(([defaults, tools]) =>
    build({ defaults: fulfilled(defaults), tools: fulfilled(tools) }),
  );
}

/** Tool hooks came with Mastra 1.50. */
function hasHooks(agent: object): boolean {
  return typeof field(agent, "getConfiguredToolHooks") === "function";
}

/** What the agent's answers may depend on. A key that is there but undefined would hide Mastra's own default. */
function scopeOf(options: unknown): Fields {
  const scope: Fields = {};
  for (const name of ["requestContext", "runtimeContext"]) {
    const value = field(options, name);
    if (value !== undefined) scope[name] = value;
  }
  return scope;
}

function ask(agent: object, methods: readonly string[], scope: Fields): unknown {
  const name = methods.find((name) => typeof field(agent, name) === "function");
  if (name === undefined) return undefined;
  // Each gets its own: a function of the user's may write into it.
  return quietly(() => (agent as Record<string, (scope: Fields) => unknown>)[name]?.({ ...scope }));
}

function fulfilled(settled: PromiseSettledResult<unknown> | undefined): unknown {
  return settled?.status === "fulfilled" ? settled.value : undefined;
}

/** Adds our callbacks and our eyes on the tools to a copy of the call's options. */
function withOurs(added: Fields, run: Run, options: unknown, { defaults, tools }: Asked): Fields {
  const users = (name: string): unknown => field(options, name) ?? field(defaults, name);
  const callbacks = run.callbacks();
  for (const name of Object.keys(callbacks)) {
    added[name] = chained(users(name), callbacks[name] as (argument: unknown) => void);
  }
  if (hasHooks(run.call.agent)) {
    added.hooks = toolHooks(() => run.goingOn(), hooksOf(run.call.agent, users("hooks")));
  } else {
    added.toolsets = toolsets(run, users("toolsets"), tools);
  }
  return added;
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
  const owner = () => run.goingOn();
  const given = Object.entries((isObject(users) ? users : {}) as Fields);
  const copies = given.map(([set, members]) => [set, tracedCopies(owner, members)] as const);
  return { fallom: tracedCopies(owner, tools), ...Object.fromEntries(copies) };
}

/** Ours first, and quietly; then the user's, whose value and throw are Mastra's to see. */
function chained(users: unknown, ours: (argument: unknown) => void): (...args: unknown[]) => unknown {
  return function (this: unknown, ...args: unknown[]): unknown {
    quietly(() => ours(args[0]));
    return typeof users === "function" ? Reflect.apply(users, this, args) : undefined;
  };
}
