// Reads an AsyncAPI spec with the parser of its makers; fails on any error.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const SEVERITIES = ["error", "warning", "information", "hint"];

const path = process.argv[2];
const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"));
for (const { severity, message, path: where } of diagnostics) {
  console.log(`${SEVERITIES[severity]}: ${message} (${where.join(".")})`);
}
const errors = diagnostics.filter(({ severity }) => severity === 0).length;
console.log(`${path}: ${errors} errors`);
process.exitCode = document && errors === 0 ? 0 : 1;
