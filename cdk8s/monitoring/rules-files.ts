import { thresholds } from "./objectives.ts";
import { alert, type RuleGroup } from "./rule.ts";

const files: RuleGroup = {
  name: "millrace-files",
  rules: [
    alert("MillraceCertificateExpiring", {
      severity: "ticket",
      expr: `min by (namespace, certificate) (millrace_certificate_expiry_timestamp_seconds) - time() < ${thresholds.certificateSeconds}`,
      for: "15m",
      summary: "A certificate expires soon, and has not been renewed.",
      description:
        "In namespace {{ $labels.namespace }}, the certificate of {{ $labels.certificate }} connections has " +
        "{{ $value | humanizeDuration }} left.",
    }),
    alert("MillraceFileFailing", {
      severity: "ticket",
      expr: "max by (namespace, file) (millrace_file_failing) > 0",
      for: "15m",
      summary: "A file that is read while processes run is of no use as it is now.",
      description:
        "In namespace {{ $labels.namespace }}, the files of {{ $labels.file }} cannot be read; what they held before stays in use, " +
        "and a process that starts now ends.",
    }),
  ],
};

export const fileGroups: readonly RuleGroup[] = [files];
