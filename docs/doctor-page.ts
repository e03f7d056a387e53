import { checkTable } from "../src/domain/diagnosis.ts";
import { page, table } from "./page.ts";

const example = `ok       settings            other than by default: MILLRACE_BROKER_URL=*** MILLRACE_STORE_URL=***
ok       heap                node 24.21.0, a heap of at most 4.2 GiB, no limit of the container
ok       open files          at most 20000 at a time
ok       broker              amqp://rabbitmq:5672: RabbitMQ 4.0.5, virtual host '/', connected in 53 ms
fault    broker permissions  user millrace may not do all that is needed
         fault: it may not write amq.default
         what to do: rabbitmqctl set_permissions -p / millrace '^(metric-collector.*|(accountName|distinctName|hourlyLog)(\\..*)?)$' '^(amq\\.default|metric-collector.*|(accountName|distinctName|hourlyLog)(\\..*)?)$' '^(metric-collector.*|(accountName|distinctName|hourlyLog)(\\..*)?)$'
ok       broker topology     17 of 17 exchanges and queues
ok       broker management   http://rabbitmq:15672: version 4.0.5
ok       broker nodes        rabbit@rabbitmq: 59.2 MiB of memory in use, 63.7 GiB of disk free
fault    broker queues       accountName: 0 ready, 0 to be retried, 2 consumers; distinctName: 0 ready, 0 to be retried, 2 consumers; hourlyLog: 1 ready, 0 to be retried, 0 consumers
         fault: 1 messages wait in hourlyLog, and nobody takes them
         what to do: start \`millrace worker hourlyLog\`; if one runs, its /readyz tells why it does not consume
ok       store               mongodb://mongo:27017, database 'millrace': wire version 21, answered in 24 ms
ok       store schema        all collections and indexes are there
ok       store write         a write in 46 ms, a read in 21 ms
ok       store upkeep        a sweeper has the lease until 2026-11-30T19:28:56.667Z; nothing waits to be added up
ok       clock               the broker's is less than a second off, as far as it tells; the store's is less than a second off, as far as it tells
14 checks: 12 ok, 2 fault`;

/** What `millrace doctor` looks at, from the table that it goes by. */
export function doctorPage(): string {
  const rows = Object.entries(checkTable).map(([name, { of, looksAt }]) => [name, of, looksAt]);
  return page(
    "# `millrace doctor`",
    "Looks at what a role needs (settings, broker, store, clock, files and this machine) and says of all that is not as it should be what to do. " +
      "It reads the same settings as the roles: run it where a role runs, with the role's variables and flags.",
    `\`\`\`console\n$ npx millrace doctor\n${example}\n\`\`\``,
    "One line a check: `ok`, `warning`, `fault`, or `skipped` where it cannot be made without what another found at fault, or is of what this role has no use for. " +
      "A fault is what loses, refuses or holds up events, or keeps a role from its work; a warning is what will, or what only looks odd. Below it stand what is wrong and what to do. " +
      "It ends with 0 without a fault, 1 with one, and 2 when it is called wrongly. Passwords, keys and their hashes are never printed.",
    "`--json` prints the same for programs: `format` (1; higher where a reader of this form would go wrong), `millrace` (the version), `level` (the worst), and `checks`, " +
      "each with `name`, `level`, `found`, `tookMs` and `problems` (`level`, `what`, `todo`). Rely on names and levels; the sentences are for people.",
    "All checks are made, though one fails, and all at once but for those that need another. Each is given five seconds, or `--timeout-ms`: a server that does not " +
      "answer is told as one. A large embedded file takes longer to read through.",
    "On Kubernetes, in a pod that has the variables of its role: `kubectl -n millrace exec deployment/millrace-query -- node bin/millrace.js doctor`. " +
      "A role that needs the broker alone, or the store alone, is given no URL of the other: the file that would stand for it is looked at if it is there, and skipped if not.",
    "It is not made for the operator, whose pod has neither URL: there it takes both for embedded, and may tell a fault of a data folder that nobody needs. " +
      "Of its checks only `settings`, `heap` and `open files` tell of the operator; what it can reach is told by `/readyz` of its admin port, and by its log.",
    "## Checks",
    table(["Check", "Made for", "What it looks at"], rows),
    "## What it changes",
    "Nothing that a role would not change when it starts, and less: it declares no exchange, queue or binding, and makes no collection (but `probe`, in a database that has none), " +
      "index or folder.",
    [
      "- In MongoDB it writes and reads the document `probe` of the collection `probe`, as `/readyz` does.",
      "- RabbitMQ has no way to ask what a user may. It looks at the permission first, so the check sends requests that cannot be carried out, and sees which refusal comes " +
        "back; RabbitMQ's log has a line for each. One message is published to the default exchange with a key that no queue has, and is dropped. What is there is declared again " +
        "as it should be, by which RabbitMQ tells what is different.",
      "- SQLite may make the files `-wal` and `-shm` beside an embedded file, and removes them.",
    ].join("\n"),
    "## Limits",
    "The heap is that of the process that runs the check: run it with the `NODE_OPTIONS` of the role. The management API tells its time in whole seconds, so a broker's clock is told " +
      "to within two. The figures of nodes and members are some seconds old. Upkeep is told as late after 15 minutes, or after two `MILLRACE_SWEEP_INTERVAL_MS` if that is " +
      "longer: give the check the sweeper's. A queue without a leader answers nothing: the checks that ask it tell that there was no answer.",
  );
}
