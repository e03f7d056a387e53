import { variableOf } from "../../src/settings.ts";
import { filled } from "../template/expression.ts";
import { when } from "../template/tree.ts";
import { values } from "../values.ts";

const FOLDER = "/etc/millrace/keys";
const FILE = "keys.json";
const { existingSecret } = values.keys;

/** Who may write, where it is not anyone: hashes that are read once. */
export const writeKeyHashes = when(filled(values.writeKeys.existingSecret), {
  name: variableOf("writeKeyHashes"),
  valueFrom: { secretKeyRef: { name: values.writeKeys.existingSecret, key: "hashes" } },
});

/** Who may do what, as a file that the kubelet keeps up to date: a variable would stay as it was when the pod began. */
export const keysFile = {
  env: when(filled(existingSecret), { name: variableOf("keysFile"), value: `${FOLDER}/${FILE}` }),
  mount: when(filled(existingSecret), { name: "keys", mountPath: FOLDER, readOnly: true }),
  // Of the Secret this entry alone: the key of `helm test` is nobody else's.
  volume: when(filled(existingSecret), {
    name: "keys",
    secret: { secretName: existingSecret, defaultMode: 0o440, items: [{ key: FILE, path: FILE }] },
  }),
};
