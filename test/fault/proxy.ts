import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Near is whoever connected to the proxy; far is where the proxy forwards to. */
export type Side = "near" | "far";

interface Pair {
  readonly near: Socket;
  /** Undefined until there is one: while the proxy stalls it dials nobody. */
  far: Socket | undefined;
  /** Half-closed: nothing passes any more, and the end of one side no longer ends the other. */
  severed: boolean;
}

/** A TCP proxy on 127.0.0.1 that can break the connections which go through it. */
export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** Connections that pass bytes, or would but for a stall. */
  readonly connections: number;
  /** Resets all connections, on both sides. Resolves to how many. */
  cut(): number;
  /** Until `flow`: new connections are accepted and reset at once. Those that are open stay. */
  refuse(): void;
  /** Until `flow`: passes no byte and no end, in neither direction. Connections stay open; new ones are accepted. */
  stall(): void;
  /** Ends `stall` and `refuse`. What was held back passes now. */
  flow(): void;
  /**
   * Tells one side of every connection that the other has finished (a FIN); the other side is told nothing, and hears nothing
   * any more. What either still sends is thrown away. Such a connection ends with its own ends. Resolves to how many.
   */
  halfClose(side: Side): number;
}

/** Listens on a free port and forwards to one of this machine. */
export async function startProxy(toPort: number): Promise<Proxy> {
  // Nothing is read before it is known where it goes, and each direction ends by itself.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return new TcpProxy(server, toPort);
}

class TcpProxy implements Proxy {
  readonly port: number;
  readonly #server: Server;
  readonly #toPort: number;
  readonly #pairs = new Set<Pair>();
  #state: "flowing" | "stalled" | "refusing" = "flowing";

  constructor(server: Server, toPort: number) {
    this.#server = server;
    this.#toPort = toPort;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (near) => this.#accept(near));
  }

  get connections(): number {
    return this.#whole().length;
  }

  cut(): number {
    const whole = this.#whole();
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far?.resetAndDestroy();
    }
    return whole.length;
  }

  refuse(): void {
    this.#state = "refusing";
  }

  stall(): void {
    this.#state = "stalled";
    for (const { near, far } of this.#whole()) {
      if (far === undefined) continue;
      near.unpipe(far);
      far.unpipe(near);
    }
  }

  flow(): void {
    const stalled = this.#state === "stalled";
    this.#state = "flowing";
    if (stalled) for (const pair of this.#whole()) this.#join(pair);
  }

  halfClose(side: Side): number {
    const whole = this.#whole();
    for (const pair of whole) {
      const { near } = pair;
      pair.severed = true;
      // Dialled all the same: the far side, too, must be there to be left alone.
      const far = pair.far ?? this.#dial(pair);
      near.unpipe(far);
      far.unpipe(near);
      for (const end of [near, far]) {
        end.resume();
        end.once("end", () => end.end());
      }
      (side === "near" ? near : far).end();
    }
    return whole.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server.close(), "close");
    this.cut();
    await closed;
  }

  #whole(): readonly Pair[] {
    return Array.from(this.#pairs).filter(({ severed }) => !severed);
  }

  #accept(near: Socket): void {
    if (this.#state === "refusing") {
      // A reset is an error of the socket, also to the side that sends it.
      near.on("error", () => {});
      near.resetAndDestroy();
      return;
    }
    const pair: Pair = { near, far: undefined, severed: false };
    this.#pairs.add(pair);
    this.#watch(pair, "near", near);
    if (this.#state === "flowing") this.#join(pair);
  }

  #join(pair: Pair): void {
    const far = pair.far ?? this.#dial(pair);
    pair.near.pipe(far);
    far.pipe(pair.near);
  }

  #dial(pair: Pair): Socket {
    const far = connect({ port: this.#toPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    pair.far = far;
    this.#watch(pair, "far", far);
    return far;
  }

  /** A side that fails takes the other along; one that ends in good order has passed its end on by the pipe. */
  #watch(pair: Pair, side: Side, socket: Socket): void {
    socket.on("error", () => {});
    socket.once("close", (failed) => {
      const other = side === "near" ? pair.far : pair.near;
      if (!pair.severed && failed) other?.resetAndDestroy();
      const ended = (one: Socket | undefined): boolean => one === undefined || one.destroyed;
      if (ended(pair.near) && ended(pair.far)) this.#pairs.delete(pair);
    });
  }
}
