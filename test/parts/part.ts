/** A server that the tests run against. */
export interface Part extends AsyncDisposable {
  /** Such as "RabbitMQ 4.0.5", or "FerretDB 2.7.0 (MongoDB wire 21, as 7.0.77)"; asked of the server itself. */
  readonly version: string;
  /** With the name and the password, where there are any. */
  readonly url: string;
  /** False for a server that this run did not start: it cannot be killed, and disposal leaves it be. */
  readonly own: boolean;
  /** Those of its processes that run. */
  readonly pids: readonly number[];
  /** Ends every process of it with SIGKILL. */
  kill(): Promise<void>;
  /** After `kill` or `stop`, on the same data and ports. Resolves once it answers. */
  start(): Promise<void>;
  /** Lets it end by itself. Resolves once no process of it is left. */
  stop(): Promise<void>;
  /** Stops every process of it with SIGSTOP, so that its connections stay open and nothing is answered. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** A part whose files this process can read. */
export interface Filed {
  /** Of all that the part has written: its data, and what it prints. */
  readonly folder: string;
  /** What a line of shell prints, run beside the server with the programs that administer it. Rejects when it fails. */
  shell(script: string): Promise<string>;
}

export interface BrokerPart extends Part {
  /** With the name and the password. */
  readonly managementUrl: string;
  /** What rabbitmqctl answers to the words. Rejects with what it wrote when it fails. */
  ctl(...words: string[]): Promise<string>;
  /** Undefined for one in a container, and for one that this run did not start. */
  readonly files?: Filed;
}

export interface StorePart extends Part {
  /** The same; where it is there, it is FerretDB on PostgreSQL. */
  readonly files?: Filed;
}

/** A part cannot be had on this machine: the message says why, and what would help. */
export class PartMissing extends Error {
  override readonly name = "PartMissing";
}
