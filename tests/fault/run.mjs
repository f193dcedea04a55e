// ./run fault [NAME…] [--list] [--seconds N | --kills N] [--clients N] [--seed N] [--json FILE]: customers chat while one fault after the
// other is done to a private Helpline; a ledger of what they were told is compared with the store. Exit 1 if it differs.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { startUpstream } from "../upstream.mjs";
import { Field, generator } from "./clients.mjs";
import { judge } from "./judge.mjs";
import { Ledger } from "./ledger.mjs";
import { UPSTREAM_SHARE, good, scenarios } from "./scenarios.mjs";
import { startFaultStack } from "./stack.mjs";

// What answers, and how much of it failed.
async function startModel(scenario, random) {
	const upstream = await startUpstream();
	upstream.record = false;
	upstream.count = 0;
	upstream.share = UPSTREAM_SHARE;
	const step = scenario.upstream ? scenario.upstream(random, UPSTREAM_SHARE) : good(random);
	upstream.otherwise = (request) => {
		upstream.count++;
		return step(request);
	};
	return upstream;
}

// One scenario: { name, seed, seconds, clients, told, rows }, rows as the judge's.
export async function runScenario(name, { seed, kills, seconds, clients = 200, thinking } = {}) {
	const scenario = scenarios[name];
	const random = generator(seed);
	const dir = mkdtempSync(path.join(tmpdir(), "helpline-ledger-"));
	const began = Date.now();
	const deaths = [], told = [];
	const most = kills ?? (seconds ? Infinity : scenario.kills);
	let upstream, stack, ledger, field;
	try {
		upstream = await startModel(scenario, random);
		stack = await startFaultStack(upstream, scenario);
		ledger = await Ledger.start(dir);
		field = new Field(stack, ledger, { clients, seed: seed + 1, thinking: thinking ?? scenario.thinking, mayLose: scenario.mayLose, only: scenario.only,
			calling: scenario.calling }).start();
		const end = seconds ? Date.now() + seconds * 1000 : Infinity;
		const run = { stack, upstream, field, random, deaths, every: scenario.every, tell: (text) => told.push(text),
			until: (n) => n >= most || Date.now() >= end };
		const faults = await scenario.run(run);
		const finished = await field.stop();
		run.tell(field.report);
		const rows = await judge(stack, ledger.file, { deaths, mayLose: scenario.mayLose, timed: scenario.timed });
		rows.push(...(run.rows ?? []));
		rows.unshift({ name: "faults done", value: faults, held: faults > 0 && field.said > 0 });
		rows.push({ name: "customers who could not finish", value: finished ? 0 : 1, held: finished, of: `${clients} customers, ${field.said} messages` });
		await stack.stop();
		return { name, seed, clients, messages: field.said, told, rows, seconds: Math.round((Date.now() - began) / 1000) };
	} finally {
		field?.giveUp();
		stack?.stopNow();
		ledger?.close();
		await upstream?.close();
		if (!process.env.HELPLINE_TEST_KEEP)
			rmSync(dir, { recursive: true, force: true });
	}
}

export function print(result) {
	console.log(`${result.name} (${result.seconds} s, seed ${result.seed})`);
	for (const line of result.told)
		console.log(`    ${line}`);
	for (const row of result.rows) {
		console.log(`    ${{ true: "ok      ", false: "FAILED  ", undefined: "        " }[row.held]}${String(row.value).padStart(6)}  ${row.name}${row.of ? `  (${row.of})` : ""}`);
		for (const line of row.held === false ? row.detail ?? [] : [])
			console.log(`              ${line.slice(0, 600)}`);
	}
}

const USAGE = "usage: ./run fault [NAME…] [--list] [--seconds N | --kills N] [--clients N] [--seed N] [--json FILE]";

async function main() {
	const { values, positionals } = parseArgs({ allowPositionals: true, options: {
		help: { type: "boolean" }, list: { type: "boolean" }, seconds: { type: "string" }, kills: { type: "string" }, clients: { type: "string", default: "200" },
		seed: { type: "string", default: String(Date.now() % 1e6 + 1) }, json: { type: "string" },
	} });
	const unknown = positionals.find((name) => !Object.hasOwn(scenarios, name));
	if (values.help)
		console.log(USAGE);
	if (values.help || values.list || unknown !== undefined) {
		console.log(`${unknown === undefined ? "" : `There is no "${unknown}". `}Faults: ${Object.keys(scenarios).join(" ")}`);
		return unknown === undefined ? 0 : 2;
	}
	const number = (name) => (values[name] === undefined ? undefined : Number(values[name]));
	const wrong = ["seconds", "kills", "clients", "seed"].find((n) => values[n] !== undefined && !(number(n) > 0));
	if (wrong) {
		console.error(`./run fault: --${wrong} takes a number above 0`);
		return 2;
	}
	const results = [];
	for (const name of positionals.length ? positionals : Object.keys(scenarios)) {
		results.push(await runScenario(name, { seed: number("seed"), kills: number("kills"), seconds: number("seconds"), clients: number("clients") }));
		print(results.at(-1));
	}
	if (values.json)
		writeFileSync(values.json, `${JSON.stringify({ at: new Date().toISOString(), results }, null, "\t")}\n`);
	const failed = results.filter((r) => r.rows.some((row) => row.held === false));
	console.log(failed.length === 0 ? `${results.length} faults, nothing lost`
		: `FAILED: again with ./run fault ${failed.map((r) => r.name).join(" ")} --seed ${values.seed}`);
	return failed.length ? 1 : 0;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
	try {
		process.exit(await main());
	} catch (error) {
		const misspelt = error.code?.startsWith("ERR_PARSE_ARGS");
		console.error(`./run fault: ${misspelt ? `${error.message}\n${USAGE}` : error.stack}`);
		process.exit(misspelt ? 2 : 1);
	}
}
