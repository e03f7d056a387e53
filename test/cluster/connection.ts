import type { Namespace } from "./install.ts";

/** A new pod is known to whoever enforces the policies after a moment: a refusal before that says nothing. */
const TRY_MS = 10_000;
/** Says in its log whether a connection came about, and else how the last try ended. */
const program = (host: string, port: number): string => `
const deadline = Date.now() + ${TRY_MS};
const say = (what) => { console.log(what); process.exit(0); };
(function attempt() {
  const socket = require("node:net").connect({ host: ${JSON.stringify(host)}, port: ${port}, timeout: 3000 });
  const failed = (how) => { socket.destroy(); Date.now() > deadline ? say(how) : setTimeout(attempt, 500); };
  socket.once("connect", () => say("connected"));
  socket.once("timeout", () => failed("no answer"));
  socket.once("error", (error) => failed(error.code));
})();
`;

/** Has a pod of the namespace connect to the address: "connected", "no answer", or the code of the error. */
export async function tryConnection(
  from: Namespace,
  labels: Readonly<Record<string, string>>,
  image: string,
  host: string,
  port: number,
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
          command: ["node", "--eval", program(host, port)],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
        },
      ],
    },
  };
  await from.apply(pod);
  try {
    await from.kubectl("wait", "pod", name, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s");
    return (await from.kubectl("logs", name)).trim();
  } finally {
    await from.kubectl("delete", "pod", name, "--wait=false");
  }
}
