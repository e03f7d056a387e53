import type { Namespace } from "./install.ts";

/** A new pod is known to whoever enforces the policies after a moment: a refusal before that says nothing. */
const TRY_MS = 10_000;
/** One that should come about, or does so at times, is waited for longer: where all nodes have too much to do, this takes its time. */
const PATIENCE_MS = 40_000;
/** So many tries in a row that end alike are how it is; one among others is a moment of the network's own changes. */
const ALIKE = 8;

type Wanted = "connected" | "kept out";
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly wanted: Wanted;
}

/**
 * Says in its log when a connection came about, and last how it is: "connected" once that has settled, at any time, and
 * else after all of the time how the last tries ended.
 */
const program = (host: string, port: number, wanted: Wanted): string => `
const begun = Date.now();
const ends = [];
const say = (what) => { console.log(what); process.exit(0); };
(function attempt() {
  const socket = require("node:net").connect({ host: ${JSON.stringify(host)}, port: ${port}, timeout: 1000 });
  const ended = (how) => {
    if (how === "connected") console.log(how, "to", socket.remoteAddress, "after", Date.now() - begun, "ms");
    socket.destroy();
    ends.push(how);
    const last = ends.slice(-${ALIKE});
    const open = last.filter((end) => end === "connected").length;
    if (open === ${ALIKE}) return say("connected");
    const long = open > 0 || ${wanted === "connected"} ? ${PATIENCE_MS} : ${TRY_MS};
    if (Date.now() - begun < long || ends.length < ${ALIKE}) return setTimeout(attempt, 100);
    say(open === 0 ? how : "unsettled: " + last.join(", "));
  };
  socket.once("connect", () => ended("connected"));
  socket.once("timeout", () => ended("no answer"));
  socket.once("error", (error) => ended(error.code));
})();
`;

/** Has a pod of the namespace connect to the address: "connected", "no answer", or the code of the error. */
export async function tryConnection(
  from: Namespace,
  labels: Readonly<Record<string, string>>,
  image: string,
  { host, port, wanted }: Place,
): Promise<string> {
  const name = `try-${port}-${Math.random().toString(36).slice(2, 8)}`;
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels },
    spec: {
      restartPolicy: "Never",
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "try",
          image,
          command: ["node", "--eval", program(host, port, wanted)],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        },
      ],
    },
  };
  await from.apply(pod);
  try {
    await from.kubectl("wait", "pod", name, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s");
    const lines = (await from.kubectl("logs", name)).trim().split("\n");
    const verdict = lines.pop() ?? "";
    if (verdict !== "connected" && lines.length > 0) {
      console.log(`${name} from ${from.name}: in the end ${verdict}, and yet\n${lines.join("\n")}`);
    }
    return verdict;
  } finally {
    await from.kubectl("delete", "pod", name, "--wait=false");
  }
}
