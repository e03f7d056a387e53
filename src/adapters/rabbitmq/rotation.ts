import type { Channel, GetMessage } from "amqplib";
import type { Message } from "../../domain/envelope.ts";
import { ERASED_REASON, type Erased, formsOf, holdsName, withoutUser } from "../../domain/erasure.ts";
import type { ProjectionName } from "../../domain/projection.ts";
import type { DeadLetter } from "../../ports/broker.ts";
import type { IsBegun } from "../../ports/erasure.ts";
import { answered } from "./connection.ts";
import { attemptOf, deadHeaders, deadLetterOf, messageOf, retryHeaders } from "./message.ts";
import type { ConfirmingPublisher } from "./publisher.ts";
import { DEFAULT_EXCHANGE } from "./topology.ts";

/** What is to be erased, and what has been. */
export interface Rewriting {
  readonly username: string;
  readonly isBegun: IsBegun;
  readonly erased: Record<keyof Erased, number>;
  /** Queues and ids of messages that must be applied as they are. */
  readonly begun: Set<string>;
  /** The same of messages of a later version that hold the name. */
  readonly tooNew: Set<string>;
}
export interface RotationParts {
  readonly channel: Channel;
  readonly publisher: ConfirmingPublisher;
  readonly rewriting: Rewriting;
  /** Whose messages, or dead letters. */
  readonly queue: ProjectionName;
}
/** What a message is to be in its queue from now on. */
interface Kept {
  readonly message: Message;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Messages that are out of the queue at a time, and about how many bytes of them. */
const MAX_TAKEN = 32;
const MAX_TAKEN_BYTES = 4 * 1024 * 1024;

/**
 * Of a queue nothing but its head can be seen. So each message that is there is published again at the end of its queue, with its
 * id and its attempts and without the user's events, and taken away once that is confirmed. A crash in between leaves two of one
 * id, which are counted once; what it left out of the queue is put back by RabbitMQ.
 */
export class Rotation {
  readonly name: string;
  readonly #parts: RotationParts;
  readonly #forms: readonly string[];
  /** Whether what is left in it holds the name. */
  holds = false;

  constructor(parts: RotationParts, name: string) {
    this.#parts = parts;
    this.#forms = formsOf(parts.rewriting.username);
    this.name = name;
  }

  /** Goes through all that is there now. */
  async run(): Promise<void> {
    const { channel } = this.#parts;
    const { messageCount } = await answered(channel.checkQueue(this.name));
    let fresh = 0;
    for (;;) {
      const some: GetMessage[] = [];
      let bytes = 0;
      while (fresh < messageCount && some.length < MAX_TAKEN && bytes < MAX_TAKEN_BYTES) {
        const found = await answered(channel.get(this.name));
        if (found === false) break;
        // One that somebody has put back meanwhile was not counted, and has come in before those that were.
        if (!found.fields.redelivered) fresh += 1;
        bytes += found.content.length;
        some.push(found);
      }
      if (some.length === 0) return;
      await this.#move(some);
    }
  }

  /** Goes through what others have had in hand meanwhile and put back, which is at the head. Resolves to how many. */
  async runReturned(): Promise<number> {
    for (let returned = 0; ; returned += 1) {
      const found = await answered(this.#parts.channel.get(this.name));
      if (found === false) return returned;
      await this.#move([found]);
      if (!found.fields.redelivered) return returned;
    }
  }

  /** In their order. */
  async #move(some: readonly GetMessage[]): Promise<void> {
    const moves: (Kept & { readonly found: GetMessage })[] = [];
    const dropped: GetMessage[] = [];
    for (const found of some) {
      const kept = await this.#keptOf(found);
      if (kept === undefined) dropped.push(found);
      else moves.push({ ...kept, found });
    }
    const { channel, publisher } = this.#parts;
    for (const found of dropped) channel.ack(found);
    await Promise.all(
      moves.map(async ({ found, message, headers }) => {
        await publisher.publish(message, { exchange: DEFAULT_EXCHANGE, routingKey: this.name, headers });
        channel.ack(found);
      }),
    );
  }

  async #keptOf(found: GetMessage): Promise<Kept | undefined> {
    const { queue } = this.#parts;
    const isDead = this.name !== queue;
    const letter = isDead ? this.#withoutReason(deadLetterOf(queue, found)) : undefined;
    const message = await this.#withoutUser(letter?.message ?? messageOf(found), isDead);
    if (message === undefined) return undefined;
    this.holds ||= [message.id, message.contentType, letter?.reason ?? "", textOf(message, this.#forms)].some(
      (text) => this.#isName(text),
    );
    const headers =
      letter === undefined
        ? retryHeaders(attemptOf(found) - 1)
        : deadHeaders(letter.reason, letter.attempts, letter.deadAtMs);
    return { message, headers };
  }

  #withoutReason(letter: DeadLetter): DeadLetter {
    if (letter.reason === ERASED_REASON || !this.#isName(letter.reason)) return letter;
    this.#parts.rewriting.erased.deadLetters += 1;
    return { ...letter, reason: ERASED_REASON };
  }

  async #withoutUser(message: Message, isDead: boolean): Promise<Message | undefined> {
    const { rewriting, queue } = this.#parts;
    const { username, isBegun, erased } = rewriting;
    const without = withoutUser(message, username);
    if (without.kind === "as it was") return this.#withoutState(message);
    if (without.kind === "too new") {
      rewriting.tooNew.add(`${this.name} ${message.id}`);
      return this.#withoutState(message);
    }
    if (without.kind === "unreadable") {
      erased.unreadable += 1;
      return undefined;
    }
    const { taken, left } = without;
    if (await isBegun(queue, { id: message.id, events: taken + left })) {
      rewriting.begun.add(`${this.name} ${message.id}`);
      return message;
    }
    erased.events += taken;
    if (left > 0) return this.#withoutState(without.message);
    // Whoever applies nothing of it has counted nothing of it.
    if (isDead) erased.deadLetters += 1;
    return undefined;
  }

  #withoutState(message: Message): Message {
    const { trace } = message;
    if (trace?.tracestate === undefined || !this.#isName(trace.tracestate)) return message;
    return { ...message, trace: { ...trace, tracestate: undefined } };
  }

  #isName(text: string): boolean {
    return this.#forms.some((form) => holdsName(text, form));
  }
}

/** Empty where none of these is anywhere in the bytes: most bodies need not be decoded. */
function textOf({ body }: Message, forms: readonly string[]): string {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return forms.some((form) => bytes.includes(form)) ? new TextDecoder().decode(bytes) : "";
}
