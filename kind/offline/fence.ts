import { command } from "../../test/parts/command.ts";

const NETWORK = "kind";
/** Docker takes its own chain out and puts it back whenever it makes a network; a start of Docker puts rules before ours. */
const CHAINS = ["FORWARD", "DOCKER-USER"];

/**
 * Makes the network that kind puts its nodes into, with nothing beyond it: what a node or a pod sends to anywhere but
 * another node is refused at once. Without that, an address of no service would go out by the default route.
 */
export async function raiseFence(): Promise<void> {
  const inspect = ["network", "inspect", "--format", "{{.Id}}", NETWORK];
  const id = await command("docker", inspect).catch(async () => {
    // What kind would set, too, except for IPv6.
    const masquerade = "com.docker.network.bridge.enable_ip_masquerade=true";
    await command("docker", ["network", "create", "--driver", "bridge", "--opt", masquerade, NETWORK]);
    return command("docker", inspect);
  });
  const bridge = `br-${id.trim().slice(0, 12)}`;
  for (const chain of CHAINS) {
    const rule = [chain, "--in-interface", bridge, "!", "--out-interface", bridge, "--jump", "REJECT"];
    await command("iptables", ["--wait", "--check", ...rule]).catch(() =>
      command("iptables", ["--wait", "--insert", ...rule]),
    );
  }
}

/** A rule about a bridge that is gone matches nothing. Nothing happens while containers are in it, or where it is not. */
export async function removeNetwork(): Promise<void> {
  await command("docker", ["network", "rm", NETWORK]).catch(() => {});
}
