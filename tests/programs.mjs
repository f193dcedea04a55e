// The tests' own programs in C, which the build of the tree leaves out: who starts some has them made before.

import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const build = path.resolve(process.env.HELPLINE_BUILD ?? fileURLToPath(new URL("../build", import.meta.url)));

// Automake's targets are their paths below the build tree. They are none of make check's: it may run beside.
export function buildPrograms(...targets) {
	const made = spawnSync("make", ["-C", build, ...targets], { encoding: "utf8" });
	if (made.status !== 0)
		throw new Error(`${targets.join(", ")} cannot be built\n${made.stdout}${made.stderr}${made.error ?? ""}`);
}
