import { type Attack, attacks } from "../test/security/attacks.ts";
import { page, table } from "./page.ts";

/** What was tried against a running Millrace, from the table that the tests themselves go by. */
export function attacksPage(): string {
  const all: readonly Attack[] = Object.values(attacks);
  const sections = Array.from(new Set(all.map(({ group }) => group))).flatMap((group) => {
    const rows = all
      .filter((one) => one.group === group)
      .map(({ attack, how, statuses, outcome, file }) => [
        attack,
        how,
        statuses.length === 0 ? "" : statuses.join(", "),
        outcome,
        `\`${file}\``,
      ]);
    return [`## ${group}`, table(["Attack", "How it was tried", "Answers", "What came of it", "Test"], rows)];
  });
  return page(
    "# Attacks tried",
    "Each row is a test: it sends what is described to real sockets of a real process (or a real RabbitMQ or MongoDB-wire server), and fails where an " +
      "answer has another status than those of its row, or where the answers of one of them do not come. [threat-model.md](threat-model.md) says what is protected from whom.",
    "Beside these, `npm run fuzz` sends what nobody thought of: to the HTTP APIs what their own descriptions allow and what they do not, to the decoder of messages " +
      "a million inputs, and to a RabbitMQ consumer forged messages among good ones.",
    ...sections,
  );
}
