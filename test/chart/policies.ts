import {
  type KubernetesObject,
  matches,
  ofKind,
  type Selector,
  titleOf,
  type Workload,
  workloadsOf,
} from "./objects.ts";
import { portOf } from "./services.ts";

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string };
}
interface PolicyPort {
  readonly port?: string | number;
  readonly endPort?: number;
  readonly protocol?: string;
}
/** One direction of one policy: whom it selects, and a rule of what they may. */
interface Rule {
  readonly title: string;
  readonly selector: Selector;
  /** None stands for everyone. */
  readonly peers: readonly Peer[];
  /** None stands for all. */
  readonly ports: readonly PolicyPort[];
}
type Direction = "Ingress" | "Egress";

interface Policy {
  readonly title: string;
  readonly selector: Selector;
  readonly types: readonly string[];
  readonly rules: Readonly<Record<Direction, readonly Rule[]>>;
}

function policiesOf(objects: readonly KubernetesObject[]): readonly Policy[] {
  return ofKind(objects, "NetworkPolicy").map((object) => {
    const title = titleOf(object);
    const { podSelector, policyTypes, ingress, egress } = object.spec as {
      readonly podSelector: Selector;
      readonly policyTypes?: readonly string[];
      readonly ingress?: readonly {
        readonly from?: readonly Peer[];
        readonly ports?: readonly PolicyPort[];
      }[];
      readonly egress?: readonly { readonly to?: readonly Peer[]; readonly ports?: readonly PolicyPort[] }[];
    };
    const rule = (peers: readonly Peer[] = [], ports: readonly PolicyPort[] = []): Rule => ({
      title,
      selector: podSelector,
      peers,
      ports,
    });
    return {
      title,
      selector: podSelector,
      types: policyTypes ?? ["Ingress", ...(egress === undefined ? [] : ["Egress"])],
      rules: {
        Ingress: (ingress ?? []).map(({ from, ports }) => rule(from, ports)),
        Egress: (egress ?? []).map(({ to, ports }) => rule(to, ports)),
      },
    };
  });
}

/** With policies, every pod must be under them in both directions: one that is not may talk to all. */
export function unguardedPods(objects: readonly KubernetesObject[]): string[] {
  const policies = policiesOf(objects);
  if (policies.length === 0) return [];
  const workloads = workloadsOf(objects);
  return [
    ...workloads.flatMap(({ title, labels }) =>
      (["Ingress", "Egress"] as const)
        .filter((type) => !policies.some((one) => one.types.includes(type) && matches(one.selector, labels)))
        .map((type) => `no policy is about the ${type} of ${title}`),
    ),
    ...policies
      .filter(({ selector }) => !workloads.some(({ labels }) => matches(selector, labels)))
      .map(({ title }) => `${title} selects no pods`),
  ];
}

/** Who is let out to a pod must be let in there, and the reverse; and who is let out at all must find names. */
export function faultsOfPolicies(objects: readonly KubernetesObject[]): string[] {
  const policies = policiesOf(objects);
  if (policies.length === 0) return [];
  const workloads = workloadsOf(objects);
  const rules = (direction: Direction) => policies.flatMap((policy) => policy.rules[direction]);
  return [
    ...rules("Egress").flatMap((rule) =>
      pairs(rule, workloads).flatMap(({ selected: from, peer: to }) =>
        portsFor(rule, to)
          .filter((port) => !lets(rules("Ingress"), to, from, { port, of: to }))
          .map(
            (port) => `${rule.title} lets ${from.title} out to ${to.title}:${port}, which does not let it in`,
          ),
      ),
    ),
    ...rules("Ingress").flatMap((rule) =>
      pairs(rule, workloads).flatMap(({ selected: to, peer: from }) =>
        portsFor(rule, to)
          .filter((port) => !lets(rules("Egress"), from, to, { port, of: to }))
          .map(
            (port) =>
              `${rule.title} lets ${from.title} in to ${to.title}:${port}, and it is not let out there`,
          ),
      ),
    ),
    ...rules("Ingress").flatMap((rule) =>
      workloads
        .filter(({ labels }) => matches(rule.selector, labels))
        .flatMap(({ title, pod }) =>
          rule.ports
            .filter((one) => isLacking(pod, one))
            .map(({ port }) => `${rule.title} lets in to port ${port} of ${title}, which it does not have`),
        ),
    ),
    ...rules("Egress").flatMap((rule) =>
      rule.ports
        .filter((one) => {
          const named = pairs(rule, workloads).map(({ peer }) => peer.pod);
          return named.length > 0 && named.every((pod) => isLacking(pod, one));
        })
        .map(({ port }) => `${rule.title} lets out to port ${port}, which nobody there has`),
    ),
    ...rules("Egress").flatMap(({ title, peers, ports }) =>
      peers.length === 0 && ports.length === 0 ? [`${title} lets out to everywhere`] : [],
    ),
    ...workloads.flatMap(({ title, labels }) => {
      const own = rules("Egress").filter(({ selector }) => matches(selector, labels));
      const asks = (protocol: string) =>
        own.some(({ ports }) => ports.some((one) => one.port === 53 && (one.protocol ?? "TCP") === protocol));
      return own.length === 0 || (asks("UDP") && asks("TCP"))
        ? []
        : [`${title} is let out, and not to a name server`];
    }),
  ];
}

/** Whether `from` may reach the port of `to` by the policies of both. */
export function mayReach(
  objects: readonly KubernetesObject[],
  { from, to, port }: { readonly from: Workload; readonly to: Workload; readonly port: number },
): boolean {
  const policies = policiesOf(objects);
  const isUnder = (direction: Direction, { labels }: Workload) =>
    policies.some(({ types, selector }) => types.includes(direction) && matches(selector, labels));
  const rules = (direction: Direction) => policies.flatMap((policy) => policy.rules[direction]);
  return (
    (!isUnder("Egress", from) || lets(rules("Egress"), from, to, { port, of: to })) &&
    (!isUnder("Ingress", to) || lets(rules("Ingress"), to, from, { port, of: to }))
  );
}

/** Those pods of the release that a rule is about, with those that it names. */
function pairs(
  { selector, peers }: Rule,
  workloads: readonly Workload[],
): readonly { readonly selected: Workload; readonly peer: Workload }[] {
  const named = workloads.filter(({ labels }) =>
    // With a selector of namespaces, it may be about pods that are none of ours.
    peers.some(
      ({ podSelector, namespaceSelector }) =>
        podSelector && !namespaceSelector && matches(podSelector, labels),
    ),
  );
  return workloads
    .filter(({ labels }) => matches(selector, labels))
    .flatMap((selected) => named.map((peer) => ({ selected, peer })));
}

/** A range is of ports that are open for a moment, such as a command's: no container names these. */
function isLacking(pod: Workload["pod"], { port, endPort }: PolicyPort): boolean {
  return port !== undefined && endPort === undefined && portOf(pod, port) === undefined;
}

/** Of the port numbers of `to`, those that the rule is about. */
function portsFor({ ports }: Rule, to: Workload): readonly number[] {
  const all = to.pod.containers.flatMap((container) =>
    (container.ports ?? []).map((one) => one.containerPort),
  );
  if (ports.length === 0) return all;
  return ports.flatMap(({ port }) => {
    const number = port === undefined ? undefined : portOf(to.pod, port);
    return number === undefined ? [] : [number];
  });
}

function lets(
  rules: readonly Rule[],
  selected: Workload,
  other: Workload,
  { port, of }: { readonly port: number; readonly of: Workload },
): boolean {
  return rules.some(
    ({ selector, peers, ports }) =>
      matches(selector, selected.labels) &&
      (peers.length === 0 ||
        // A block of addresses may hold the pods, and may not: it is no promise.
        peers.some(({ podSelector, namespaceSelector }) => {
          if (podSelector === undefined)
            return namespaceSelector !== undefined && matches(namespaceSelector, {});
          return matches(podSelector, other.labels);
        })) &&
      (ports.length === 0 ||
        ports.some(
          (one) =>
            one.port === undefined ||
            portOf(of.pod, one.port) === port ||
            (typeof one.port === "number" && one.port <= port && port <= (one.endPort ?? one.port)),
        )),
  );
}
