import { Agent, get } from "node:http";

/** What the query API of a standalone answers, read to the last page, with `_id` taken apart. */
export interface SummaryRow {
  readonly minimum: number;
  readonly maximum: number;
  readonly average: number;
  readonly count: number;
}
export interface MetricRow extends SummaryRow {
  readonly metric: string;
}
export interface UserRow extends MetricRow {
  readonly username: string;
}
export interface DayRow {
  readonly metric: string;
  readonly day: string;
  readonly count: number;
}
export interface AccountRow {
  readonly username: string;
  readonly firstSeen: string;
}

/** Rows of a page; a query process may allow more. */
const PAGE_ROWS = 1000;

export async function hourlyTotals(queryUrl: string): Promise<readonly MetricRow[]> {
  const found: MetricRow[] = [];
  for await (const { _id: metric, ...summary } of rows<WithId<string, SummaryRow>>(
    `${queryUrl}/metrics/hourly_logs/total`,
  )) {
    found.push({ metric, ...summary });
  }
  return found;
}
export async function* hourlyPerUser(queryUrl: string, pageRows = PAGE_ROWS): AsyncGenerator<UserRow> {
  const url = `${queryUrl}/metrics/hourly_logs/per_user?limit=${pageRows}`;
  for await (const { _id: of, ...summary } of rows<WithId<{ username: string; metric: string }, SummaryRow>>(
    url,
  )) {
    yield { ...of, ...summary };
  }
}
export async function distinctNames(queryUrl: string): Promise<readonly DayRow[]> {
  const url = `${queryUrl}/metrics/distinct_names?granularity=day&limit=${PAGE_ROWS}`;
  const found: DayRow[] = [];
  for await (const { _id: of, count } of rows<WithId<{ metric: string; day: string }, { count: number }>>(
    url,
  )) {
    found.push({ ...of, count });
  }
  return found;
}
export function accounts(queryUrl: string, pageRows = PAGE_ROWS): AsyncGenerator<AccountRow> {
  return rows<AccountRow>(`${queryUrl}/accounts?limit=${pageRows}`);
}

type WithId<Id, Rest> = { readonly _id: Id } & Rest;

export function eventsIn(counted: readonly { readonly count: number }[]): number {
  return counted.reduce((sum, row) => sum + row.count, 0);
}

/** Follows `Link: <url>; rel="next"`. */
async function* rows<Row>(first: string): AsyncGenerator<Row> {
  let url: string | undefined = first;
  while (url !== undefined) {
    const page: Page = await read(url);
    yield* page.rows as readonly Row[];
    url = page.next === undefined ? undefined : new URL(page.next, url).href;
  }
}

interface Page {
  readonly rows: readonly unknown[];
  readonly next: string | undefined;
}

/** Pages come one after the other; the server, not the pool, closes what is idle. */
const agent = new Agent({ keepAlive: true, maxSockets: 2 });
/** A server that was just started may still be busy with what the last one left. */
const ANSWER_MS = 60_000;

async function read(url: string): Promise<Page> {
  return new Promise((done, fail) => {
    const request = get(url, { agent, timeout: ANSWER_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", fail);
      response.once("end", () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode !== 200) {
          fail(new Error(`${url} answered ${response.statusCode}: ${text.slice(0, 500)}`));
          return;
        }
        const link = [response.headers["link"] ?? []].flat().join(", ");
        try {
          done({ rows: JSON.parse(text) as unknown[], next: /<([^>]+)>;\s*rel="next"/.exec(link)?.[1] });
        } catch (error) {
          fail(new Error(`${url} did not answer JSON`, { cause: error }));
        }
      });
    });
    request.once("timeout", () => request.destroy(new Error(`${url} did not answer in time`)));
    request.once("error", fail);
  });
}
