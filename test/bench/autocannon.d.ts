/** The part of autocannon that the benchmark uses; the package brings no types. */
declare module "autocannon" {
  interface Request {
    readonly body: string;
  }
  interface Options {
    readonly url: string;
    readonly method: "POST";
    readonly connections: number;
    readonly pipelining: number;
    /** In seconds. */
    readonly duration: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly requests: readonly Request[];
  }
  interface Result {
    /** Measured, in seconds. */
    readonly duration: number;
    readonly errors: number;
    readonly non2xx: number;
    readonly "2xx": number;
    readonly statusCodeStats: Readonly<Record<string, { readonly count: number }>>;
    /** In milliseconds. */
    readonly latency: { readonly p50: number; readonly p99: number };
  }
  export default function autocannon(options: Options): Promise<Result>;
}
