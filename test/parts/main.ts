/** For people: `node test/parts/main.ts` starts a broker and a store, and ends them on Ctrl-C. */
import { once } from "node:events";
import { PartMissing } from "./part.ts";
import { startBrokerPart, startStorePart } from "./parts.ts";

const [broker, store] = await Promise.all([startBrokerPart(), startStorePart()]).catch((error: unknown) => {
  console.error(error instanceof PartMissing ? error.message : error);
  process.exit(1);
});
console.log(`${broker.version} at ${broker.url}, management at ${broker.managementUrl}
${store.version} at ${store.url}

For the tests:
export MILLRACE_TEST_BROKER_URL=${broker.url}
export MILLRACE_TEST_BROKER_MANAGEMENT_URL=${broker.managementUrl}
export MILLRACE_TEST_STORE_URL=${store.url}

They end, and their data with them, on Ctrl-C.`);

const alive = setInterval(() => {}, 60_000);
await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
clearInterval(alive);
await Promise.all([broker[Symbol.asyncDispose](), store[Symbol.asyncDispose]()]);
