import { projectionNames } from "../../src/domain/projection.ts";

/** A part that Millrace does not bring itself. */
export type PartName = "broker" | "store";
export type Group = "collector" | "worker" | "query" | "sweeper";

/** One process of the cluster. */
export interface Member {
  /** Such as `hourlyLog-2`. */
  readonly name: string;
  readonly group: Group;
  /** What `millrace` is given to be this. */
  readonly words: readonly string[];
  readonly needs: readonly PartName[];
}
/** A way that bytes go, and thus a place for a proxy. */
export interface Link {
  /** Such as `hourlyLog-2>store`. */
  readonly name: string;
  /** Links of a kind, such as `worker>store`. */
  readonly group: string;
  readonly from: string;
  readonly to: string;
}

const twice = (name: string, member: Omit<Member, "name">): readonly Member[] =>
  [1, 2].map((number) => ({ name: `${name}-${number}`, ...member }));

export const members: readonly Member[] = [
  ...twice("collector", { group: "collector", words: ["collector"], needs: ["broker"] }),
  ...projectionNames.flatMap((name) =>
    twice(name, { group: "worker", words: ["worker", name], needs: ["broker", "store"] }),
  ),
  { name: "query", group: "query", words: ["query"], needs: ["store"] },
  { name: "sweeper", group: "sweeper", words: ["sweeper"], needs: ["store"] },
];

export const linkName = (from: string, to: string): string => `${from}>${to}`;

export const links: readonly Link[] = [
  ...members
    .filter(({ group }) => group === "collector")
    .map(({ name }) => ({
      name: linkName("client", name),
      group: "client>collector",
      from: "client",
      to: name,
    })),
  ...members.flatMap(({ name, group, needs }) =>
    needs.map((part) => ({ name: linkName(name, part), group: linkName(group, part), from: name, to: part })),
  ),
];
