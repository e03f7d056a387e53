import { type Channel, type ChannelModel, type ConfirmChannel, connect } from "amqplib";
import type { Socket } from "node:net";
import { asMillraceError, MillraceError } from "../../errors.ts";
import type { Certificates } from "../../ports/certificates.ts";

/** Silence after which either side takes the other for dead, in seconds: twice or three times this, as RabbitMQ counts. */
const HEARTBEAT_SECONDS = 5;
/** Longest wait for a connection to open, or to close in good order, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2000;

/** An open connection, and the promise of its end. */
export interface Connection {
  readonly model: ChannelModel;
  /** Resolves to the reason once the connection is gone, or is of no more use. */
  readonly lost: Promise<Error>;
  /** A channel that takes the connection along when it ends: what was set up on it is of no use without. */
  channel(): Promise<Channel>;
  confirmChannel(): Promise<ConfirmChannel>;
  /** Gives the connection up. */
  lose(reason: Error): void;
  /** Closes the channels, so that all that was written to them is read, and then itself; at the latest after some seconds. */
  close(): Promise<void>;
}

/** Where RabbitMQ is. */
export interface Address {
  readonly url: string;
  /** For an `amqps:` URL; read anew for each connection, so that those are taken up that were renewed. */
  readonly certificates?: (() => Certificates) | undefined;
}

/** @param purpose - what RabbitMQ's management shows as the connection's name, such as `publish`. */
export async function openConnection(
  { url, certificates }: Address,
  purpose: string,
  timeoutMs: number = CONNECT_TIMEOUT_MS,
): Promise<Connection> {
  const at = new URL(url);
  if (!at.searchParams.has("heartbeat")) at.searchParams.set("heartbeat", String(HEARTBEAT_SECONDS));
  const model = await connect(at.href, {
    ...certificates?.(),
    noDelay: true,
    timeout: timeoutMs,
    clientProperties: { connection_name: `millrace ${purpose}` },
  });
  return new OpenConnection(model);
}

class OpenConnection implements Connection {
  readonly model: ChannelModel;
  readonly #lost = Promise.withResolvers<Error>();
  readonly #channels = new Set<Channel>();

  constructor(model: ChannelModel) {
    this.model = model;
    // Both from the first moment: an error that nobody listens to ends the process.
    model.on("error", (error: Error) => this.#lost.resolve(error));
    model.on("close", (error?: Error) => this.#lost.resolve(error ?? new Error("the connection was closed")));
    // A peer that is silent never answers the end of the stream: the socket would stay, and keep the process alive.
    void this.lost.then(() => setTimeout(() => socketOf(model).destroy(), CLOSE_TIMEOUT_MS).unref());
  }

  get lost(): Promise<Error> {
    return this.#lost.promise;
  }

  async channel(): Promise<Channel> {
    return this.#kept(await this.model.createChannel());
  }

  async confirmChannel(): Promise<ConfirmChannel> {
    return this.#kept(await this.model.createConfirmChannel());
  }

  lose(reason: Error): void {
    this.#lost.resolve(reason);
    this.model.close().catch(() => {});
  }

  async close(): Promise<void> {
    const socket = socketOf(this.model);
    const destroyed = new Promise((resolve) => socket.once("close", resolve));
    const timer = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS);
    const goodbye = async () => {
      // The close of a connection may overtake an acknowledgement on a channel, and undo it; that of the channel does not.
      await Promise.all(Array.from(this.#channels, (channel) => channel.close()));
      await this.model.close();
    };
    await Promise.race([goodbye().catch(() => {}), destroyed]);
    clearTimeout(timer);
    this.#lost.resolve(new Error("the connection was closed"));
    socket.destroy();
  }

  #kept<C extends Channel>(channel: C): C {
    this.#channels.add(channel);
    channel.on("error", (error: Error) => this.lose(error));
    channel.on("close", () => {
      this.#channels.delete(channel);
      this.lose(new Error("a channel was closed"));
    });
    return channel;
  }
}

/** amqplib has no way to end a connection whose peer does not answer, and does not name its socket in its types. */
function socketOf(model: ChannelModel): Socket {
  return (model.connection as unknown as { readonly stream: Socket }).stream;
}

/** Longest wait for the server's answer to a declaration or a question, in milliseconds: a queue without a leader gives none. */
const ANSWER_TIMEOUT_MS = 30_000;

/** Rejects when there is no answer in time; what was asked is left to itself. */
export async function answered<T>(answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`RabbitMQ did not answer within ${ANSWER_TIMEOUT_MS} ms`)),
    ANSWER_TIMEOUT_MS,
  );
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A driver's error as BROKER_UNAVAILABLE, with the server's own words. */
export function unavailable(thrown: unknown): MillraceError {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return unavailable(thrown.errors[0]);
  return asMillraceError(thrown, "BROKER_UNAVAILABLE");
}
