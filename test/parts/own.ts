import { setTimeout as sleep } from "node:timers/promises";

const START_MS = 90_000;
/** A port may be taken while nobody listens on it. */
const START_ATTEMPTS = 3;

/** A server that this process may start and end at will, however that is done. */
export abstract class OwnPart {
  readonly own = true;
  #version = "";
  #kills = 0;
  #starting: Promise<unknown> = Promise.resolve();

  get version(): string {
    return this.#version;
  }

  /** Starts its processes. Rejects when one of them ends at once. */
  protected abstract launch(): Promise<void>;
  /** Resolves with its name and version once it answers, rejects while it does not. Takes some seconds at most. */
  protected abstract ask(): Promise<string>;
  /** False once it can answer no more. */
  protected abstract lives(): boolean;
  /** Resolves once no process of it is left. */
  protected abstract end(): Promise<void>;
  /** The end of what it has written. */
  protected abstract output(): Promise<string>;

  /** A start that is in motion rejects. */
  async kill(): Promise<void> {
    this.#kills += 1;
    await this.end();
    await this.#starting;
  }

  async start(): Promise<void> {
    const started = this.#start();
    this.#starting = started.catch(() => {});
    return started;
  }

  async #start(): Promise<void> {
    const kills = this.#kills;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.launch();
        this.#version = await this.#answer(kills);
        return;
      } catch (error) {
        await this.end();
        const output = await this.output();
        if (attempt < START_ATTEMPTS && kills === this.#kills && portTaken(output)) continue;
        throw new Error(`the part did not start; the end of what it wrote:\n${output}`, { cause: error });
      }
    }
  }

  async #answer(kills: number): Promise<string> {
    const deadline = Date.now() + START_MS;
    for (;;) {
      if (kills !== this.#kills) throw new Error("it was killed");
      if (!this.lives()) throw new Error("it has ended");
      try {
        return await this.ask();
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }
}

export function portTaken(output: string): boolean {
  return /eaddrinuse|address already in use|port is already allocated/i.test(output);
}
