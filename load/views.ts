import { setTimeout as sleep } from "node:timers/promises";
import { KITE_CALL, KODINGBOT } from "./tally.ts";

export interface Summary {
  readonly minimum: number;
  readonly maximum: number;
  readonly average: number;
  readonly count: number;
}
export interface TotalRow extends Summary {
  readonly metric: string;
}
export interface UserRow extends TotalRow {
  readonly username: string;
}
export interface DayRow {
  readonly metric: string;
  readonly day: string;
  readonly count: number;
}
export interface Account {
  readonly username: string;
  readonly firstSeen: string;
}

/** Of kodingbot and kite_call, before the run. */
export interface Baseline {
  readonly hourly: number;
  readonly days: ReadonlyMap<string, number>;
  readonly firstSeen: string | undefined;
}

type WithId<Id, Rest> = { readonly _id: Id } & Rest;

const ANSWER_MS = 60_000;
/** A query process that is asked while its store is busy answers 503. */
const ATTEMPTS = 5;
const AGAIN_MS = 1000;
const SETTLE_ATTEMPTS = 30;

/** The query API of an install, each view read to its last page. */
export class Views {
  readonly #queryUrl: string;

  constructor(queryUrl: string) {
    this.#queryUrl = queryUrl;
  }

  async totals(): Promise<readonly TotalRow[]> {
    const rows = await this.#all<WithId<string, Summary>>("/metrics/hourly_logs/total", {});
    return rows.map(({ _id: metric, ...summary }) => ({ metric, ...summary }));
  }
  async perUser(of: { readonly metric?: string; readonly username?: string }): Promise<readonly UserRow[]> {
    const path = "/metrics/hourly_logs/per_user";
    const rows = await this.#all<WithId<{ username: string; metric: string }, Summary>>(path, of);
    return rows.map(({ _id: names, ...summary }) => ({ ...names, ...summary }));
  }
  /** Both days included. */
  async days(from: string, to: string): Promise<readonly DayRow[]> {
    const parameters = { granularity: "day", from, to };
    const path = "/metrics/distinct_names";
    const rows = await this.#all<WithId<{ metric: string; day: string }, { count: number }>>(
      path,
      parameters,
    );
    return rows.map(({ _id: of, count }) => ({ ...of, count }));
  }
  async accounts(since: string): Promise<readonly Account[]> {
    return this.#all<Account>("/accounts", { since });
  }
  /** Undefined where it was never seen. */
  async account(username: string): Promise<Account | undefined> {
    const answer = await this.#ask(`/accounts/${encodeURIComponent(username)}`);
    return answer.status === 404 ? undefined : (JSON.parse(answer.text) as Account);
  }

  /** Read until it is the same twice: the workers may still have some of what was sent before. */
  async baseline(fromDay: string): Promise<Baseline> {
    let last = await this.#baseline(fromDay);
    for (let attempt = 1; attempt < SETTLE_ATTEMPTS; attempt += 1) {
      await sleep(AGAIN_MS);
      const next = await this.#baseline(fromDay);
      const same =
        JSON.stringify([next.hourly, ...next.days]) === JSON.stringify([last.hourly, ...last.days]);
      if (same) return next;
      last = next;
    }
    throw new Error(
      `others send events of ${KODINGBOT} to this install: what is counted cannot be told apart`,
    );
  }

  async #baseline(fromDay: string): Promise<Baseline> {
    const [row] = await this.perUser({ username: KODINGBOT, metric: KITE_CALL });
    const days = (await this.days(fromDay, fromDay)).filter(({ metric }) => metric === KITE_CALL);
    return {
      hourly: row?.count ?? 0,
      days: new Map(days.map(({ day, count }) => [day, count])),
      firstSeen: (await this.account(KODINGBOT))?.firstSeen,
    };
  }

  /** Follows `Link: <url>; rel="next"`. */
  async #all<Row>(path: string, parameters: Readonly<Record<string, string>>): Promise<readonly Row[]> {
    const found: Row[] = [];
    const query = new URLSearchParams(parameters).toString();
    let next: string | undefined = query === "" ? path : `${path}?${query}`;
    while (next !== undefined) {
      const answer = await this.#ask(next);
      for (const row of JSON.parse(answer.text) as readonly Row[]) found.push(row);
      next = /<([^>]+)>;\s*rel="next"/.exec(answer.link)?.[1];
    }
    return found;
  }

  async #ask(
    path: string,
  ): Promise<{ readonly status: number; readonly text: string; readonly link: string }> {
    const url = `${this.#queryUrl}${path}`;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) }).catch(
        (error: unknown) => error,
      );
      if (answer instanceof Response) {
        const { status, headers } = answer;
        const text = await answer.text();
        if (status === 200 || status === 404) return { status, text, link: headers.get("link") ?? "" };
        if (status !== 503 || attempt === ATTEMPTS) {
          throw new Error(`${url} answers ${status}: ${text.slice(0, 300)}`);
        }
      } else if (attempt === ATTEMPTS) {
        throw new Error(`${url} does not answer`, { cause: answer });
      }
      await sleep(AGAIN_MS);
    }
  }
}
