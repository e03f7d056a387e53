import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { LoadOptions, Shape } from "./options.ts";
import type { Target } from "./target.ts";

/** Users of locustfile.py. */
const usersOf: Readonly<Record<Shape, readonly string[]>> = {
  event: ["EventUser"],
  batch: ["BatchUser"],
  cloudevents: ["CloudEventUser"],
  burst: ["EventUser"],
  mixed: ["EventUser", "BatchUser", "CloudEventUser"],
};
/** For users to learn what became of the events in their hands, once the test is stopped. */
const STOP_SECONDS = 120;

export interface Locust {
  /** Resolves once it has ended, to what is wrong with how it did. */
  readonly ended: Promise<string | undefined>;
  /** Stops the test in good order, and then Locust. */
  stop(): void;
  kill(): void;
}

export function startLocust(
  python: string,
  target: Pick<Target, "collectorUrl">,
  options: LoadOptions,
  run: { readonly id: string; readonly folder: string },
): Locust {
  const { shape, headless, users, spawnRate, time } = options;
  const page = ["--web-host", options.webHost, "--web-port", String(options.webPort)];
  const words = [
    ...["-m", "locust", "--locustfile", join(import.meta.dirname, "locustfile.py")],
    ...["--host", target.collectorUrl, "--users", String(users), "--spawn-rate", String(spawnRate)],
    ...(time === undefined ? [] : ["--run-time", time]),
    ...(headless ? ["--headless", "--only-summary"] : page),
    // What failed is told by the report.
    ...["--stop-timeout", String(STOP_SECONDS), "--exit-code-on-error", "0"],
    ...["--pause", String(options.pauseSeconds), "--batch-events", String(options.batchEvents)],
    ...["--usernames", String(options.usernames), "--metrics", String(options.metrics)],
    ...["--run-id", run.id, "--tally-folder", run.folder],
    ...usersOf[shape],
  ];
  const child = spawn(python, words, {
    // A Ctrl-C of the terminal is passed on by `stop`.
    detached: true,
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      PYTHONDONTWRITEBYTECODE: "1",
      ...(shape === "burst" ? { MILLRACE_LOAD_BURSTS: "1" } : {}),
    },
  });
  return {
    ended: endOf(child),
    stop: () => void child.kill("SIGTERM"),
    kill: () => void child.kill("SIGKILL"),
  };
}

async function endOf(child: ChildProcess): Promise<string | undefined> {
  return new Promise((done) => {
    child.once("error", (error) => done(`Locust could not be started: ${error.message}`));
    child.once("close", (code, signal) => {
      done(code === 0 ? undefined : `Locust has ended with ${code ?? signal}`);
    });
  });
}
