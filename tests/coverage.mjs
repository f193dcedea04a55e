// node coverage.mjs TREE LEAST: what gcov says of a tree that was built with --enable-coverage. Prints the share of the lines of
// lib/ that ran, and those that did not; exit 1 if it is below LEAST per cent.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";

const [tree, least] = process.argv.slice(2);
const lines = new Map();	// file → line → times, over all programs that have it

const data = readdirSync(path.join(tree, "lib"), { recursive: true }).filter((f) => f.endsWith(".gcda")).map((f) => path.join("lib", f));
const { stdout } = spawnSync("gcov", ["--json-format", "--stdout", ...data], { cwd: tree, encoding: "utf8", maxBuffer: 1 << 30 });
for (const document of stdout.split("\n").filter(Boolean).map((text) => JSON.parse(text)))
	for (const { file, lines: ran } of document.files.filter((f) => /(^|\/)lib\/[a-z]+\/\w+\.[ch]$/.test(f.file))) {
		const name = file.replace(/^.*(?=lib\/)/, "");
		const known = lines.get(name) ?? lines.set(name, new Map()).get(name);
		for (const { line_number: line, count } of ran)
			known.set(line, (known.get(line) ?? 0) + count);
	}

function ranges(numbers) {
	const parts = [];
	for (const n of numbers.sort((a, b) => a - b)) {
		if (parts.at(-1)?.[1] === n - 1)
			parts.at(-1)[1] = n;
		else
			parts.push([n, n]);
	}
	return parts.map(([a, b]) => (a === b ? a : `${a}-${b}`)).join(" ");
}

let all = 0, ran = 0;
const rows = [...lines].map(([file, known]) => {
	const missing = [...known].filter(([, count]) => count === 0).map(([line]) => line);
	all += known.size;
	ran += known.size - missing.length;
	return { file, share: 100 * (1 - missing.length / known.size), missing };
}).sort((a, b) => a.share - b.share);

for (const { file, share, missing } of rows.filter((row) => row.missing.length > 0))
	console.log(`${share.toFixed(0).padStart(4)} %  ${file}: ${ranges(missing)}`);
console.log(`${(100 * ran / all).toFixed(1)} % of ${all} lines of lib/ ran`);
process.exit(all > 0 && 100 * ran / all >= Number(least) ? 0 : 1);
