// What `helm test` runs: posts an event through the collector's Service, and waits until the query API counts it once.
const { COLLECTOR, QUERY, KEY } = process.env;
const username = "helm-test";
const metric = "helm_test";
const DEADLINE = Date.now() + 60_000;
const authorization = KEY ? { authorization: `Bearer ${KEY}` } : {};
/** One that does not answer is asked again. */
const patience = () => AbortSignal.timeout(10_000);
const pause = () => new Promise((done) => setTimeout(done, 500));

async function count() {
  const answer = await fetch(`${QUERY}/metrics/hourly_logs/per_user?username=${username}&metric=${metric}`, {
    signal: patience(),
    headers: authorization,
  });
  if (!answer.ok) throw new Error(`the query API answered ${answer.status}: ${await answer.text()}`);
  const [row] = await answer.json();
  return row?.count ?? 0;
}

async function tried(what, step) {
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (Date.now() > DEADLINE)
        throw new Error(`${what} failed for a minute: ${error.message}`, { cause: error });
      console.log(`${what}: ${error.message}; once more`);
      await pause();
    }
  }
}

const before = await tried("reading", count);
const id = crypto.randomUUID();
await tried("posting", async () => {
  const answer = await fetch(`${COLLECTOR}/event`, {
    method: "POST",
    signal: patience(),
    headers: { "content-type": "application/json", ...authorization },
    body: JSON.stringify({ id, username, metric, count: 1 }),
  });
  if (!answer.ok) throw new Error(`the collector answered ${answer.status}: ${await answer.text()}`);
});
const counted = await tried("counting", async () => {
  const more = (await count()) - before;
  if (more < 1) throw new Error("the event is not counted yet");
  return more;
});
if (counted > 1)
  throw new Error(`${counted} events were counted: event ${id} twice, or another run beside this one`);
console.log(`event ${id} was acknowledged, stored and counted`);
