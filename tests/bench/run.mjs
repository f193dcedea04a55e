// ./run bench [NAME…] [--json FILE] [--list]: measures the promised figures, prints each with its reference from the same
// run, and keeps them for machines. Exit 1 if a bar is missed.

import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";

import { groups } from "./figures.mjs";
import { build, buildPrograms } from "../programs.mjs";
import { Upstream, endAll, machineBusy } from "./stack.mjs";

const WIDTHS = [46, 12, 46, 7, 28];

function format(value, unit) {
	const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 3;
	return `${value.toLocaleString("en", { maximumFractionDigits: digits })}${unit === "/s" ? "" : " "}${unit}`.trim();
}

// Held to its bar: true or false, or undefined where there is none.
function judge(row) {
	if (row.ok !== undefined)
		return row.ok;
	if (row.most !== undefined)
		return row.value <= row.most;
	return row.least === undefined ? undefined : row.value >= row.least;
}

function barOf(row) {
	if (row.bar)
		return row.bar;
	if (row.most !== undefined)
		return `≤ ${row.most} ${row.unit}`.trim();
	return row.least === undefined ? "" : `≥ ${row.least} ${row.unit}`.trim();
}

const columns = (cells) => cells.map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0)).join(" ").trimEnd();

function print(row) {
	console.log(columns([row.name, format(row.value, row.unit), row.reference ?? "", row.ratio === undefined ? "" : row.ratio.toFixed(2),
		barOf(row), { true: "ok", false: "MISSED" }[row.held] ?? ""]));
	if (row.detail)
		console.log(`    ${JSON.stringify(row.detail).replaceAll('"', "").slice(1, -1).replaceAll(",", ", ").replaceAll(":", " ")}`);
}

async function measure(names) {
	const rows = [];
	const bench = { upstream: await Upstream.start() };
	for (const group of names) {
		for (const row of await groups[group](bench)) {
			rows.push({ group, ...row, held: judge(row), bar: barOf(row) });
			print(rows.at(-1));
		}
	}
	return rows;
}

const USAGE = "usage: ./run bench [NAME…] [--list] [--json FILE]";

async function main() {
	const { values, positionals } = parseArgs({ allowPositionals: true, options: {
		help: { type: "boolean" }, json: { type: "string", default: path.join(build, "bench.json") }, list: { type: "boolean" },
	} });
	const unknown = positionals.find((name) => !Object.hasOwn(groups, name));
	if (values.help)
		console.log(USAGE);
	if (values.help || values.list || unknown !== undefined) {
		console.log(`${unknown === undefined ? "" : `There is no "${unknown}". `}Figures: ${Object.keys(groups).join(" ")}`);
		return unknown === undefined ? 0 : 2;
	}
	buildPrograms(...["load", "calls", "upstream", "fill"].map((name) => `tests/bench/${name}`));
	const machine = { processors: availableParallelism(), model: cpus()[0].model, busy: await machineBusy() };
	console.log(`${machine.processors} processors (${machine.model}), ${Math.round(machine.busy * 100)} % busy before we began; the load ` +
		"and the upstream run on them too.");
	console.log(columns(["FIGURE", "VALUE", "REFERENCE", "RATIO", "BAR", ""]));
	const begin = Date.now();
	const rows = await measure(positionals.length ? positionals : Object.keys(groups));
	writeFileSync(values.json, `${JSON.stringify({ at: new Date(begin).toISOString(), machine, figures: rows }, null, "\t")}\n`);
	const missed = rows.filter((row) => row.held === false).length;
	console.log(`${rows.length} figures in ${Math.round((Date.now() - begin) / 1000)} s, ${missed} missed; written to ${values.json}`);
	return missed ? 1 : 0;
}

process.on("exit", endAll);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
	process.on(signal, () => process.exit(1));
try {
	process.exit(await main());
} catch (error) {
	const misspelt = error.code?.startsWith("ERR_PARSE_ARGS");
	console.error(`./run bench: ${error.message}${misspelt ? `\n${USAGE}` : ""}`);
	process.exit(misspelt ? 2 : 1);
}
