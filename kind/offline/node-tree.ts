import { rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { chroot } from "../../test/parts/chroot.ts";
import { command } from "../../test/parts/command.ts";

/** Of the Debian tree below; it goes up with every change of it. */
export const TREE = "kind-node-bookworm-1";

const PACKAGES =
  "systemd bash ca-certificates curl jq kmod mount pigz procps util-linux e2fsprogs libseccomp2 " +
  "conntrack ethtool iproute2 iptables ipset nftables containerd runc containernetworking-plugins";

/**
 * Debian as kind's own node image has it, with the container runtime and the network plugins of Debian. Bookworm is the
 * last whose systemd runs on version 1 of control groups as well as on version 2.
 */
export async function nodeTree(): Promise<string> {
  return chroot({
    name: TREE,
    suite: "bookworm",
    packages: PACKAGES.split(" "),
    finish: async (root) => {
      const useless = [
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/info",
        "var/lib/apt/lists",
      ];
      for (const folder of useless) await rm(join(root, folder), { recursive: true });
      await command("chroot", [root, "apt-get", "clean"]);
      await rm(join(root, "sbin/init"), { force: true });
      await symlink("/lib/systemd/systemd", join(root, "sbin/init"));
      // A container starts none of what a machine would; kind's own services are enabled in its place.
      await command("chroot", [
        root,
        "sh",
        "-ec",
        `cd /lib/systemd/system
         rm -f containerd.service sysinit.target.wants/systemd-tmpfiles-setup.service multi-user.target.wants/*
         rm -f local-fs.target.wants/* basic.target.wants/* sockets.target.wants/*udev* sockets.target.wants/*initctl*
         rm -rf /etc/systemd/system/*.wants
         echo ReadKMsg=no >> /etc/systemd/journald.conf`,
      ]);
    },
  });
}

/** A tar file of what iptables and ipset need of the tree, and of nothing else. */
export async function packFirewall(root: string, file: string): Promise<void> {
  const script = `
    programs=$(echo /usr/sbin/ipset /usr/sbin/ip{,6}tables{,-save,-restore})
    plugins=$(echo /usr/lib/*/xtables)
    libraries=$(ldd $programs $plugins/*.so | sed -nE 's/.*[[:space:]](\\/[^ :]+) \\(.*/\\1/p' | sort -u)
    exec tar --create --dereference --absolute-names --transform='s,^/,,' $programs $plugins $libraries \\
      /etc/protocols /etc/services /etc/nsswitch.conf /etc/passwd /etc/ssl/certs/ca-certificates.crt`;
  await command("sh", ["-ec", 'chroot "$1" bash -ec "$2" > "$3"', "pack", root, script, file]);
}
