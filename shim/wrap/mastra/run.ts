import { now } from "../../clock";
import { current } from "../../context";
import type { SpanEnd } from "../../envelope";
import { describeError } from "../../error";
import { identityOf } from "../../identity";
import { abandonWith } from "../../open-spans";
import { promptHere, withoutPrompt } from "../../prompt-scope";
import { type OpenSpan, startSpan, type Witness } from "../../span";
import { messageTexts } from "./link";
import { LiveRuns } from "./live";
import type { Method } from "./methods";
import { type Callbacks, tracedArguments } from "./options";
import { pickUsage, sumUsage, type Told, toldBy, toolPart, type Usage, usageOf } from "./pick";
import { type Fields, field, isObject, isPromise, list, quietly, text } from "./read";
import { Report } from "./report";
import { recallSuspended, rememberSuspended, type SuspendedRun } from "./suspended";
import { ToolSpans } from "./tools";

/** A call of a traced method. */
export interface Call {
  session: object;
  agent: object;
  method: Method;
  original: (...args: unknown[]) => unknown;
  /** The prompt that the agent was wrapped with. */
  promptJson: string | undefined;
}

/** Chunks that are a model's first sign of life (Mastra's names, both lines). */
const FIRST_TOKENS = new Set([
  "text-delta",
  "reasoning-delta",
  "tool-call",
  "tool-call-input-streaming-start",
]);

/** Mastra 0.24 says so when `generate` ends without an answer because a tool waits for approval. */
const NO_ANSWER = /^promise '\w+' was not resolved or rejected/;

/** The error of a stream that tells none. */
const BROKE_OFF = new Error("the model's answer broke off");

/** The runs of this realm. */
const live = new LiveRuns((owner): owner is AgentRun => owner instanceof AgentRun);

/** Runs the method, traced. What it gives or throws is what the caller gets. */
export function traceCall(call: Call, args: unknown[]): unknown {
  const bare = (args: unknown[]): unknown => Reflect.apply(call.original, call.agent, args);
  const run = quietly(() => new AgentRun(call, args));
  if (run === undefined || !run.span.recording) return bare(args);
  const traced = (): unknown => {
    const ready = quietly(() => tracedArguments(run, args)) ?? args;
    return isPromise(ready)
      ? run.watch(() => ready.then(bare, () => bare(args)))
      : run.watch(() => bare(ready));
  };
  return withoutPrompt(() => run.span.run(traced));
}

/** One run of an agent, from its call to its end. */
export class AgentRun implements Witness {
  readonly span: OpenSpan;
  readonly tools: ToolSpans;
  private readonly report: Report;
  private readonly parent: AgentRun | undefined;
  /** The tool call of the parent that this run is, where it could be told only so. */
  private readonly asTool: OpenSpan | undefined;
  private readonly signal: unknown;
  private error: unknown;
  private stream: WeakRef<object> | undefined;
  private looking = false;
  /** What sub-agents used, for a network, whose own usage includes it. */
  private childUsage: Usage | undefined;

  constructor(
    readonly call: Call,
    args: unknown[],
  ) {
    const { session, agent, method } = call;
    const options = args[method.optionsAt];
    const name = text(field(agent, "name")) ?? text(field(agent, "id")) ?? "agent";
    const before = method.resumes ? suspendedBefore(text(field(options, "runId"))) : undefined;
    const { sessionId } = identityOf(session).context;
    const outer = before ? undefined : current(sessionId);
    this.parent = live.of(outer);
    this.asTool = this.parent?.tools.adopt(messageTexts(args[0])[0]);
    this.span = startSpan({
      session,
      name: `agent.${name}.${method.name}`,
      kind: "agent",
      parent: before ? { traceId: before.traceId, spanId: before.parentSpanId } : this.asTool?.context,
      streaming: method.gives !== "output",
    });
    const declined = before && method.declines ? declinedBy(options, before) : [];
    this.tools = new ToolSpans(session, this.span, before ? [...before.seen, ...declined] : []);
    this.report = new Report(this.span, agent, method, this.tools.times, args, options);
    this.signal = field(options, "abortSignal");
    if (!this.span.recording) return;
    live.keep(this);
    const known = this.report.begin(name, args[0]);
    known.insideAgent = live.isAround(outer);
    known.promptJson = call.promptJson ?? promptHere(sessionId) ?? before?.promptJson;
    this.span.known = known;
    // An object, and no function in a field: of those that close over what they belong to, V8 lets go only when it
    // collects all (Node 20 to 26; `garbage.test.mjs`), and would move each run that there ever was to the old generation.
    this.span.witness = this;
  }

  get runId(): string | undefined {
    return this.report.runId;
  }

  soFar(): SpanEnd {
    live.forget(this);
    return this.report.soFar();
  }

  /**
   * Calls the method and sees how it ends. A promise is followed by one of ours: to look at theirs would mark a
   * rejection that nobody handles as handled.
   */
  watch(call: () => unknown): unknown {
    let outcome: unknown;
    try {
      outcome = call();
    } catch (error) {
      quietly(() => this.failed(error));
      throw error;
    }
    if (isPromise(outcome)) {
      return outcome.then(
        (value) => {
          quietly(() => this.returned(value));
          return value;
        },
        (error) => {
          quietly(() => this.failed(error));
          throw error;
        },
      );
    }
    quietly(() => this.returned(outcome));
    return outcome;
  }

  /** Callbacks for the call's options. They, and nothing else, hold on to what ends a stream's span. */
  callbacks(): Callbacks {
    const held: { run: AgentRun } = { run: this };
    const onStepFinish = (step: unknown): void => held.run.stepEnded(step);
    const onChunk = (chunk: unknown): void => held.run.chunk(chunk);
    if (this.call.method.gives === "output") {
      // With tool hooks, the chunks of a `generate` tell nothing that its result does not.
      return "getConfiguredToolHooks" in this.call.agent ? { onStepFinish } : { onStepFinish, onChunk };
    }
    abandonWith(held, this.span);
    return {
      onStepFinish,
      onChunk,
      onFinish: (result) => held.run.succeeded(result),
      onError: (event) => held.run.errored(field(event, "error") ?? event),
      onAbort: (event) => held.run.aborted(event),
    };
  }

  /**
   * This run, or the one that has resumed it: Mastra 1.x calls the tool hooks of the first call even then, if it is in
   * the same process.
   */
  goingOn(): AgentRun {
    return live.has(this) ? this : (live.byId(this.runId) ?? this);
  }

  /**
   * Has the stream come to an end that no callback tells: suspended, when a call of a tool was asked for and does not
   * start; failed, when an error was told that might not have been the end?
   */
  lookForEnd(): void {
    if (this.looking || this.call.method.gives !== "stream") return;
    this.looking = true;
    const found = (): boolean => {
      const stream = this.stream?.deref();
      const status = field(stream, "status");
      if (status === "suspended") quietly(() => this.suspended());
      if (status === "failed") quietly(() => this.failed(this.error ?? field(stream, "error") ?? BROKE_OFF));
      return !live.has(this);
    };
    live.lookAgain(this, found, () => {
      this.looking = false;
    });
  }

  /** Waits for approval or data. What resumes it goes on in the same trace, and brings the usage of both. */
  suspended(result?: unknown): void {
    const { runId } = this.report;
    const { traceId, parentSpanId } = this.span;
    if (runId !== undefined && live.has(this)) {
      const { seen, waiting } = this.tools;
      const { promptJson } = this.span.known;
      rememberSuspended(runId, { traceId, parentSpanId, promptJson, seen, waiting });
    }
    this.finish({ ...(result as Fields | undefined), finishReason: "suspended" }, undefined);
  }

  private returned(value: unknown): void {
    const { gives } = this.call.method;
    if (gives === "output") {
      this.answered(value);
      return;
    }
    this.namedBy(value);
    if (isObject(value)) this.stream = new WeakRef(value);
    if (gives === "network") this.watchNetwork(value);
  }

  /** A `generate` has resolved. Suspended and aborted runs do so, too. */
  private answered(result: unknown): void {
    const told = toldBy(result);
    this.named(told.runId);
    const finishReason = text(told.finishReason);
    // 0.24 gives no reason for an aborted run.
    const cut = finishReason === undefined && field(this.signal, "aborted") === true && isObject(result);
    if (finishReason === "suspended") this.suspended(result);
    else if (cut) this.succeeded({ ...result, finishReason: "aborted" });
    else this.succeeded(result, told);
  }

  private chunk(chunk: unknown): void {
    this.namedBy(chunk);
    const { report } = this;
    const type = field(chunk, "type") ?? field(field(chunk, "chunk"), "type");
    if (report.firstTokenMs === undefined && FIRST_TOKENS.has(String(type))) report.firstTokenMs = now();
    if (type !== "tool-call") return;
    const part = toolPart(chunk);
    if (part !== undefined) this.tools.announce(part);
    this.lookForEnd();
  }

  private stepEnded(step: unknown): void {
    const { ended, startMs } = this.report.step(step);
    this.named(ended.told.runId);
    this.tools.settle(ended.told.toolResults, startMs, ended.endMs);
    // The end of a stream that failed: `onFinish` will not come, and on 0.24 not always `onError`.
    if (ended.told.finishReason === "error" && this.call.method.gives === "stream") {
      this.failed(this.error ?? BROKE_OFF);
    }
  }

  /** With fallback models, which a function may name, too, an error need not be the end; without, it is. */
  private errored(error: unknown): void {
    this.error = error;
    const model = field(this.call.agent, "model");
    if (Array.isArray(model) || typeof model === "function") this.lookForEnd();
    else this.failed(error);
  }

  private succeeded(result: unknown, told: Told = toldBy(result)): void {
    this.named(told.runId);
    this.finish(result, usageOf(told) ?? this.report.usageOfSteps, undefined, told);
  }

  private aborted(event: unknown): void {
    const steps = list(field(event, "steps"));
    const last = steps.at(-1);
    const answer = field(event, "text") ?? field(last, "text");
    const result = { text: answer, finishReason: "aborted", steps, response: field(last, "response") };
    this.finish(result, sumUsage(steps.map((step) => pickUsage(field(step, "usage")))));
  }

  private failed(error: unknown): void {
    if (NO_ANSWER.test(String(field(error, "message"))) && this.tools.waiting.length > 0) {
      this.suspended();
      return;
    }
    const { report, span } = this;
    // The request that failed stands in the provider's error: it tells the instructions.
    const request = { body: field(error, "requestBodyValues") };
    const result = { finishReason: "error", steps: report.steps.map(({ step }) => step), request };
    const errorMessage = describeError(error, span.capture);
    this.finish(result, report.usageOfSteps, { status: "ERROR", errorMessage });
  }

  /** A network runs by itself: its promises drive nothing, and nothing is read from its stream. */
  private watchNetwork(network: unknown): void {
    const promises = [field(network, "status"), field(network, "result"), field(network, "usage")];
    Promise.all(promises).then(
      ([status, result, usage]) => void quietly(() => this.networkEnded(status, result, usage)),
      (error) => void quietly(() => this.failed(error)),
    );
  }

  private networkEnded(status: unknown, result: unknown, usage: unknown): void {
    if (status === "suspended") {
      this.suspended();
    } else if (status === "failed") {
      this.failed(field(result, "error") ?? new Error("the network failed"));
    } else {
      const outcome = field(result, "result");
      const own = sumUsage([pickUsage(usage), this.childUsage], -1);
      this.finish({ text: field(outcome, "result"), finishReason: "stop", object: outcome }, own);
    }
  }

  /** Ends the span, and with it what is left of its tools. */
  private finish(
    result: unknown,
    usage: Usage | undefined,
    failure?: SpanEnd,
    told: Told = toldBy(result),
  ): void {
    if (!live.forget(this)) return;
    const endMs = now();
    this.settleUnseen(told, endMs);
    this.tools.end(endMs);
    const end = this.report.end(result, told, usage, endMs);
    this.span.finish(failure ? { ...end, ...failure, response: undefined } : end);
    if (usage && this.parent) this.parent.childUsage = sumUsage([this.parent.childUsage, usage]);
    if (this.asTool) this.parent?.tools.adoptedEnded(this.asTool, endMs);
  }

  /** Steps that no callback told of, and the results of calls that no step told of. */
  private settleUnseen({ steps: all, toolResults }: Told, endMs: number): void {
    const { tools, report } = this;
    const seen = report.steps.length;
    const steps = list(all);
    for (let i = seen; i < steps.length; i++)
      tools.settle(field(steps[i], "toolResults"), report.lastMs, endMs);
    if (seen === 0 && steps.length === 0) tools.settle(toolResults, report.lastMs, endMs);
  }

  /** Mastra gives a run its id when it likes; whatever carries it first, tells it. */
  private named(runId: unknown): void {
    this.report.runId ??= text(runId);
  }

  private namedBy(carrier: unknown): void {
    if (this.runId === undefined) this.named(field(carrier, "runId"));
  }
}

/** The run that a call resumes; its span is ended now, if nobody has noticed its suspension. */
function suspendedBefore(runId: string | undefined): SuspendedRun | undefined {
  const open = live.byId(runId);
  if (open?.call.method.gives === "stream") quietly(() => open.suspended());
  return recallSuspended(runId);
}

/** The tool calls that are declined: the one named, else all that wait. */
function declinedBy(options: unknown, { waiting }: SuspendedRun): string[] {
  const named = text(field(options, "toolCallId"));
  return named === undefined ? waiting : [named];
}
